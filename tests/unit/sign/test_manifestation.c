#include "base/cleanup.h"
#include "req.h"
#include "sign/sign.h"

static const char envelope_text[] =
    "{\"system\":\"production\",\"signer\":{\"printed_name\":\"Jane "
    "Doe\",\"user_id\":\"jdoe\",\"title\":\"QA "
    "Manager\"},\"role\":\"approver\",\"meaning\":{\"text\":\"I approve this "
    "record.\"},\"record\":{\"type\":\"batch\",\"id\":\"B-1\",\"version\":\"2\",\"digest_only\":"
    "false},"
    "\"time\":{\"utc\":\"2026-11-22T13:03:07.123Z\",\"offset\":\"+01:00\",\"zone\":\"Europe/"
    "Zurich\"},"
    "\"plan\":{\"id\":\"single\",\"step\":\"approve\"},\"signature_id\":\"G-1\"}";

static json_t *envelope(void)
{
    json_t *value = NULL;
    struct fault f;

    assert_int_equal(json_parse_object(bytes_of_str(envelope_text), &value, &f), ESIGN_OK);
    return value;
}

static void test_sign_manifestation__whole_envelope__every_item(void **state)
{
    REQ("11.50(a)", "11.50(a)(1)", "11.50(a)(2)", "11.50(a)(3)", "11.50(b)");
    (void)state;
    struct buf text = buf_new(8192);
    struct fault f;
    json_t *e = envelope();
    static const char *const items[] = {"Jane Doe",
                                        "jdoe",
                                        "QA Manager",
                                        "approver",
                                        "I approve this record.",
                                        "batch B-1 version 2",
                                        "2026-11-22 14:03:07 +01:00 (Europe/Zurich) / "
                                        "2026-11-22T13:03:07.123Z",
                                        "single, step approve",
                                        "G-1",
                                        "TOTAL_PASSED"};

    assert_int_equal(sign_manifestation(e, "TOTAL_PASSED", &text, &f), ESIGN_OK);
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
        if (!strstr(buf_str(&text), items[i]))
            fail_msg("missing: %s", items[i]);
    assert_null(strstr(buf_str(&text), "TEST"));
    json_decref(e);
    buf_done(&text);
}

static void test_sign_manifestation__an_item_missing__no_partial_block(void **state)
{
    REQ("11.50(b)", "11.50(a)");
    (void)state;
    static const char *const members[] = {"signer", "role", "meaning",     "record",
                                          "time",   "plan", "signature_id"};
    struct buf text = buf_new(8192);
    struct fault f;

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        json_t *e = envelope();
        assert_int_equal(json_object_del(e, members[i]), 0);
        assert_int_equal(sign_manifestation(e, NULL, &text, &f), ESIGN_E_FORMAT);
        json_decref(e);
    }
    buf_done(&text);
}

static void test_sign_manifestation__test_system__says_so_first(void **state)
{
    REQ("5.41");
    (void)state;
    struct buf text = buf_new(8192);
    struct fault f;
    json_t *e = envelope();

    assert_int_equal(json_object_set_new(e, "system", json_string("test")), 0);
    assert_int_equal(sign_manifestation(e, NULL, &text, &f), ESIGN_OK);
    assert_int_equal(strncmp(buf_str(&text), "TEST - not a signature\n", 23), 0);
    json_decref(e);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_manifestation__whole_envelope__every_item),
        cmocka_unit_test(test_sign_manifestation__an_item_missing__no_partial_block),
        cmocka_unit_test(test_sign_manifestation__test_system__says_so_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
