#include "base/json.h"

#include "req.h"

static void canonical(const char *text, const char *expected)
{
    json_t *value = NULL;
    struct buf out = buf_new(4096);
    struct fault f;

    assert_int_equal(json_parse_object(bytes_of_str(text), &value, &f), ESIGN_OK);
    assert_int_equal(json_canonical(value, &out), ESIGN_OK);
    assert_string_equal(buf_str(&out), expected);
    json_decref(value);
    buf_done(&out);
}

static void test_json_canonical__rfc8785_examples__as_there(void **state)
{
    REQ("design 6");
    (void)state;
    canonical("{ \"b\" : 1, \"a\" : [ true, false ], \"\" : {} }",
              "{\"\":{},\"a\":[true,false],\"b\":1}");
    canonical("{\"s\":\"\\u20ac$\\u000f\\nA'B\\\"\\\\\\/\\u0080\"}",
              "{\"s\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\/\xc2\x80\"}");
    canonical("{\"n\":-9007199254740991,\"z\":0}", "{\"n\":-9007199254740991,\"z\":0}");
    canonical("{\"a2\":1,\"a10\":2,\"B\":3}", "{\"B\":3,\"a10\":2,\"a2\":1}");
}

/* How long a character is between the quotation marks. */
static size_t written_len(unsigned char c)
{
    if (c == '"' || c == '\\' || c == '\b' || c == '\t' || c == '\n' || c == '\f' || c == '\r')
        return 2;
    return c < 0x20 ? 6 : 1;
}

static void test_json_canonical__each_character_at_each_place__escaped_where_needed(void **state)
{
    REQ("design 6");
    (void)state;
    struct fault f;

    for (unsigned c = 1; c < 0x80; c++) {
        for (size_t at = 0; at < 20; at++) {
            char text[] = "01234567!#789x~[]{}9";
            json_t *back = NULL;
            struct buf out = buf_new(4096);
            text[at] = (char)c;
            json_t *value = json_pack("{s:s}", "s", text);
            assert_int_equal(json_canonical(value, &out), ESIGN_OK);
            assert_int_equal(out.len, strlen("{\"s\":\"\"}") + 19 + written_len((unsigned char)c));
            assert_int_equal(json_parse_object(buf_bytes(&out), &back, &f), ESIGN_OK);
            assert_string_equal(json_str(back, "s"), text);
            json_decref(value);
            json_decref(back);
            buf_done(&out);
        }
    }
}

static void test_json_canonical__outside_the_subset__refused(void **state)
{
    REQ("design 6");
    (void)state;
    static const char *const rows[] = {"{\"a\":1.5}", "{\"a\":null}", "{\"a\":9007199254740992}",
                                       "{\"\xc3\xa9\":1}"};
    struct fault f;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *value = NULL;
        struct buf out = buf_new(4096);
        assert_int_equal(json_parse_object(bytes_of_str(rows[i]), &value, &f), ESIGN_OK);
        assert_int_equal(json_canonical(value, &out), ESIGN_E_PROTO);
        json_decref(value);
        buf_done(&out);
    }
}

static void test_json_parse_object__not_strict__refused(void **state)
{
    REQ("design 5");
    (void)state;
    static const char *const rows[] = {"",
                                       "[]",
                                       "{\"a\":1,\"a\":2}",
                                       "{} x",
                                       "{\"a\":1,}",
                                       "{\"a\":01}",
                                       "{'a':1}",
                                       "{\"a\":\"\\u0000\"}",
                                       "{\"a\":\"\xff\"}",
                                       "\xef\xbb\xbf{}"};
    struct fault f;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *value = NULL;
        assert_int_equal(json_parse_object(bytes_of_str(rows[i]), &value, &f), ESIGN_E_PROTO);
        assert_null(value);
    }
}

static const struct json_field fields[] = {
    {"id", JSON_FIELD_STR, true, 4},
    {"n", JSON_FIELD_INT, false, 10},
};

static void test_json_check__each_defect__names_the_member(void **state)
{
    REQ("design 5");
    (void)state;
    static const struct {
        const char *text, *field;
        enum esign_rc rc;
    } rows[] = {{"{\"id\":\"a\"}", "", ESIGN_OK},
                {"{}", "p.id", ESIGN_E_PROTO},
                {"{\"id\":1}", "p.id", ESIGN_E_PROTO},
                {"{\"id\":\"a\",\"x\":1}", "p.x", ESIGN_E_PROTO},
                {"{\"id\":\"abcde\"}", "p.id", ESIGN_E_TOO_LARGE},
                {"{\"id\":\"a\",\"n\":11}", "p.n", ESIGN_E_TOO_LARGE},
                {"{\"id\":\"a\",\"n\":-1}", "p.n", ESIGN_E_PROTO}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fault f = {0};
        json_t *value = NULL;
        assert_int_equal(json_parse_object(bytes_of_str(rows[i].text), &value, &f), ESIGN_OK);
        assert_int_equal(json_check(value, "p", fields, 2, &f), rows[i].rc);
        assert_string_equal(f.field, rows[i].field);
        json_decref(value);
    }
}

static void test_json_str__path__found_or_null(void **state)
{
    REQ("design 5");
    (void)state;
    struct fault f;
    json_t *value = NULL;

    assert_int_equal(
        json_parse_object(bytes_of_str("{\"a\":{\"b\":\"c\",\"n\":5,\"t\":true}}"), &value, &f),
        ESIGN_OK);
    assert_string_equal(json_str(value, "a.b"), "c");
    assert_null(json_str(value, "a.x"));
    assert_null(json_str(value, "a.n"));
    assert_int_equal(json_int(value, "a.n", -1), 5);
    assert_int_equal(json_int(value, "a.b", -1), -1);
    assert_true(json_flag(value, "a.t"));
    json_wipe(value);
    assert_string_not_equal(json_str(value, "a.b"), "c");
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_canonical__rfc8785_examples__as_there),
        cmocka_unit_test(test_json_canonical__each_character_at_each_place__escaped_where_needed),
        cmocka_unit_test(test_json_canonical__outside_the_subset__refused),
        cmocka_unit_test(test_json_parse_object__not_strict__refused),
        cmocka_unit_test(test_json_check__each_defect__names_the_member),
        cmocka_unit_test(test_json_str__path__found_or_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
