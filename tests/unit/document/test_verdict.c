/* The verdict from facts and context: the order of the checks and what each decides. */
#include "req.h"

#include "base/cleanup.h"
#include "document/document.h"

static json_t *good_facts(void)
{
    json_t *facts = json_pack("{s:s,s:b,s:s,s:s,s:s,s:s,s:s,s:{s:s,s:{s:s,s:s,s:s}}}", "structure",
                              "ok", "identity", 1, "digest", "ok", "value", "ok", "attributes",
                              "ok", "chain", "ok", "detail", "", "envelope", "system", "production",
                              "record", "type", "batch", "id", "B-1", "version", "1");
    assert_non_null(facts);
    return facts;
}

static const struct document_context in_favour = {.record_type = "batch",
                                                  .record_id = "B-1",
                                                  .record_version = "1",
                                                  .audit = "member",
                                                  .signer_state = "active",
                                                  .production = true};

static void test_document_verdict__one_fact_changed__reason_told(void **state)
{
    REQ("11.10(a)", "11.70");
    (void)state;
    static const struct {
        const char *name, *value, *indication, *reason;
    } rows[] = {
        {"structure", "malformed", "TOTAL_FAILED", "SIG_INVALID"},
        {"digest", "mismatch", "TOTAL_FAILED", "RECORD_ALTERED"},
        {"digest", "unknown", "INDETERMINATE", "RECORD_ALTERED"},
        {"value", "malformed", "TOTAL_FAILED", "SIG_INVALID"},
        {"value", "bad", "TOTAL_FAILED", "ATTR_ALTERED"},
        {"attributes", "bad", "TOTAL_FAILED", "ATTR_ALTERED"},
        {"chain", "bad", "TOTAL_FAILED", "NO_TRUST_ANCHOR"},
        {"chain", "no-anchor", "INDETERMINATE", "NO_TRUST_ANCHOR"},
        {"chain", "expired", "INDETERMINATE", "NO_TRUST_ANCHOR"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct document_verdict verdict;
        CLEANUP(json_decref_p) json_t *facts = good_facts();
        assert_int_equal(json_object_set_new(facts, rows[i].name, json_string(rows[i].value)), 0);
        document_verdict(facts, &in_favour, &verdict);
        assert_string_equal(verdict.indication, rows[i].indication);
        assert_string_equal(verdict.reason, rows[i].reason);
    }
}

static void test_document_verdict__not_ours__indeterminate(void **state)
{
    REQ("11.10(a)");
    (void)state;
    struct document_verdict verdict;
    CLEANUP(json_decref_p) json_t *facts = good_facts();
    assert_int_equal(json_object_set_new(facts, "structure", json_string("not-ours")), 0);
    assert_int_equal(json_object_del(facts, "envelope"), 0);
    document_verdict(facts, &in_favour, &verdict);
    assert_string_equal(verdict.indication, "INDETERMINATE");
}

static void test_document_verdict__identity_lost__sig_invalid(void **state)
{
    REQ("11.70");
    (void)state;
    struct document_verdict verdict;
    CLEANUP(json_decref_p) json_t *facts = good_facts();
    assert_int_equal(json_object_set_new(facts, "identity", json_false()), 0);
    document_verdict(facts, &in_favour, &verdict);
    assert_string_equal(verdict.indication, "TOTAL_FAILED");
    assert_string_equal(verdict.reason, "SIG_INVALID");
}

static void test_document_verdict__context_changed__reason_told(void **state)
{
    REQ("11.10(a)", "11.70", "5.24", "5.41");
    (void)state;
    struct document_context rows[10];
    static const char *const expected[10][2] = {
        {"TOTAL_PASSED", ""},
        {"TOTAL_FAILED", "WRONG_RECORD"},
        {"TOTAL_FAILED", "WRONG_RECORD"},
        {"TOTAL_FAILED", "SIGNED_AFTER_REVOCATION"},
        {"TOTAL_FAILED", "SIGNED_WHILE_SUSPENDED"},
        {"TOTAL_FAILED", "NOT_IN_AUDIT"},
        {"INDETERMINATE", "NOT_IN_AUDIT"},
        {"TOTAL_FAILED", "AUDIT_BROKEN"},
        {"TOTAL_PASSED", ""},
        {"INDETERMINATE", "WRONG_RECORD"},
    };
    for (size_t i = 0; i < 10; i++)
        rows[i] = in_favour;
    rows[1].record_version = "2";
    rows[2].record_type = "deviation";
    rows[3].signer_state = "revoked";
    rows[4].signer_state = "suspended";
    rows[5].audit = "absent";
    rows[6].audit = NULL;
    rows[7].audit = "broken";
    rows[8].signer_state = NULL; /* a doubt that does not count */
    rows[9].record_id = NULL;
    for (size_t i = 0; i < 10; i++) {
        struct document_verdict verdict;
        CLEANUP(json_decref_p) json_t *facts = good_facts();
        document_verdict(facts, &rows[i], &verdict);
        assert_string_equal(verdict.indication, expected[i][0]);
        assert_string_equal(verdict.reason, expected[i][1]);
    }
}

static void test_document_verdict__test_signature__refused_in_production(void **state)
{
    REQ("5.41");
    (void)state;
    struct document_verdict verdict;
    struct document_context test = in_favour;
    CLEANUP(json_decref_p) json_t *facts = good_facts();
    json_t *envelope = json_object_get(facts, "envelope");
    assert_int_equal(json_object_set_new(envelope, "system", json_string("test")), 0);
    document_verdict(facts, &in_favour, &verdict);
    assert_string_equal(verdict.indication, "TOTAL_FAILED");
    assert_string_equal(verdict.reason, "NO_TRUST_ANCHOR");
    test.production = false;
    document_verdict(facts, &test, &verdict);
    assert_string_equal(verdict.indication, "TOTAL_PASSED");
}

static void test_document_verdict__failure_and_doubt__failure_first(void **state)
{
    REQ("11.70");
    (void)state;
    struct document_verdict verdict;
    struct document_context absent = in_favour;
    CLEANUP(json_decref_p) json_t *facts = good_facts();
    absent.audit = "absent";
    assert_int_equal(json_object_set_new(facts, "digest", json_string("unknown")), 0);
    document_verdict(facts, &absent, &verdict);
    assert_string_equal(verdict.indication, "TOTAL_FAILED");
    assert_string_equal(verdict.reason, "NOT_IN_AUDIT");
}

static void test_document_checks__good__all_pass_in_order(void **state)
{
    REQ("11.10(a)");
    (void)state;
    static const char *const names[] = {"structure",
                                        "record",
                                        "record-reference",
                                        "value",
                                        "attributes",
                                        "identity",
                                        "signer-not-revoked",
                                        "signer-not-suspended",
                                        "audit-trail",
                                        "audit-entry",
                                        "chain",
                                        "system"};
    struct document_check checks[DOCUMENT_CHECKS_MAX];
    CLEANUP(json_decref_p) json_t *facts = good_facts();
    assert_int_equal(document_checks(facts, &in_favour, checks), sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_string_equal(checks[i].name, names[i]);
        assert_string_equal(document_result_name(checks[i].result), "pass");
        assert_string_equal(checks[i].detail, "");
    }
}

static void test_document_checks__empty_facts__nothing_passes(void **state)
{
    REQ("11.10(a)");
    (void)state;
    static const struct document_context nothing = {0};
    struct document_check checks[DOCUMENT_CHECKS_MAX];
    CLEANUP(json_decref_p) json_t *facts = json_object();
    size_t count = document_checks(facts, &nothing, checks);
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(checks[i].result, DOCUMENT_PASS);
        assert_true(checks[i].detail[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document_verdict__one_fact_changed__reason_told),
        cmocka_unit_test(test_document_verdict__not_ours__indeterminate),
        cmocka_unit_test(test_document_verdict__identity_lost__sig_invalid),
        cmocka_unit_test(test_document_verdict__context_changed__reason_told),
        cmocka_unit_test(test_document_verdict__test_signature__refused_in_production),
        cmocka_unit_test(test_document_verdict__failure_and_doubt__failure_first),
        cmocka_unit_test(test_document_checks__good__all_pass_in_order),
        cmocka_unit_test(test_document_checks__empty_facts__nothing_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
