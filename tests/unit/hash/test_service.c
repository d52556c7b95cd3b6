/* esign-hash as it runs: its service with real worker processes, at the lowest cost. */
#include "hash/hash.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/worker/serve.h"
#include "hash/service.h"

#include <signal.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "req.h"

enum { WAIT_MS = 60 * 1000 };

struct running {
    char directory[64], socket[96];
    pid_t supervisor;
    struct hash *hash;
};

DEFINE_CLEANUP(struct secret *, secret_free)

static int64_t soon(void)
{
    return clock_mono_ms(clock_system()) + WAIT_MS;
}

static struct config *write_config(const struct running *r)
{
    char path[96];
    struct config *config = NULL;
    struct fault f = {0};

    (void)snprintf(path, sizeof(path), "%s/conf", r->directory);
    CLEANUP(fclose_p) FILE *out = fopen(path, "we");
    assert_non_null(out);
    fprintf(out,
            "system_class = \"closed\";\nroles: { signer = \"t\"; ca = \"t\"; log = \"t\"; };\n"
            "hash: { socket = \"%s\"; memory_kib = 8192; iterations = 1; };\n"
            "tokens = ( { name = \"t\"; module = \"/m\"; uri = \"pkcs11:token=t\"; socket = "
            "\"/s\"; } );\n",
            r->socket);
    assert_int_equal(fflush(out), 0);
    if (config_load(path, &config, &f) != ESIGN_OK)
        fail_msg("%s", f.detail);
    return config;
}

static int setup(void **state)
{
    static struct running r;
    int fd = -1;

    (void)snprintf(r.directory, sizeof(r.directory), "/tmp/esign-hash-XXXXXX");
    assert_non_null(mkdtemp(r.directory));
    (void)snprintf(r.socket, sizeof(r.socket), "%s/sock", r.directory);
    assert_int_equal(secret_start(NULL), ESIGN_OK);
    assert_int_equal(worker_listen(r.socket, SOCK_SEQPACKET, 0600, &fd, NULL), ESIGN_OK);
    struct config *config = write_config(&r);
    r.supervisor = fork();
    assert_true(r.supervisor >= 0);
    if (r.supervisor == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        struct hash_service h = hash_service_of(config);
        const struct worker_service service = hash_worker_service(&h, config, getuid());
        _exit(worker_supervise(fd, &service));
    }
    config_free(config);
    assert_int_equal(close(fd), 0);
    assert_int_equal(hash_open(r.socket, 2, &r.hash, NULL), ESIGN_OK);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct running *r = *state;
    int status = 0;

    hash_close(r->hash);
    assert_int_equal(kill(r->supervisor, SIGTERM), 0);
    assert_int_equal(waitpid(r->supervisor, &status, 0), r->supervisor);
    assert_int_equal(status, 0);
    (void)unlink(r->socket);
    memcpy(r->socket + strlen(r->directory), "/conf", sizeof("/conf"));
    (void)unlink(r->socket);
    assert_int_equal(rmdir(r->directory), 0);
    return 0;
}

static struct secret *secret_of(const char *text)
{
    struct secret *s = secret_new(bytes_of_str(text));

    assert_non_null(s);
    return s;
}

static bool verify(struct running *r, const char *phc, const char *password)
{
    CLEANUP(secret_free_p) struct secret *s = secret_of(password);
    bool belongs = true;
    struct fault f = {0};

    if (hash_verify(r->hash, phc, s, soon(), &belongs, NULL, &f) != ESIGN_OK)
        fail_msg("%s", f.detail);
    return belongs;
}

static void test_hash_make__password__argon2id_at_the_configured_cost(void **state)
{
    REQ("11.300", "design 9");
    struct running *r = *state;
    CLEANUP(secret_free_p) struct secret *s = secret_of("correct horse battery");
    char one[HASH_PHC_MAX], two[HASH_PHC_MAX];

    assert_int_equal(hash_make(r->hash, s, soon(), one, NULL), ESIGN_OK);
    assert_int_equal(hash_make(r->hash, s, soon(), two, NULL), ESIGN_OK);
    assert_ptr_equal(strstr(one, "$argon2id$v=19$m=8192,t=1,p=1$"), one);
    assert_string_not_equal(one, two); /* a fresh salt each */
    assert_int_equal(crypto_pwhash_str_verify(one, "correct horse battery", 21), 0);
}

static void test_hash_verify__right_and_wrong__told_apart(void **state)
{
    REQ("11.200(a)(1)", "11.300");
    struct running *r = *state;
    CLEANUP(secret_free_p) struct secret *s = secret_of("correct horse battery");
    char phc[HASH_PHC_MAX];

    assert_int_equal(hash_make(r->hash, s, soon(), phc, NULL), ESIGN_OK);
    assert_true(verify(r, phc, "correct horse battery"));
    assert_false(verify(r, phc, "correct horse batterz"));
    assert_false(verify(r, phc, "correct horse batter"));
    assert_false(verify(r, phc, ""));
}

static void test_hash_verify__no_hash__false_whatever_the_password(void **state)
{
    REQ("11.300(d)");
    struct running *r = *state;

    assert_false(verify(r, NULL, "correct horse battery"));
    assert_false(verify(r, NULL, ""));
}

/* The processor time of the dummy's work is that of a real one: the answer must not tell whether
 * an id exists.  Compared as the best of several, with a wide margin: a missing dummy would be a
 * hundred times faster. */
static void test_hash_verify__no_hash__costs_as_much(void **state)
{
    REQ("11.300(d)");
    struct running *r = *state;
    CLEANUP(secret_free_p) struct secret *s = secret_of("correct horse battery");
    char phc[HASH_PHC_MAX];
    int64_t best[2] = {INT64_MAX, INT64_MAX};

    assert_int_equal(hash_make(r->hash, s, soon(), phc, NULL), ESIGN_OK);
    for (int i = 0; i < 20; i++) {
        struct timespec from, to;
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &from), 0);
        (void)verify(r, i % 2 ? phc : NULL, "wrong");
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &to), 0);
        int64_t us = (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000;
        if (us < best[i % 2])
            best[i % 2] = us;
    }
    assert_true(best[0] * 3 > best[1] && best[1] * 3 > best[0]);
}

static void test_hash_verify__not_argon2id__refused(void **state)
{
    REQ("11.300");
    struct running *r = *state;
    CLEANUP(secret_free_p) struct secret *s = secret_of("x");
    bool belongs = false;

    assert_int_equal(hash_verify(r->hash, "$6$salt$sha512crypt", s, soon(), &belongs, NULL, NULL),
                     ESIGN_E_PROTO);
    assert_false(verify(r, "$argon2id$v=19$m=8192,t=1,p=1$broken", "x"));
}

static void test_hash_make__longest_secret__round_trip(void **state)
{
    REQ("11.300");
    struct running *r = *state;
    char text[SECRET_MAX + 1] = {0}, phc[HASH_PHC_MAX];

    memset(text, 'a', SECRET_MAX);
    CLEANUP(secret_free_p) struct secret *s = secret_of(text);
    assert_int_equal(hash_make(r->hash, s, soon(), phc, NULL), ESIGN_OK);
    assert_true(verify(r, phc, text));
    text[SECRET_MAX - 1] = 'b'; /* the last byte counts */
    assert_false(verify(r, phc, text));
}

/* Source: daemon/hash/FORMAT.md, computed again here from the string. */
static void test_hash_make_key__password__verifier_and_key_of_one_argon2id(void **state)
{
    REQ("11.300", "design 8");
    struct running *r = *state;
    CLEANUP(secret_free_p) struct secret *s = secret_of("correct horse battery");
    CLEANUP(secret_free_p) struct secret *key = NULL;
    CLEANUP(secret_free_p) struct secret *again = NULL;
    char phc[HASH_PHC_MAX], text[64];
    uint8_t salt[16], master[32], verifier[32], sealing[32];
    bool belongs = false;

    assert_int_equal(hash_make_key(r->hash, s, soon(), phc, &key, NULL), ESIGN_OK);
    const char *begin = "$esignd-argon2id-keyed$v=1$m=8192,t=1,p=1$";
    assert_ptr_equal(strstr(phc, begin), phc);
    assert_int_equal(sodium_base642bin(salt, 16, phc + strlen(begin), 22, NULL, NULL, NULL,
                                       sodium_base64_VARIANT_ORIGINAL_NO_PADDING),
                     0);
    assert_int_equal(crypto_pwhash(master, 32, "correct horse battery", 21, salt, 1, 8192 * 1024,
                                   crypto_pwhash_ALG_ARGON2ID13),
                     0);
    crypto_auth_hmacsha256(verifier, (const uint8_t *)"esignd password verifier 1", 26, master);
    crypto_auth_hmacsha256(sealing, (const uint8_t *)"esignd sealing key 1", 20, master);
    assert_true(secret_equal(key, bytes_of(sealing, 32)));
    sodium_bin2base64(text, sizeof(text), verifier, 32, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    assert_string_equal(strrchr(phc, '$') + 1, text);
    assert_int_equal(hash_verify(r->hash, phc, s, soon(), &belongs, &again, NULL), ESIGN_OK);
    assert_true(belongs && again && secret_equal(again, bytes_of(sealing, 32)));
}

static void test_hash_verify__wrong_password_or_another_hash__no_key(void **state)
{
    REQ("11.300", "design 8");
    struct running *r = *state;
    CLEANUP(secret_free_p) struct secret *s = secret_of("correct horse battery");
    CLEANUP(secret_free_p) struct secret *wrong = secret_of("correct horse batterz");
    CLEANUP(secret_free_p) struct secret *key = NULL;
    struct secret *none = NULL;
    char phc[HASH_PHC_MAX], plain[HASH_PHC_MAX];
    bool belongs = true;

    assert_int_equal(hash_make_key(r->hash, s, soon(), phc, &key, NULL), ESIGN_OK);
    assert_int_equal(hash_make(r->hash, s, soon(), plain, NULL), ESIGN_OK);
    assert_int_equal(hash_verify(r->hash, phc, wrong, soon(), &belongs, &none, NULL), ESIGN_OK);
    assert_true(!belongs && !none);
    assert_int_equal(hash_verify(r->hash, plain, s, soon(), &belongs, &none, NULL), ESIGN_OK);
    assert_true(belongs && !none);
}

static void test_hash_verify__keyed_hash_malformed__refused(void **state)
{
    REQ("11.300");
    struct running *r = *state;
    static const char *const rows[] = {
        "m=8192,t=1,p=1$",
        "m=8192,t=1,p=2$AAAAAAAAAAAAAAAAAAAAAA$",
        "m=0,t=1,p=1$",
        "m=99999999,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "m=8192,t=17,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "m=8192,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAx"};
    CLEANUP(secret_free_p) struct secret *s = secret_of("x");
    char phc[HASH_PHC_MAX];
    bool belongs = false;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(phc, sizeof(phc), "$esignd-argon2id-keyed$v=1$%s", rows[i]);
        assert_int_equal(hash_verify(r->hash, phc, s, soon(), &belongs, NULL, NULL), ESIGN_E_PROTO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_make__password__argon2id_at_the_configured_cost),
        cmocka_unit_test(test_hash_verify__right_and_wrong__told_apart),
        cmocka_unit_test(test_hash_verify__no_hash__false_whatever_the_password),
        cmocka_unit_test(test_hash_verify__no_hash__costs_as_much),
        cmocka_unit_test(test_hash_verify__not_argon2id__refused),
        cmocka_unit_test(test_hash_make__longest_secret__round_trip),
        cmocka_unit_test(test_hash_make_key__password__verifier_and_key_of_one_argon2id),
        cmocka_unit_test(test_hash_verify__wrong_password_or_another_hash__no_key),
        cmocka_unit_test(test_hash_verify__keyed_hash_malformed__refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
