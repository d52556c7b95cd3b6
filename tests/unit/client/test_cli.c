#include "req.h"

#include "cli/cli.h"

static void test_cli_parse_record__three_parts__split(void **state)
{
    REQ("11.70");
    struct cli_record record;

    (void)state;
    assert_true(cli_parse_record("batch-record:BR-7:3", &record));
    assert_string_equal(record.type, "batch-record");
    assert_string_equal(record.id, "BR-7");
    assert_string_equal(record.version, "3");
}

static void test_cli_parse_record__colons_in_the_id__kept(void **state)
{
    REQ("11.70");
    struct cli_record record;

    (void)state;
    assert_true(cli_parse_record("doc:urn:x:y z:1.0", &record));
    assert_string_equal(record.type, "doc");
    assert_string_equal(record.id, "urn:x:y z");
    assert_string_equal(record.version, "1.0");
}

static void test_cli_parse_record__part_missing__refused(void **state)
{
    REQ("11.70");
    static const char *const texts[] = {"", "a", "a:b", ":b:c", "a::c", "a:b:", "::"};
    struct cli_record record;
    char longest[CLI_RECORD_MAX + 10];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(cli_parse_record(texts[i], &record));
    memset(longest, 'x', sizeof(longest));
    longest[1] = longest[3] = ':';
    longest[sizeof(longest) - 1] = '\0';
    assert_false(cli_parse_record(longest, &record));
}

static void test_cli_path__ids__checked(void **state)
{
    REQ("design 5");
    char path[CLI_PATH_MAX];

    (void)state;
    assert_int_equal(cli_path("/v1/signers/", "j.doe-1", "/revoke", path), CLI_DONE);
    assert_string_equal(path, "/v1/signers/j.doe-1/revoke");
    assert_int_equal(cli_path("/v1/signers/", "../x", "", path), CLI_USAGE);
    assert_int_equal(cli_path("/v1/signers/", "a b", "", path), CLI_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli_parse_record__three_parts__split),
        cmocka_unit_test(test_cli_parse_record__colons_in_the_id__kept),
        cmocka_unit_test(test_cli_parse_record__part_missing__refused),
        cmocka_unit_test(test_cli_path__ids__checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
