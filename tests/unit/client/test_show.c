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

static void test_show_text__not_seen_or_reordering__replaced(void **state)
{
    REQ("requirements 3.6");
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"B\u200b7", "B?7"},                                      /* zero width space */
        {"B\u200d7", "B?7"},                                      /* a joiner in Latin text */
        {"\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"}, /* … in a Persian word */
        {"a\u2066b\u2069", "a?b?"},                               /* isolates */
        {"a\u061cb\u200fc", "a?b?c"},                             /* marks of direction */
        {"a\u00adb\u2060c\ufeff", "a?b?c?"},
        {"a\U000e0041", "a?"},      /* a tag */
        {"a\u3164b", "a?b"},        /* Hangul filler */
        {"a\u2028b\u2029", "a?b?"}, /* ends of lines and paragraphs */
        {"a\ue000", "a?"},          /* private use */
        {"\u0301a", "?a"},          /* an accent without a letter */
        {"a \u0301", "a ?"},
        {"a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301b",
         "a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301??b"},
        {"Pr\u00fcfung \u05d0\u05d1 \u65e5", "Pr\u00fcfung \u05d0\u05d1 \u65e5"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[64] = "";
        shown(rows[i].in, false, out, sizeof(out));
        assert_string_equal(out, rows[i].out);
        assert_int_equal(show_is_plain(rows[i].in), strcmp(rows[i].in, rows[i].out) == 0);
    }
    assert_true(show_is_plain("really?"));
}

static void test_show_wrapped__long__no_line_of_its_own(void **state)
{
    REQ("requirements 3.6");
    char out[1024] = "", spaces[200], word[200];

    (void)state;
    memset(spaces, ' ', sizeof(spaces));
    memcpy(spaces + 150, "meaning  forged", sizeof("meaning  forged"));
    memset(word, 'x', sizeof(word));
    word[199] = '\0';
    const char *const texts[] = {spaces, word, "one\nmeaning  forged"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        FILE *file = fmemopen(out, sizeof(out), "w");
        assert_non_null(file);
        show_wrapped(file, texts[i], 10);
        assert_int_equal(fclose(file), 0);
        for (const char *line = strchr(out, '\n'); line; line = strchr(line + 1, '\n')) {
            assert_memory_equal(line + 1, "          ", 10);
            assert_true(strcspn(line + 1, "\n") <= 100);
        }
    }
    assert_string_equal(out, "one?meaning  forged");
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
        cmocka_unit_test(test_show_text__not_seen_or_reordering__replaced),
        cmocka_unit_test(test_show_wrapped__long__no_line_of_its_own),
        cmocka_unit_test(test_show_text__lines__newline_kept),
        cmocka_unit_test(test_show_width__wide_and_combining__terminal_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
