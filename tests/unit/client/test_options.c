#include "req.h"

#include "cli/options.h"

#include <getopt.h>
#include <string.h>

enum { WORDS_MAX = 12 };

/* Read a command line of words; getopt starts anew. */
static bool read_words(const char *const *words, struct options *ret, char *ret_problem)
{
    static char storage[WORDS_MAX][80];
    static char *argv[WORDS_MAX + 1];
    int argc = 0;

    for (; words[argc]; argc++) {
        (void)snprintf(storage[argc], sizeof(storage[argc]), "%s", words[argc]);
        argv[argc] = storage[argc];
    }
    argv[argc] = NULL;
    optind = 0;
    return options_read(argc, argv, ret, ret_problem);
}

static void test_options_read__any_order__operands_kept(void **state)
{
    REQ("design 5");
    struct options options;
    char problem[OPTIONS_PROBLEM_MAX] = "";

    (void)state;
    assert_true(read_words((const char *[]){"esign", "--socket", "/s", "sign", "-j", "f.pdf",
                                            "--record=a:b:1", "-o", "out", NULL},
                           &options, problem));
    assert_int_equal(options.operand_count, 2);
    assert_string_equal(options.operands[0], "sign");
    assert_string_equal(options.operands[1], "f.pdf");
    assert_string_equal(options.values[OPTION_SOCKET], "/s");
    assert_string_equal(options.values[OPTION_RECORD], "a:b:1");
    assert_string_equal(options.values[OPTION_OUT], "out");
    assert_true(options_has(&options, OPTION_JSON));
    assert_true(options_given(&options) == (OPTION_SET(OPTION_SOCKET) | OPTION_SET(OPTION_JSON) |
                                            OPTION_SET(OPTION_RECORD) | OPTION_SET(OPTION_OUT)));
}

static void test_options_read__end_of_options__operand_with_dash(void **state)
{
    REQ("design 5");
    struct options options;
    char problem[OPTIONS_PROBLEM_MAX] = "";

    (void)state;
    assert_true(
        read_words((const char *[]){"esign", "sign", "--", "--json", NULL}, &options, problem));
    assert_int_equal(options.operand_count, 2);
    assert_string_equal(options.operands[1], "--json");
    assert_false(options_has(&options, OPTION_JSON));
}

static void test_options_read__unusable__says_which(void **state)
{
    REQ("design 5");
    static const struct {
        const char *words[6];
        const char *said;
    } rows[] = {
        {{"esign", "status", "--nonsense"}, "--nonsense"},
        {{"esign", "status", "-q"}, "-q"},
        {{"esign", "status", "--sock", "/x"}, "--sock"},
        {{"esign", "sign", "--password", "canary"}, "never given as arguments"},
        {{"esign", "sign", "--password=canary"}, "never given as arguments"},
        {{"esign", "--as", "a", "--as", "b"}, "--as is given twice"},
        {{"esign", "sign", "--reason", ""}, "--reason is empty"},
        {{"esign", "sign", "--reason"}, "--reason needs a value"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct options options;
        char problem[OPTIONS_PROBLEM_MAX] = "";
        assert_false(read_words(rows[i].words, &options, problem));
        assert_non_null(strstr(problem, rows[i].said));
        assert_null(strstr(problem, "canary"));
    }
}

static void test_options_number__decimal_only(void **state)
{
    REQ("design 5");
    static const char *const bad[] = {"",   "-1",  "+1",  " 1",
                                      "1 ", "0x1", "101", "99999999999999999999"};
    uint64_t number = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(options_number(bad[i], 100, &number));
    assert_true(options_number("100", 100, &number));
    assert_int_equal(number, 100);
    assert_true(options_number("0", 100, &number));
    assert_int_equal(number, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_read__any_order__operands_kept),
        cmocka_unit_test(test_options_read__end_of_options__operand_with_dash),
        cmocka_unit_test(test_options_read__unusable__says_which),
        cmocka_unit_test(test_options_number__decimal_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
