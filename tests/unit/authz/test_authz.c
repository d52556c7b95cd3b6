#include "authz/authz.h"

#include "req.h"

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    struct fault f;

    assert_int_equal(json_parse_object(bytes_of_str(text), &value, &f), ESIGN_OK);
    return value;
}

#define SIGNER  "{\"signer_id\":\"S-1\",\"user_id\":\"jdoe\",\"roles\":[\"signer\"]}"
#define OFFICER "{\"signer_id\":\"S-2\",\"user_id\":\"off\",\"roles\":[\"regadmin\"]}"
#define MEANING "{\"code\":\"approved\",\"reason_required\":false}"
#define REJECT  "{\"code\":\"rejected\",\"reason_required\":true}"
#define PLAN                                                                                       \
    "{\"id\":\"single\",\"steps\":[{\"id\":\"approve\",\"meanings\":[\"approved\",\"rejected\"]}]" \
    "}"
#define NARROW       "{\"id\":\"single\",\"steps\":[{\"id\":\"approve\",\"meanings\":[\"reviewed\"]}]}"
#define TICKET(more) "{\"state\":\"ready\",\"step\":\"approve\",\"expires_ms\":1000" more "}"

static void test_authz_sign__table__as_expected(void **state)
{
    REQ("11.10(g)", "11.10(f)", "11.50(a)(3)", "5.36");
    (void)state;
    static const struct {
        const char *name, *signer, *ticket, *meaning, *plan, *application;
        int64_t now_ms;
        enum esign_rc rc;
        const char *reason;
    } rows[] = {
        {"plain", SIGNER, TICKET(""), MEANING, PLAN, NULL, 1, ESIGN_OK, ""},
        {"no role", OFFICER, TICKET(""), MEANING, PLAN, NULL, 1, ESIGN_E_AUTHZ, "signer"},
        {"expired", SIGNER, TICKET(""), MEANING, PLAN, NULL, 1000, ESIGN_E_CONFLICT, "expired"},
        {"for me", SIGNER, TICKET(",\"signer\":\"jdoe\""), MEANING, PLAN, NULL, 1, ESIGN_OK, ""},
        {"for another", SIGNER, TICKET(",\"signer\":\"xx\""), MEANING, PLAN, NULL, 1, ESIGN_E_AUTHZ,
         ""},
        {"own application", SIGNER, TICKET(",\"application\":\"mes\""), MEANING, PLAN, "mes", 1,
         ESIGN_OK, ""},
        {"other application", SIGNER, TICKET(",\"application\":\"mes\""), MEANING, PLAN, "lims", 1,
         ESIGN_E_AUTHZ, ""},
        {"ticket of a terminal", SIGNER, TICKET(""), MEANING, PLAN, "lims", 1, ESIGN_E_AUTHZ, ""},
        {"meaning denied", SIGNER, TICKET(""), MEANING, NARROW, NULL, 1, ESIGN_E_MEANING, "denied"},
        {"no reason", SIGNER, TICKET(""), REJECT, PLAN, NULL, 1, ESIGN_E_REASON_REQUIRED, ""},
        {"reason", SIGNER, TICKET(",\"reason\":\"x\""), REJECT, PLAN, NULL, 1, ESIGN_OK, ""},
        {"unknown step", SIGNER, "{\"state\":\"ready\",\"step\":\"qp\",\"expires_ms\":1000}",
         MEANING, PLAN, NULL, 1, ESIGN_E_SEQUENCE, ""},
        {"signed", SIGNER, "{\"state\":\"signed\",\"step\":\"approve\",\"expires_ms\":1000}",
         MEANING, PLAN, NULL, 1, ESIGN_E_REPLAY, ""},
        {"in progress", SIGNER, "{\"state\":\"signing\",\"step\":\"approve\",\"expires_ms\":1000}",
         MEANING, PLAN, NULL, 1, ESIGN_E_REPLAY, ""},
        {"declined", SIGNER, "{\"state\":\"declined\",\"step\":\"approve\",\"expires_ms\":1000}",
         MEANING, PLAN, NULL, 1, ESIGN_E_CONFLICT, "declined"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fault f = {0};
        json_t *signer = parse(rows[i].signer), *ticket = parse(rows[i].ticket);
        json_t *meaning = parse(rows[i].meaning), *plan = parse(rows[i].plan);
        const struct authz_signing s = {signer,        ticket, meaning, plan, rows[i].application,
                                        rows[i].now_ms};
        if (authz_sign(&s, &f) != rows[i].rc)
            fail_msg("%s: %s", rows[i].name, fault_name(f.rc));
        assert_string_equal(f.reason, rows[i].reason);
        json_decref(signer);
        json_decref(ticket);
        json_decref(meaning);
        json_decref(plan);
    }
}

static void test_authz_dual_decide__same_person_or_subject__refused(void **state)
{
    REQ("11.200(a)(3)", "A2", "A9");
    (void)state;
    const struct authz_dual *dual = authz_dual_find("signer.enroll");
    json_t *both = parse("{\"signer_id\":\"S-1\",\"roles\":[\"regadmin\",\"secofficer\"]}");
    json_t *plain = parse(SIGNER);
    struct fault f;

    assert_non_null(dual);
    assert_null(authz_dual_find("signer.delete"));
    assert_int_equal(authz_dual_decide(dual, both, "S-1", NULL, &f), ESIGN_E_DUAL_SELF);
    assert_int_equal(authz_dual_decide(dual, both, "S-2", "S-1", &f), ESIGN_E_DUAL_SELF);
    assert_int_equal(authz_dual_decide(dual, plain, "S-2", NULL, &f), ESIGN_E_AUTHZ);
    assert_int_equal(authz_dual_decide(dual, both, "S-2", "S-3", &f), ESIGN_OK);
    json_decref(both);
    json_decref(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authz_sign__table__as_expected),
        cmocka_unit_test(test_authz_dual_decide__same_person_or_subject__refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
