/* How old a password may become, by a clock of the test's own. */
#include "authn/credential.h"

#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "req.h"

#define DAY INT64_C(86400000)

static const char changed_text[] = "2026-11-22T13:03:07.123Z";

static int64_t changed_ms(void)
{
    int64_t ms = 0;

    assert_int_equal(clock_parse_utc(changed_text, &ms), ESIGN_OK);
    return ms;
}

static void test_authn_credential_at__age__fires_on_the_day_and_not_before(void **state)
{
    REQ("11.300(b)", "5.8", "3.3");
    (void)state;
    CLEANUP(json_decref_p)
    json_t *row = json_pack("{s:s, s:s}", "state", "active", "changed", changed_text);
    CLEANUP(json_decref_p) json_t *policy = json_pack("{s:{s:i}}", "password", "max_age_d", 100);
    const struct {
        int64_t after_ms, days_left;
        const char *state;
        bool warn;
    } rows[] = {{0, 100, "active", false},          {86 * DAY, 14, "active", false},
                {86 * DAY + 1, 13, "active", true}, {100 * DAY - 1, 0, "active", true},
                {100 * DAY, 0, "expired", false},   {400 * DAY, 0, "expired", false}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct authn_credential c =
            authn_credential_at(row, policy, changed_ms() + rows[i].after_ms);
        assert_string_equal(c.state, rows[i].state);
        assert_int_equal(c.days_left, rows[i].days_left);
        assert_int_equal(c.warn, rows[i].warn);
        assert_int_equal(c.expires_ms, changed_ms() + 100 * DAY);
    }
    assert_string_equal(authn_credential_at(row, NULL, changed_ms() + 365 * DAY - 1).state,
                        "active");
    assert_string_equal(authn_credential_at(row, NULL, changed_ms() + 365 * DAY).state, "expired");
}

static void test_authn_credential_at__row_without_a_time__expired(void **state)
{
    REQ("11.300(b)");
    (void)state;
    CLEANUP(json_decref_p) json_t *row = json_pack("{s:s}", "state", "active");
    CLEANUP(json_decref_p) json_t *empty = json_object();

    assert_string_equal(authn_credential_at(row, NULL, changed_ms()).state, "expired");
    assert_string_equal(authn_credential_at(empty, NULL, changed_ms()).state, "revoked");
}

static int64_t fixed_ms; /* set before the store is opened, then by the only thread that writes */

static int64_t fixed_now(void *ctx)
{
    (void)ctx;
    return fixed_ms;
}

static int64_t real_mono(void *ctx)
{
    (void)ctx;
    return clock_mono_ms(clock_system());
}

static void test_authn_credential_usable__each_state__as_the_purpose_allows(void **state)
{
    REQ("3.3", "11.300(b)", "A1");
    (void)state;
    static const struct clock clock = {fixed_now, real_mono, NULL};
    char folder[] = "/tmp/esign-credential-XXXXXX", path[128];
    struct store *store = NULL;
    struct fault f;
    static const struct {
        const char *state;
        int64_t age_d;
        const char *act, *change; /* reasons; "": allowed */
    } rows[] = {{"active", 0, "", ""},
                {"active", 365, "expired", ""},
                {"must_change", 0, "must_change", ""},
                {"must_change", 400, "must_change", ""},
                {"revoked", 0, "revoked", "revoked"},
                {"revoked", 400, "revoked", "revoked"}};

    fixed_ms = changed_ms();
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/store.db", folder);
    assert_int_equal(store_open(path, &clock, &store, &f), ESIGN_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CLEANUP(json_decref_p)
        json_t *row = json_pack("{s:s, s:s}", "state", rows[i].state, "changed", changed_text);
        fixed_ms = changed_ms() + rows[i].age_d * DAY;
        f = (struct fault){0};
        assert_int_equal(authn_credential_usable(store, row, AUTHN_ACT, &f),
                         *rows[i].act ? ESIGN_E_CRED_STATE : ESIGN_OK);
        assert_string_equal(f.reason, rows[i].act);
        f = (struct fault){0};
        assert_int_equal(authn_credential_usable(store, row, AUTHN_CHANGE, &f),
                         *rows[i].change ? ESIGN_E_CRED_STATE : ESIGN_OK);
        assert_string_equal(f.reason, rows[i].change);
    }
    store_close(store);
    (void)snprintf(path, sizeof(path), "rm -rf %s", folder);
    assert_int_equal(system(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authn_credential_at__age__fires_on_the_day_and_not_before),
        cmocka_unit_test(test_authn_credential_at__row_without_a_time__expired),
        cmocka_unit_test(test_authn_credential_usable__each_state__as_the_purpose_allows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
