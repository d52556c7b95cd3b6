#include "req.h"

#include "cli/show.h"

#include <string.h>

/* What show_text() writes. */
static void shown(const char *text, bool lines, char *ret, size_t size)
{
    FILE *out = fmemopen(ret, size, "w");

    assert_non_null(out);
    show_text(out, text, lines);
    assert_int_equal(fclose(out), 0);
}

static void test_show_text__control_characters__replaced(void **state)
{
    REQ("design 5");
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain \xc3\xbc\xe2\x82\xac", "plain \xc3\xbc\xe2\x82\xac"},
        {"\x1b[31mred", "?[31mred"},
        {"a\nb\rc\td", "a?b?c?d"},
        {"\xc2\x9b"
         "31m",
         "?31m"},
        {"a\xe2\x80\xae"
         "b",
         "a?b"},
        {"a\xff\xc3", "a??"},
        {"\x7f", "?"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[64] = "";
        shown(rows[i].in, false, out, sizeof(out));
        assert_string_equal(out, rows[i].out);
    }
}

static void test_show_text__lines__newline_kept(void **state)
{
    REQ("11.50(b)");
    char out[64] = "";

    (void)state;
    shown("a\nb\x07", true, out, sizeof(out));
    assert_string_equal(out, "a\nb?");
}

static void test_show_width__wide_and_combining__terminal_columns(void **state)
{
    REQ("design 5");
    (void)state;
    assert_int_equal(show_width("abc"), 3);
    assert_int_equal(show_width("\xc3\xbc"), 1);
    assert_int_equal(show_width("\xe6\x97\xa5\xe6\x9c\xac"), 4);
    assert_int_equal(show_width("e\xcc\x81"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_show_text__control_characters__replaced),
        cmocka_unit_test(test_show_text__lines__newline_kept),
        cmocka_unit_test(test_show_width__wide_and_combining__terminal_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
