/* The processes of the bench: one makes the keys, the others sign with them. */
#include "pkcs11/bench_internal.h"
#include "pkcs11/ckr.h"

#include "base/cleanup.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t bench_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* a clock that is always there */
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t bench_cpu_us(void)
{
    struct rusage used = {0};

    (void)getrusage(RUSAGE_SELF, &used); /* of ourselves: always there */
    return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void bench_tell(const struct probe *p, int check, const struct probe_result *result)
{
    struct probe_message m = {
        .kind = PROBE_DONE, .check = check, .verdict = (int32_t)result->verdict};

    memcpy(m.detail, result->detail, sizeof(m.detail));
    probe_send(p, &m);
}

/* Open and log in; else tell why and end. */
static void bench_begin(struct probe *p)
{
    struct probe_result result = {0};
    struct fault f = {0};

    if (probe_open(p, &f) == ESIGN_OK && probe_login(p, &f) == ESIGN_OK)
        return;
    probe_say(&result, PROBE_FAIL, "%s", f.detail);
    bench_tell(p, 0, &result);
    _exit(p->refused ? PROBE_EXIT_REFUSED : 1);
}

void bench_child_make(struct probe *p, const void *arg)
{
    const struct bench *bench = arg;
    const struct probe_wanted wanted = {.on_token = p->on_token};

    bench_begin(p);
    probe_token_facts(p);
    for (size_t i = 0; bench_algorithms[i]; i++) {
        enum token_algorithm algorithm = bench_algorithms[i];
        struct probe_result result = {0};
        struct probe_pair pair = {0};
        if (!bench_wants(bench, i))
            continue;
        memcpy(pair.id, bench->ids[algorithm], TOKEN_KEY_ID_LEN);
        (void)probe_worked(&result, probe_make_pair(p, algorithm, &wanted, &pair),
                           "C_GenerateKeyPair");
        bench_tell(p, (int)algorithm, &result);
    }
    probe_close(p);
    _exit(0);
}

/* The worker's handle of the key: found, or, where nothing is put on the token, its own. */
static CK_RV bench_key(struct probe *p, const struct bench *bench, enum token_algorithm algorithm,
                       CK_OBJECT_HANDLE *ret)
{
    CK_ULONG count = 0;

    if (!p->on_token) {
        const struct probe_pair *pair = probe_pair(p, algorithm);
        *ret = pair ? pair->private_key : 0;
        return p->pairs[algorithm].made;
    }
    CK_RV rv = probe_find(p, CKO_PRIVATE_KEY, bench->ids[algorithm], ret, &count);
    return rv == CKR_OK && count == 0 ? CKR_OBJECT_HANDLE_INVALID : rv;
}

/* Sign until the time is over.  The first failure ends it. */
static CK_RV bench_sign(const struct probe *p, const struct bench_job *job,
                        enum token_algorithm algorithm, CK_OBJECT_HANDLE key)
{
    const struct pkcs11_mechanism *row = pkcs11_mechanism_by_algorithm(algorithm);
    CLEANUP(buf_done) struct buf input = buf_new(TOKEN_SIGNATURE_MAX);
    CK_MECHANISM mechanism = {row->sign, NULL, 0};
    uint8_t digest[64] = {1}, raw[TOKEN_SIGNATURE_MAX];
    struct bench_share *share = job->share;
    CK_RV rv = CKR_OK;

    pkcs11_mechanism_put_input(row, bytes_of(digest, row->digest_len), &input);
    uint64_t begun = bench_now_us(), cpu = bench_cpu_us(), now = begun;
    uint64_t until = begun + (uint64_t)job->bench->options->seconds * 1000000;
    share->count = 0;
    while (rv == CKR_OK && now < until) {
        CK_ULONG len = sizeof(raw);
        uint64_t from = now;
        rv = probe_sign(p, &mechanism, key, buf_bytes(&input), raw, &len);
        now = bench_now_us();
        share->samples[share->count++ % BENCH_SAMPLES] = (uint32_t)(now - from);
    }
    share->cpu_us = bench_cpu_us() - cpu;
    share->wall_us = now - begun;
    return rv;
}

void bench_child_work(struct probe *p, const void *arg)
{
    const struct bench_job *job = arg;
    struct probe_result result = {0};
    struct probe_message go = {0};

    bench_begin(p);
    probe_say(&result, PROBE_PASS, "ready");
    bench_tell(p, 0, &result);
    while (recv(p->parent_fd, &go, sizeof(go), 0) == sizeof(go) && go.kind == PROBE_GO &&
           go.check != 0) {
        enum token_algorithm algorithm = (enum token_algorithm)go.check;
        CK_OBJECT_HANDLE key = 0;
        CK_RV rv = bench_key(p, job->bench, algorithm, &key);
        if (rv == CKR_OK && go.verdict == PROBE_PASS) /* else: only have the key ready */
            rv = bench_sign(p, job, algorithm, key);
        (void)probe_worked(&result, rv, "signing");
        bench_tell(p, go.check, &result);
    }
    probe_close(p);
    _exit(0);
}
