#include "pkcs11/bench.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "pkcs11/bench_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { BENCH_FORMAT = 1, BENCH_ENOUGH_PERCENT = 95 };

const enum token_algorithm bench_algorithms[] = {TOKEN_P256,    TOKEN_RSA3072, TOKEN_P384,
                                                 TOKEN_RSA2048, TOKEN_RSA4096, 0};
enum { BENCH_DEFAULT_COUNT = 2 }; /* of these, unless one is given */

/* The workers of one measurement. */
struct bench_crew {
    struct probe_kid kids[PKCS11_BENCH_WORKERS_MAX];
    unsigned count;
};

enum esign_rc pkcs11_bench_workers(const char *text, struct pkcs11_bench_options *options,
                                   struct fault *f)
{
    options->count = 0;
    for (const char *at = text; *at;) {
        unsigned number = 0;
        size_t len = strspn(at, "0123456789");
        for (size_t i = 0; i < len && number <= PKCS11_BENCH_WORKERS_MAX; i++)
            number = number * 10 + (unsigned)(at[i] - '0');
        if (len == 0 || number == 0 || number > PKCS11_BENCH_WORKERS_MAX ||
            options->count == PKCS11_BENCH_COUNTS_MAX || (at[len] != ',' && at[len] != '\0') ||
            (at[len] == ',' && at[len + 1] == '\0'))
            return fault_field(f, ESIGN_E_POLICY, "workers",
                               "at most %d numbers from 1 to %d, separated by commas",
                               PKCS11_BENCH_COUNTS_MAX, PKCS11_BENCH_WORKERS_MAX);
        options->workers[options->count++] = number;
        at += len + (at[len] == ',');
    }
    return options->count > 0
               ? ESIGN_OK
               : fault_field(f, ESIGN_E_POLICY, "workers", "there is no number in the list");
}

bool bench_wants(const struct bench *bench, size_t at)
{
    enum token_algorithm given = bench->options->algorithm;

    return given ? bench_algorithms[at] == given : at < BENCH_DEFAULT_COUNT;
}

/* A child's next answer; facts on the way are taken.  ESIGN_E_HSM: it says why, or has gone. */
static enum esign_rc bench_answer(struct bench *bench, const struct probe_kid *kid,
                                  struct probe_message *ret, struct fault *f)
{
    bool late = false;

    while (probe_receive(kid, ret, &late)) {
        if (ret->kind == PROBE_FACT)
            probe_take_fact(&bench->parent.run, ret);
        if (ret->kind == PROBE_DONE)
            return ESIGN_OK;
    }
    return fault_reason(f, ESIGN_E_HSM, "unavailable", "%s",
                        late ? "the module did not return" : "the module's process has ended");
}

/* Have the keys made, and see which there are. */
static enum esign_rc bench_make_keys(struct bench *bench, struct fault *f)
{
    struct probe_kid kid;
    struct probe_message m;
    enum esign_rc rc = probe_start(&bench->parent, bench_child_make, bench, &kid, f);

    if (rc != ESIGN_OK)
        return rc;
    for (size_t i = 0; rc == ESIGN_OK && bench_algorithms[i]; i++) {
        if (!bench_wants(bench, i))
            continue;
        rc = bench_answer(bench, &kid, &m, f);
        if (rc == ESIGN_OK && m.check == 0)
            rc = fault_reason(f, ESIGN_E_HSM, "unavailable", "%.190s", m.detail);
        if (rc != ESIGN_OK)
            break;
        bench->there[bench_algorithms[i]] = m.verdict == PROBE_PASS;
        (void)snprintf(bench->absent[bench_algorithms[i]], PROBE_DETAIL_MAX, "%s",
                       m.detail); /* as long */
    }
    if (rc != ESIGN_OK)
        (void)kill(kid.pid, SIGKILL); /* not yet waited for */
    (void)probe_reap(&kid);           /* what it said counts */
    return rc;
}

static void bench_send(const struct probe_kid *kid, enum token_algorithm algorithm, bool sign)
{
    const struct probe_message go = {.kind = PROBE_GO,
                                     .check = (int32_t)algorithm,
                                     .verdict = sign ? PROBE_PASS : PROBE_UNTRIED};

    (void)send(kid->fd, &go, sizeof(go),
               MSG_NOSIGNAL); /* one that has gone is seen by its answer */
}

/* Tell all workers the same and wait for the answer of each. */
static enum esign_rc bench_round(struct bench *bench, struct bench_crew *crew,
                                 enum token_algorithm algorithm, bool sign, struct fault *f)
{
    int64_t until = probe_now_ms() + (int64_t)(bench->options->seconds + BENCH_SPARE_S) * 1000;
    struct probe_message m;

    for (unsigned i = 0; i < crew->count; i++) {
        crew->kids[i].until_ms = until;
        bench_send(&crew->kids[i], algorithm, sign);
    }
    for (unsigned i = 0; i < crew->count; i++) {
        enum esign_rc rc = bench_answer(bench, &crew->kids[i], &m, f);
        if (rc == ESIGN_OK && m.verdict != PROBE_PASS)
            rc = fault_reason(f, ESIGN_E_HSM, "unavailable", "%.190s", m.detail);
        if (rc != ESIGN_OK)
            return rc;
    }
    return ESIGN_OK;
}

/* Start workers one after the other, as esign-token does. */
static enum esign_rc bench_hire(struct bench *bench, unsigned count, struct bench_crew *ret,
                                struct fault *f)
{
    struct probe_message m;

    for (unsigned i = 0; i < count; i++) {
        const struct bench_job job = {bench, &bench->shares[i]};
        enum esign_rc rc = probe_start(&bench->parent, bench_child_work, &job, &ret->kids[i], f);
        if (rc != ESIGN_OK)
            return rc;
        ret->count++;
        rc = bench_answer(bench, &ret->kids[i], &m, f);
        if (rc == ESIGN_OK && m.verdict != PROBE_PASS)
            rc = fault_reason(f, ESIGN_E_HSM, "unavailable", "%.190s", m.detail);
        if (rc != ESIGN_OK)
            return rc;
    }
    return ESIGN_OK;
}

static void bench_dismiss(struct bench_crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        struct probe_message m;
        bool late = false;
        crew->kids[i].until_ms = probe_now_ms() + BENCH_SPARE_S * 1000;
        bench_send(&crew->kids[i], 0, false);
        while (probe_receive(&crew->kids[i], &m, &late))
            continue;
        if (late)
            (void)kill(crew->kids[i].pid, SIGKILL); /* not yet waited for */
        (void)probe_reap(&crew->kids[i]);           /* its numbers are in shared memory */
    }
    *crew = (struct bench_crew){0};
}

static int bench_compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

/* {"algorithm","workers","signatures","per_s","p50_us","p99_us","cpu_us"} of what workers measured;
 * NULL: no memory. */
static json_t *bench_count(const struct bench *bench, enum token_algorithm algorithm,
                           unsigned workers)
{
    CLEANUP(free_p) uint32_t *all = calloc((size_t)workers * BENCH_SAMPLES, sizeof(*all));
    uint64_t count = 0, cpu = 0, per_s = 0;
    size_t len = 0;

    if (!all)
        return NULL;
    for (unsigned i = 0; i < workers; i++) {
        const struct bench_share *share = &bench->shares[i];
        size_t kept = share->count < BENCH_SAMPLES ? share->count : BENCH_SAMPLES;
        memcpy(all + len, share->samples, kept * sizeof(*all));
        len += kept;
        count += share->count;
        cpu += share->cpu_us;
        per_s += share->wall_us ? share->count * 1000000 / share->wall_us : 0;
    }
    if (len == 0)
        return NULL;
    qsort(all, len, sizeof(*all), bench_compare);
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I}", "algorithm",
                     token_algorithm_name(algorithm), "workers", (int)workers, "signatures",
                     (json_int_t)count, "per_s", (json_int_t)per_s, "p50_us",
                     (json_int_t)all[len / 2], "p99_us", (json_int_t)all[len * 99 / 100], "cpu_us",
                     (json_int_t)(cpu / count));
}

/* One number of workers, all algorithms. */
static enum esign_rc bench_measure(struct bench *bench, unsigned workers, json_t *rows,
                                   struct fault *f)
{
    CLEANUP(bench_dismiss) struct bench_crew crew = {0};
    enum esign_rc rc = bench_hire(bench, workers, &crew, f);

    for (size_t i = 0; rc == ESIGN_OK && bench_algorithms[i]; i++) {
        enum token_algorithm algorithm = bench_algorithms[i];
        if (!bench->there[algorithm])
            continue;
        rc = bench_round(bench, &crew, algorithm, false, f); /* keys are found, or made */
        if (rc == ESIGN_OK)
            rc = bench_round(bench, &crew, algorithm, true, f);
        if (rc == ESIGN_OK &&
            json_array_append_new(rows, bench_count(bench, algorithm, workers)) != 0)
            rc = fault_set(f, ESIGN_E_INTERNAL, "no memory for a measurement");
    }
    return rc;
}

/* The least number of workers of an algorithm with nearly its best rate; NULL: not measured. */
static json_t *bench_enough(const json_t *rows, enum token_algorithm algorithm)
{
    const char *name = token_algorithm_name(algorithm);
    json_int_t best = 0, workers = 0, rate = 0;

    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *row = json_array_get(rows, i);
            json_int_t per_s = json_integer_value(json_object_get(row, "per_s"));
            json_int_t count = json_integer_value(json_object_get(row, "workers"));
            if (strcmp(json_string_value(json_object_get(row, "algorithm")), name) != 0)
                continue;
            if (pass == 0 && per_s > best)
                best = per_s;
            if (pass == 1 && per_s * 100 >= best * BENCH_ENOUGH_PERCENT &&
                (workers == 0 || count < workers)) {
                workers = count;
                rate = per_s;
            }
        }
    return workers
               ? json_pack("{s:s, s:I, s:I}", "algorithm", name, "workers", workers, "per_s", rate)
               : NULL;
}

static json_t *bench_report(const struct bench *bench, json_t *rows)
{
    const struct probe_run *run = &bench->parent.run;
    const struct probe_result *clean = &run->results[probe_check_by_name("clean")];
    json_t *enough = json_array(), *absent = json_array();
    char at[CLOCK_TEXT];

    for (size_t i = 0; bench_algorithms[i]; i++) {
        enum token_algorithm algorithm = bench_algorithms[i];
        json_t *one = bench_enough(rows, algorithm);
        if (one)
            (void)json_array_append_new(enough, one); /* missed by who reads it */
        if (bench_wants(bench, i) && !bench->there[algorithm])
            (void)json_array_append_new(absent, json_pack("{s:s, s:s}", "algorithm",
                                                          token_algorithm_name(algorithm), "detail",
                                                          bench->absent[algorithm])); /* as above */
    }
    clock_format_utc(clock_now_ms(clock_system()), at);
    (void)json_object_set_new(run->facts, "name",
                              json_string(config_token_str(run->config, run->index, "name")));
    return json_pack("{s:i, s:s, s:s, s:s, s:i, s:I, s:O, s:O, s:o, s:o, s:b, s:s}", "format",
                     BENCH_FORMAT, "kind", "token-bench", "at", at, "objects",
                     run->copied ? "copy" : (run->in_use ? "session" : "token"), "seconds",
                     (int)bench->options->seconds, "configured_workers",
                     (json_int_t)config_token_int(run->config, run->index, "workers"), "token",
                     run->facts, "rows", rows, "enough", enough, "absent", absent, "clean",
                     clean->verdict == PROBE_PASS, "clean_detail", clean->detail);
}

static void bench_done(struct bench *bench)
{
    json_decref(bench->parent.run.facts);
    if (bench->shares)
        (void)munmap(bench->shares,
                     PKCS11_BENCH_WORKERS_MAX * sizeof(*bench->shares)); /* a mapping of ours */
}

static enum esign_rc bench_begin(struct bench *bench, struct config *config, size_t index,
                                 struct probe_copy *copy, struct fault *f)
{
    struct probe_run *run = &bench->parent.run;
    struct probe id = {0};
    size_t old = 0;
    void *shares = mmap(NULL, PKCS11_BENCH_WORKERS_MAX * sizeof(*bench->shares),
                        PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shares == MAP_FAILED)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no shared memory");
    bench->shares = shares;
    *run = (struct probe_run){
        .config = config, .index = index, .facts = json_object(), .in_use = bench->options->in_use};
    probe_new_run(bench->parent.id);
    memcpy(id.run, bench->parent.id, sizeof(id.run));
    for (size_t i = 0; i < PROBE_ALGORITHMS_MAX; i++)
        probe_new_id(&id, bench->ids[i]);
    enum esign_rc rc = probe_copy_sweep(&old, f);
    return rc == ESIGN_OK && run->in_use ? probe_copy_make(config, index, copy, &run->copied, f)
                                         : rc;
}

enum esign_rc pkcs11_bench(struct config *config, size_t index,
                           const struct pkcs11_bench_options *options, json_t **ret,
                           struct fault *f)
{
    CLEANUP(probe_copy_remove) struct probe_copy copy = {.lock_fd = -1};
    CLEANUP(json_decref_p) json_t *rows = json_array();
    CLEANUP(bench_done) struct bench bench = {.options = options};
    enum esign_rc rc = bench_begin(&bench, config, index, &copy, f);

    if (rc == ESIGN_OK)
        rc = bench_make_keys(&bench, f);
    if (rc != ESIGN_OK)
        return rc;
    for (size_t i = 0; rc == ESIGN_OK && i < options->count; i++)
        rc = bench_measure(&bench, options->workers[i], rows, f);
    probe_clean(&bench.parent);
    if (rc == ESIGN_OK && !(*ret = bench_report(&bench, rows)))
        rc = fault_set(f, ESIGN_E_INTERNAL, "no memory for the report");
    return rc;
}
