#include "base/clock.h"

#include <string.h>

#include "req.h"

static void test_clock_format_utc__and_back__same(void **state)
{
    REQ("11.50(a)(2)");
    (void)state;
    static const struct {
        int64_t at_ms;
        const char *text;
    } rows[] = {{0, "1970-01-01T00:00:00.000Z"},
                {1795352587123, "2026-11-22T13:03:07.123Z"},
                {951782400000, "2000-02-29T00:00:00.000Z"},
                {253402300799999, "9999-12-31T23:59:59.999Z"}};
    char text[CLOCK_TEXT];
    int64_t at_ms = -1;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        clock_format_utc(rows[i].at_ms, text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(clock_parse_utc(text, &at_ms), ESIGN_OK);
        assert_int_equal(at_ms, rows[i].at_ms);
    }
}

static void test_clock_parse_utc__other_forms__refused(void **state)
{
    REQ("11.50(a)(2)");
    (void)state;
    static const char *const rows[] = {"2026-11-22T13:03:07Z",
                                       "2026-11-22 13:03:07.123Z",
                                       "2026-02-31T13:03:07.123Z",
                                       "2026-11-22T24:03:07.123Z",
                                       "2026-11-22T13:03:07.123+0",
                                       "2026-11-22T13:03:61.123Z",
                                       "",
                                       "2026-1a-22T13:03:07.123Z"};
    int64_t at_ms = 42;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(clock_parse_utc(rows[i], &at_ms), ESIGN_E_PROTO);
    assert_int_equal(at_ms, 42);
}

static void test_clock_format_local__across_a_dst_change__both_instants_are_clear(void **state)
{
    REQ("11.50(a)(2)", "5.5");
    (void)state;
    struct fault f;
    char text[CLOCK_TEXT];

    assert_int_equal(clock_set_zone("Europe/Zurich", &f), ESIGN_OK);
    clock_format_local(1792888200000, text); /* 2026-10-25T00:30Z, summer time */
    assert_string_equal(text, "2026-10-25 02:30:00 +02:00");
    clock_format_local(1792891800000, text); /* one hour later, winter time */
    assert_string_equal(text, "2026-10-25 02:30:00 +01:00");
    clock_format_offset(1792891800000, text);
    assert_string_equal(text, "+01:00");
}

static void test_clock_set_zone__unknown__named(void **state)
{
    REQ("11.50(a)(2)");
    (void)state;
    struct fault f;

    assert_int_equal(clock_set_zone("Mars/Olympus", &f), ESIGN_E_POLICY);
    assert_string_equal(f.field, "site.zone");
    assert_int_equal(clock_set_zone("../../etc/passwd", &f), ESIGN_E_POLICY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_format_utc__and_back__same),
        cmocka_unit_test(test_clock_parse_utc__other_forms__refused),
        cmocka_unit_test(test_clock_format_local__across_a_dst_change__both_instants_are_clear),
        cmocka_unit_test(test_clock_set_zone__unknown__named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
