#include "req.h"

#include "api/route.h"

static const struct api_query_field fields[] = {
    {"limit", API_QUERY_NUMBER, 100},
    {"after", API_QUERY_ID, 0},
    {"title", API_QUERY_LINE, 10},
    {"seq", API_QUERY_NUMBER, 0},
};

static enum esign_rc parse(const char *text, struct api_query *ret, struct fault *f)
{
    *f = (struct fault){0};
    return api_query_parse(bytes_of_str(text), fields, 4, ret, f);
}

static void test_api_query_parse__known_parameters__values(void **state)
{
    (void)state;
    REQ("design 5");
    struct api_query query;
    struct fault f;

    assert_int_equal(parse("limit=20&after=T-1&title=a+b%21", &query, &f), ESIGN_OK);
    assert_int_equal(query.count, 3);
    assert_int_equal(api_query_number(&query, "limit", 5), 20);
    assert_string_equal(api_query_text(&query, "after"), "T-1");
    assert_string_equal(api_query_text(&query, "title"), "a b!");
    assert_null(api_query_text(&query, "seq"));
    assert_int_equal(api_query_number(&query, "seq", -1), -1);
    assert_int_equal(parse("seq=9007199254740991", &query, &f), ESIGN_OK);
    assert_true(api_query_number(&query, "seq", -1) == 9007199254740991);
    assert_int_equal(parse("", &query, &f), ESIGN_OK);
    assert_int_equal(query.count, 0);
}

static void test_api_query_parse__refused__field_is_named(void **state)
{
    (void)state;
    REQ("design 5");
    static const struct {
        const char *text, *field;
        enum esign_rc rc;
    } rows[] = {
        {"limit=1&colour=red", "colour", ESIGN_E_PROTO},
        {"limit=1&limit=2", "limit", ESIGN_E_PROTO},
        {"limit", "limit", ESIGN_E_PROTO},
        {"limit=", "limit", ESIGN_E_PROTO},
        {"limit=01", "limit", ESIGN_E_PROTO},
        {"limit=-1", "limit", ESIGN_E_PROTO},
        {"limit=%2b1", "limit", ESIGN_E_PROTO},
        {"limit=1x", "limit", ESIGN_E_PROTO},
        {"limit=101", "limit", ESIGN_E_TOO_LARGE},
        {"seq=9007199254740992", "seq", ESIGN_E_TOO_LARGE},
        {"seq=99999999999999999999999999", "seq", ESIGN_E_TOO_LARGE},
        {"after=a%2Fb", "after", ESIGN_E_PROTO},
        {"after=", "after", ESIGN_E_PROTO},
        {"title=12345678901", "title", ESIGN_E_PROTO},
        {"title=a%00", "title", ESIGN_E_PROTO},
        {"title=a%0", "title", ESIGN_E_PROTO},
        {"title=%", "title", ESIGN_E_PROTO},
        {"title=a%gg", "title", ESIGN_E_PROTO},
        {"title=%ff", "title", ESIGN_E_PROTO},
        {"title=%c0%80", "title", ESIGN_E_PROTO},
        {"title=a%0a", "title", ESIGN_E_PROTO},
        {"limit=1&", "", ESIGN_E_PROTO},
        {"&limit=1", "", ESIGN_E_PROTO},
        {"limit=1&&seq=2", "", ESIGN_E_PROTO},
        {"=1", "", ESIGN_E_PROTO},
        {"lim%69=1", "limi", ESIGN_E_PROTO},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct api_query query = {.count = 77};
        struct fault f;
        if (parse(rows[i].text, &query, &f) != rows[i].rc)
            fail_msg("%s: %s %s", rows[i].text, fault_name(f.rc), f.detail);
        assert_string_equal(f.field, rows[i].field);
        assert_int_equal(query.count, 77); /* untouched on failure */
    }
}

static void test_api_percent_decode__sizes_and_bytes__exact(void **state)
{
    (void)state;
    REQ("design 5");
    char out[4];

    assert_int_equal(api_percent_decode(bytes_of_str("a%62c"), false, out, 4), ESIGN_OK);
    assert_string_equal(out, "abc");
    assert_int_equal(api_percent_decode(bytes_of_str("abcd"), false, out, 4), ESIGN_E_TOO_LARGE);
    assert_int_equal(api_percent_decode(bytes_of_str("+"), false, out, 4), ESIGN_OK);
    assert_string_equal(out, "+");
    assert_int_equal(api_percent_decode(bytes_of_str("%7f"), false, out, 4), ESIGN_E_PROTO);
    assert_int_equal(api_percent_decode((struct bytes){0}, false, out, 4), ESIGN_OK);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_query_parse__known_parameters__values),
        cmocka_unit_test(test_api_query_parse__refused__field_is_named),
        cmocka_unit_test(test_api_percent_decode__sizes_and_bytes__exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
