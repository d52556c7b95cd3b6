/* Components against a real store; only the slow hash is a fake behind its own interface. */
#include "authn/components.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "req.h"

static atomic_int hashes_computed;
static atomic_bool hash_is_down;

enum esign_rc hash_verify(struct hash *h, const char *phc, const struct secret *s,
                          int64_t deadline_at_ms, bool *ret, struct secret **ret_key,
                          struct fault *f)
{
    (void)h;
    (void)ret_key; /* no key of these tests is in custody K2 */
    (void)deadline_at_ms;
    atomic_fetch_add(&hashes_computed, 1);
    if (atomic_load(&hash_is_down))
        return fault_reason(f, ESIGN_E_HSM, "worker", "esign-hash is down");
    *ret = phc && secret_equal(s, bytes_of_str(phc));
    return ESIGN_OK;
}

/* The site's clock: the system's, moved by the test. */
static _Atomic int64_t clock_mono_skip, clock_wall_skip;

static int64_t moved_now(void *ctx)
{
    (void)ctx;
    return clock_now_ms(clock_system()) + atomic_load(&clock_wall_skip);
}

static int64_t moved_mono(void *ctx)
{
    (void)ctx;
    return clock_mono_ms(clock_system()) + atomic_load(&clock_mono_skip);
}

static const struct clock moved_clock = {moved_now, moved_mono, NULL};

static const struct authn_limits no_delay = {.lock_after = 5, .alert_after = 3};

struct fixture {
    char path[64];
    struct authn_limits limits;
    struct turns turns;
    struct store *store;
};

static int64_t soon(void)
{
    return clock_mono_ms(&moved_clock) + 30000;
}

static void put(struct store *store, const char *kind, const char *id, json_t *body)
{
    json_t *entry = json_pack("{s:s, s:{s:s}, s:s, s:s}", "action", "test.put", "actor", "role",
                              "system", "object", id, "result", "OK");
    struct store_change change = {.entry = entry, .rows = {{kind, id, body}}, .row_count = 1};
    struct store_receipt receipt;
    struct fault f;

    assert_int_equal(store_commit(store, &change, soon(), &receipt, &f), ESIGN_OK);
    json_decref(entry);
    json_decref(body);
}

static void put_credential(struct store *store, const char *state)
{
    char at[CLOCK_TEXT];

    clock_format_utc(clock_now_ms(clock_system()), at);
    put(store, "credential", "S-1",
        json_pack("{s:s, s:s, s:s}", "phc", "right password", "state", state, "changed", at));
}

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));
    struct fault f;

    assert_non_null(x);
    atomic_store(&clock_mono_skip, 0);
    atomic_store(&clock_wall_skip, 0);
    x->limits = no_delay;
    turns_init(&x->turns);
    assert_int_equal(secret_start(&f), ESIGN_OK);
    (void)snprintf(x->path, sizeof(x->path), "/tmp/esign-authn-XXXXXX");
    assert_non_null(mkdtemp(x->path));
    char file[128];
    (void)snprintf(file, sizeof(file), "%s/store.db", x->path);
    assert_int_equal(store_open(file, &moved_clock, &x->store, &f), ESIGN_OK);
    put(x->store, "userid", "jdoe", json_pack("{s:s}", "signer_id", "S-1"));
    put(x->store, "signer", "S-1",
        json_pack("{s:s, s:s, s:s}", "signer_id", "S-1", "user_id", "jdoe", "state", "active"));
    put_credential(x->store, "active");
    atomic_store(&hashes_computed, 0);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;
    char command[128];

    store_close(x->store);
    (void)snprintf(command, sizeof(command), "rm -rf %s", x->path);
    assert_int_equal(system(command), 0);
    free(x);
    return 0;
}

static enum esign_rc
claim_by(enum esign_rc (*prove)(struct store *, struct hash *, const struct authn_claim *,
                                struct authn_person *, struct fault *),
         struct fixture *x, const char *user_id, const char *password, struct fault *f)
{
    struct secret *secret = secret_new(bytes_of_str(password));
    struct authn_person person = {0};
    const struct authn_claim c = {user_id, secret, "mes", NULL, x->limits, soon(), &x->turns};
    enum esign_rc rc = prove(x->store, NULL, &c, &person, f);

    if (rc == ESIGN_OK) {
        /* what every act does with its own commit */
        json_t *entry = json_pack("{s:s, s:{s:s}, s:s, s:s}", "action", "test.act", "actor", "role",
                                  "system", "object", "signer/S-1", "result", "OK");
        struct store_change change = {.entry = entry};
        struct store_receipt receipt;
        authn_settle_into(&person, &change);
        assert_int_equal(store_commit(x->store, &change, soon(), &receipt, f), ESIGN_OK);
        json_decref(entry);
    }
    authn_person_done(&person);
    secret_free(secret);
    return rc;
}

static enum esign_rc claim(struct fixture *x, const char *user_id, const char *password,
                           struct fault *f)
{
    return claim_by(authn_components, x, user_id, password, f);
}

static void
test_authn_components__unknown_code_and_wrong_password__same_answer_same_work(void **state)
{
    REQ("11.200(a)(1)", "5.25");
    struct fixture *x = *state;
    struct fault unknown, wrong;

    assert_int_equal(claim(x, "nobody", "right password", &unknown), ESIGN_E_AUTH_FAILED);
    assert_int_equal(atomic_load(&hashes_computed), 1);
    assert_int_equal(claim(x, "jdoe", "wrong", &wrong), ESIGN_E_AUTH_FAILED);
    assert_int_equal(atomic_load(&hashes_computed), 2);
    assert_string_equal(unknown.detail, wrong.detail);
    assert_string_equal(unknown.reason, wrong.reason);
    assert_string_equal(unknown.field, wrong.field);
}

static void test_authn_components__unknown_code__is_not_written(void **state)
{
    REQ("11.300 opening");
    struct fixture *x = *state;
    struct fault f;
    struct buf entry = buf_new(STORE_ENTRY_MAX);

    assert_int_equal(claim(x, "typed-my-password-here", "x", &f), ESIGN_E_AUTH_FAILED);
    for (int64_t seq = 0; seq < store_size(x->store); seq++) {
        buf_clear(&entry);
        assert_int_equal(store_entry(x->store, seq, &entry, &f), ESIGN_OK);
        assert_null(strstr(buf_str(&entry), "typed-my-password-here"));
    }
    buf_done(&entry);
}

static void test_authn_components__any_case_of_the_code__is_the_person(void **state)
{
    REQ("11.100(a)");
    struct fixture *x = *state;
    struct fault f;

    assert_int_equal(claim(x, "JDoe", "right password", &f), ESIGN_OK);
}

static void test_authn_components__five_failures__locked_even_for_the_right_password(void **state)
{
    REQ("11.300(d)", "S8");
    struct fixture *x = *state;
    struct fault f;
    bool locked = false;

    for (int i = 0; i < 5; i++)
        assert_int_equal(claim(x, "jdoe", "wrong", &f), ESIGN_E_AUTH_FAILED);
    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_E_SIGNER_STATE);
    assert_string_equal(f.reason, "locked");
    assert_int_equal(atomic_load(&hashes_computed), 5);
    assert_int_equal(authn_is_locked(x->store, "S-1", 5, &locked, &f), ESIGN_OK);
    assert_true(locked);
}

static void test_authn_components__success__resets_the_counter(void **state)
{
    REQ("11.300(d)");
    struct fixture *x = *state;
    struct fault f;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            assert_int_equal(claim(x, "jdoe", "wrong", &f), ESIGN_E_AUTH_FAILED);
        assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_OK);
    }
}

static void *guess(void *ctx)
{
    struct fault f;

    (void)claim(ctx, "jdoe", "wrong", &f); /* counted below */
    return NULL;
}

static void test_authn_components__parallel_guesses__exactly_five_evaluated(void **state)
{
    REQ("11.300(d)");
    struct fixture *x = *state;
    pthread_t threads[32];
    struct fault f;

    for (size_t i = 0; i < 32; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, guess, x), 0);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&hashes_computed), 5);
    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_E_SIGNER_STATE);
}

static void *guess_right(void *ctx)
{
    struct fault f;

    return (void *)(uintptr_t)claim(ctx, "jdoe", "right password", &f);
}

static void test_authn_components__parallel_right_passwords__all_accepted(void **state)
{
    REQ("11.200(a)(1)");
    struct fixture *x = *state;
    pthread_t threads[16];

    for (size_t i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, guess_right, x), 0);
    for (size_t i = 0; i < 16; i++) {
        void *rc = NULL;
        assert_int_equal(pthread_join(threads[i], &rc), 0);
        assert_int_equal((uintptr_t)rc, ESIGN_OK);
    }
}

static void test_authn_components__hash_service_down__right_passwords_lock_nobody(void **state)
{
    REQ("11.300(d)");
    struct fixture *x = *state;
    struct fault f;

    atomic_store(&hash_is_down, true);
    for (int i = 0; i < 8; i++)
        assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_E_HSM);
    atomic_store(&hash_is_down, false);
    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_OK);
}

static void test_authn_recover__tries_cut_off_by_a_crash__count_as_failures(void **state)
{
    REQ("11.300(d)", "S8");
    struct fixture *x = *state;
    struct fault f;
    size_t count = 0;
    bool locked = false;
    char slot[16];

    for (int i = 0; i < 5; i++) {
        (void)snprintf(slot, sizeof(slot), "S-1.%d", i);
        put(x->store, "try", slot, json_pack("{s:s, s:s}", "signer_id", "S-1", "state", "taken"));
    }
    assert_int_equal(authn_recover(x->store, INT64_MAX, soon(), &count, &f), ESIGN_OK);
    assert_int_equal(count, 5);
    assert_int_equal(authn_is_locked(x->store, "S-1", 5, &locked, &f), ESIGN_OK);
    assert_true(locked);
    assert_int_equal(authn_recover(x->store, INT64_MAX, soon(), &count, &f), ESIGN_OK);
    assert_int_equal(count, 0);
}

static void test_authn_components__locked_meanwhile__an_older_try_does_not_unlock(void **state)
{
    REQ("11.300(d)", "S8");
    struct fixture *x = *state;
    struct fault f;
    struct secret *secret = secret_new(bytes_of_str("right password"));
    struct authn_person person = {0};
    const struct authn_claim c = {"jdoe", secret, "mes", NULL, x->limits, soon(), &x->turns};

    assert_int_equal(authn_components(x->store, NULL, &c, &person, &f), ESIGN_OK);
    put(x->store, "attempt", "S-1",
        json_pack("{s:s, s:i}", "signer_id", "S-1", "failures", 5)); /* others fail meanwhile */
    json_t *entry = json_pack("{s:s, s:{s:s}, s:s, s:s}", "action", "test.act", "actor", "role",
                              "system", "object", "signer/S-1", "result", "OK");
    struct store_change change = {.entry = entry};
    struct store_receipt receipt;
    authn_release_into(&person, &change);
    assert_int_equal(store_commit(x->store, &change, soon(), &receipt, &f), ESIGN_OK);
    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_E_SIGNER_STATE);
    assert_string_equal(f.reason, "locked");
    json_decref(entry);
    authn_person_done(&person);
    secret_free(secret);
}

static void test_authn_components__revoked__told_only_after_right_components(void **state)
{
    REQ("11.10(g)", "3.3");
    struct fixture *x = *state;
    struct fault f;

    put(x->store, "signer", "S-1",
        json_pack("{s:s, s:s, s:s}", "signer_id", "S-1", "user_id", "jdoe", "state", "revoked"));
    assert_int_equal(claim(x, "jdoe", "wrong", &f), ESIGN_E_AUTH_FAILED);
    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_E_SIGNER_STATE);
    assert_string_equal(f.reason, "revoked");
}

static void
test_authn_components__must_change__told_after_right_ones_and_only_a_change(void **state)
{
    REQ("3.3", "11.300(b)");
    struct fixture *x = *state;
    struct fault f;

    put_credential(x->store, "must_change");
    assert_int_equal(claim(x, "jdoe", "wrong", &f), ESIGN_E_AUTH_FAILED);
    assert_string_equal(f.reason, "");
    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_E_CRED_STATE);
    assert_string_equal(f.reason, "must_change");
    assert_int_equal(claim_by(authn_components_to_change, x, "jdoe", "wrong", &f),
                     ESIGN_E_AUTH_FAILED);
    assert_int_equal(claim_by(authn_components_to_change, x, "jdoe", "right password", &f),
                     ESIGN_OK);
    put_credential(x->store, "revoked");
    assert_int_equal(claim_by(authn_components_to_change, x, "jdoe", "right password", &f),
                     ESIGN_E_CRED_STATE);
    assert_string_equal(f.reason, "revoked");
}

/* A try in memory, as a session makes it: the rows of the person, then a right or wrong answer. */
static enum esign_rc try_in_memory(struct fixture *x, bool right, struct fault *f)
{
    const struct authn_claim c = {
        .application = "mes", .limits = x->limits, .deadline_at_ms = soon(), .turns = &x->turns};
    struct authn_person person = {0};
    enum esign_rc rc = authn_person_of(x->store, &c, "S-1", &person, f);

    if (rc == ESIGN_OK && !right)
        rc = authn_count_failure(x->store, &c, "S-1", f);
    if (rc == ESIGN_OK) {
        json_t *entry = json_pack("{s:s, s:{s:s}, s:s, s:s}", "action", "test.act", "actor", "role",
                                  "system", "object", "signer/S-1", "result", "OK");
        struct store_change change = {.entry = entry};
        assert_null(person.slot);
        authn_settle_into(&person, &change);
        rc = store_commit(x->store, &change, soon(), NULL, f);
        json_decref(entry);
    }
    authn_person_done(&person);
    return rc;
}

static void test_authn_person_of__failures_in_memory__count_with_the_others(void **state)
{
    REQ("11.300(d)", "S7", "S8");
    struct fixture *x = *state;
    struct fault f;

    for (int i = 0; i < 2; i++)
        assert_int_equal(try_in_memory(x, false, &f), ESIGN_E_AUTH_FAILED);
    assert_int_equal(try_in_memory(x, true, &f), ESIGN_OK); /* the counter starts anew */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(try_in_memory(x, false, &f), ESIGN_E_AUTH_FAILED);
        assert_int_equal(claim(x, "jdoe", "wrong", &f), ESIGN_E_AUTH_FAILED);
    }
    assert_int_equal(try_in_memory(x, false, &f), ESIGN_E_AUTH_FAILED);
    assert_int_equal(try_in_memory(x, true, &f), ESIGN_E_SIGNER_STATE);
    assert_string_equal(f.reason, "locked");
    assert_int_equal(atomic_load(&hashes_computed), 2);
}

static void test_authn_person_of__unusable__refused(void **state)
{
    REQ("11.300(d)", "3.3");
    struct fixture *x = *state;
    struct fault f;

    put_credential(x->store, "must_change");
    assert_int_equal(try_in_memory(x, true, &f), ESIGN_E_CRED_STATE);
    assert_string_equal(f.reason, "must_change");
    put(x->store, "signer", "S-1",
        json_pack("{s:s, s:s, s:s}", "signer_id", "S-1", "user_id", "jdoe", "state", "suspended"));
    assert_int_equal(try_in_memory(x, true, &f), ESIGN_E_SIGNER_STATE);
    assert_string_equal(f.reason, "suspended");
}

/* How many entries of the trail have this action and alert (NULL: none). */
static int count_entries(struct fixture *x, const char *action, const char *alert)
{
    CLEANUP(buf_done) struct buf text = buf_new(STORE_ENTRY_MAX);
    struct fault f;
    int count = 0;

    for (int64_t seq = 0; seq < store_size(x->store); seq++) {
        CLEANUP(json_decref_p) json_t *entry = NULL;
        buf_clear(&text);
        assert_int_equal(store_entry(x->store, seq, &text, &f), ESIGN_OK);
        assert_int_equal(json_parse_object(buf_bytes(&text), &entry, &f), ESIGN_OK);
        const char *told = json_str(entry, "alert");
        if (strcmp(json_str(entry, "action"), action) == 0)
            count += alert ? told && strcmp(told, alert) == 0 : !told;
    }
    return count;
}

static void test_authn_components__third_failure_and_lock__alert(void **state)
{
    REQ("11.300(d)", "S8");
    struct fixture *x = *state;
    struct fault f;

    for (int i = 0; i < 5; i++)
        assert_int_equal(claim(x, "jdoe", "wrong", &f), ESIGN_E_AUTH_FAILED);
    assert_int_equal(claim(x, "jdoe", "wrong", &f), ESIGN_E_SIGNER_STATE);
    assert_int_equal(count_entries(x, "attempt.failed", NULL), 3);
    assert_int_equal(count_entries(x, "attempt.failed", "failures"), 1);
    assert_int_equal(count_entries(x, "signer.lock", "lockout"), 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(claim(x, "nobody", "wrong", &f), ESIGN_E_AUTH_FAILED);
    assert_int_equal(count_entries(x, "attempt.failed", NULL), 8);
}

static void test_authn_components__unusable__alert_with_right_components_only(void **state)
{
    REQ("11.300(d)", "3.3");
    struct fixture *x = *state;
    struct fault f;

    put_credential(x->store, "must_change");
    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_E_CRED_STATE);
    assert_int_equal(count_entries(x, "attempt.refused", NULL), 1);
    put_credential(x->store, "revoked");
    assert_int_equal(claim(x, "jdoe", "wrong", &f), ESIGN_E_AUTH_FAILED);
    assert_int_equal(count_entries(x, "attempt.refused", "unusable-credential"), 0);
    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_E_CRED_STATE);
    assert_int_equal(count_entries(x, "attempt.refused", "unusable-credential"), 1);
}

static void wrong(struct fixture *x, int times)
{
    struct fault f;

    for (int i = 0; i < times; i++)
        assert_int_equal(claim(x, "jdoe", "wrong", &f), ESIGN_E_AUTH_FAILED);
}

/* Even the right password is not looked at, and nothing is counted. */
static void refused_for(struct fixture *x, int seconds)
{
    struct fault f;
    int hashes = atomic_load(&hashes_computed);
    int failed = count_entries(x, "attempt.failed", NULL);

    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_E_RATE);
    assert_string_equal(f.reason, "delay");
    assert_int_equal(f.retry_after_s, seconds);
    assert_int_equal(atomic_load(&hashes_computed), hashes);
    assert_int_equal(count_entries(x, "attempt.failed", NULL), failed);
}

static void test_authn_components__inside_a_delay__neither_evaluated_nor_counted(void **state)
{
    REQ("11.300(d)", "0.3");
    struct fixture *x = *state;
    struct fault f;

    x->limits = authn_limits_of(NULL);
    wrong(x, 3);
    for (int i = 0; i < 10; i++)
        refused_for(x, 2);
    atomic_fetch_add(&clock_mono_skip, 2000);
    wrong(x, 1);
    refused_for(x, 5);
    assert_int_equal(try_in_memory(x, true, &f), ESIGN_E_RATE);
    assert_int_equal(claim(x, "nobody", "wrong", &f), ESIGN_E_AUTH_FAILED);
    atomic_fetch_add(&clock_mono_skip, 4500);
    refused_for(x, 1);
    atomic_fetch_add(&clock_mono_skip, 500);
    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_OK);
    wrong(x, 3); /* the counter has started anew */
    refused_for(x, 2);
}

static void test_authn_components__machine_time_set__ends_no_delay_and_makes_none(void **state)
{
    REQ("11.300(d)");
    struct fixture *x = *state;
    struct fault f;
    const int64_t year_ms = 365LL * 24 * 3600 * 1000;

    x->limits = authn_limits_of(NULL);
    wrong(x, 3);
    atomic_store(&clock_wall_skip, year_ms);
    refused_for(x, 2);
    atomic_store(&clock_wall_skip, year_ms - 30000);
    refused_for(x, 2);
    atomic_fetch_add(&clock_mono_skip, 2000);
    assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_OK);
}

static void reopen(struct fixture *x)
{
    char file[128];
    struct fault f;

    store_close(x->store);
    (void)snprintf(file, sizeof(file), "%s/store.db", x->path);
    assert_int_equal(store_open(file, &moved_clock, &x->store, &f), ESIGN_OK);
}

static void test_authn_components__restart__the_delay_begins_anew(void **state)
{
    REQ("11.300(d)");
    struct fixture *x = *state;
    struct fault f;
    static const int64_t after[] = {0, -3600000, 3600000}; /* the same boot, and other boots */

    x->limits = authn_limits_of(NULL);
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        wrong(x, 3);
        atomic_fetch_add(&clock_mono_skip, 1000);
        refused_for(x, 1);
        atomic_fetch_add(&clock_mono_skip, after[i]);
        reopen(x);
        refused_for(x, 2);
        atomic_fetch_add(&clock_mono_skip, 2000);
        assert_int_equal(claim(x, "jdoe", "right password", &f), ESIGN_OK);
    }
}

static void test_authn_components__parallel_guesses__no_more_than_before_a_delay(void **state)
{
    REQ("11.300(d)");
    struct fixture *x = *state;
    pthread_t threads[32];

    x->limits = authn_limits_of(NULL);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, guess, x), 0);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&hashes_computed), 3);
    refused_for(x, 2);
}

static void test_authn_recover__reaches_the_lock__alerts(void **state)
{
    REQ("11.300(d)");
    struct fixture *x = *state;
    struct fault f;
    size_t count = 0;

    wrong(x, 4);
    put(x->store, "try", "S-1.2", json_pack("{s:s, s:s}", "signer_id", "S-1", "state", "taken"));
    assert_int_equal(authn_recover(x->store, INT64_MAX, soon(), &count, &f), ESIGN_OK);
    assert_int_equal(count, 1);
    assert_int_equal(count_entries(x, "attempt.interrupted", "lockout"), 1);
}

static void test_authn_recover__while_others_fail__every_failure_counts(void **state)
{
    REQ("11.300(d)");
    struct fixture *x = *state;
    enum { GUESSES = 16, LEFT = 8 };
    pthread_t threads[GUESSES];
    struct fault f;
    size_t count = 0;
    char slot[16];
    bool locked = false;

    x->limits = (struct authn_limits){.lock_after = AUTHN_LOCK_MAX, .alert_after = 3};
    for (int i = 0; i < LEFT; i++) {
        (void)snprintf(slot, sizeof(slot), "S-1.%d", 90 + i);
        put(x->store, "try", slot, json_pack("{s:s, s:s}", "signer_id", "S-1", "state", "taken"));
    }
    int64_t before = store_size(x->store);
    for (size_t i = 0; i < GUESSES; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, guess, x), 0);
    assert_int_equal(authn_recover(x->store, before, soon(), &count, &f), ESIGN_OK);
    for (size_t i = 0; i < GUESSES; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(count, LEFT);
    assert_int_equal(authn_is_locked(x->store, "S-1", GUESSES + LEFT, &locked, &f), ESIGN_OK);
    assert_true(locked);
    assert_int_equal(authn_is_locked(x->store, "S-1", GUESSES + LEFT + 1, &locked, &f), ESIGN_OK);
    assert_false(locked);
}

static void test_authn_limits_check__numbers_out_of_range__named(void **state)
{
    REQ("0.3", "11.300(d)");
    (void)state;
    static const struct {
        const char *auth, *field;
    } rows[] = {
        {"{\"lock_after\":5,\"alert_after\":1,\"delay_s\":[]}", ""},
        {"{\"lock_after\":100,\"alert_after\":3,\"delay_s\":[0,3600]}", ""},
        {"{\"lock_after\":0,\"alert_after\":3,\"delay_s\":[]}", "auth.lock_after"},
        {"{\"lock_after\":101,\"alert_after\":3,\"delay_s\":[]}", "auth.lock_after"},
        {"{\"lock_after\":5,\"alert_after\":0,\"delay_s\":[]}", "auth.alert_after"},
        {"{\"lock_after\":5,\"delay_s\":[]}", "auth.alert_after"},
        {"{\"lock_after\":5,\"alert_after\":3}", "auth.delay_s"},
        {"{\"lock_after\":5,\"alert_after\":3,\"delay_s\":2}", "auth.delay_s"},
        {"{\"lock_after\":5,\"alert_after\":3,\"delay_s\":[-1]}", "auth.delay_s"},
        {"{\"lock_after\":5,\"alert_after\":3,\"delay_s\":[3601]}", "auth.delay_s"},
        {"{\"lock_after\":5,\"alert_after\":3,\"delay_s\":[\"2\"]}", "auth.delay_s"},
        {"{\"lock_after\":5,\"alert_after\":3,"
         "\"delay_s\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}",
         "auth.delay_s"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fault f = {0};
        CLEANUP(json_decref_p)
        json_t *policy = json_pack("{s:o}", "auth", json_loads(rows[i].auth, 0, NULL));
        assert_int_equal(authn_limits_check(policy, &f),
                         *rows[i].field ? ESIGN_E_POLICY : ESIGN_OK);
        assert_string_equal(f.field, rows[i].field);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_authn_components__unknown_code_and_wrong_password__same_answer_same_work),
        CASE(test_authn_components__unknown_code__is_not_written),
        CASE(test_authn_components__any_case_of_the_code__is_the_person),
        CASE(test_authn_components__five_failures__locked_even_for_the_right_password),
        CASE(test_authn_components__success__resets_the_counter),
        CASE(test_authn_components__parallel_guesses__exactly_five_evaluated),
        CASE(test_authn_components__parallel_right_passwords__all_accepted),
        CASE(test_authn_components__hash_service_down__right_passwords_lock_nobody),
        CASE(test_authn_recover__tries_cut_off_by_a_crash__count_as_failures),
        CASE(test_authn_components__locked_meanwhile__an_older_try_does_not_unlock),
        CASE(test_authn_components__revoked__told_only_after_right_components),
        CASE(test_authn_components__must_change__told_after_right_ones_and_only_a_change),
        CASE(test_authn_person_of__failures_in_memory__count_with_the_others),
        CASE(test_authn_person_of__unusable__refused),
        CASE(test_authn_components__third_failure_and_lock__alert),
        CASE(test_authn_components__unusable__alert_with_right_components_only),
        CASE(test_authn_components__inside_a_delay__neither_evaluated_nor_counted),
        CASE(test_authn_components__machine_time_set__ends_no_delay_and_makes_none),
        CASE(test_authn_components__restart__the_delay_begins_anew),
        CASE(test_authn_components__parallel_guesses__no_more_than_before_a_delay),
        CASE(test_authn_recover__reaches_the_lock__alerts),
        CASE(test_authn_recover__while_others_fail__every_failure_counts),
        CASE(test_authn_limits_check__numbers_out_of_range__named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
