#include "req.h"

#include "result.h"

static struct esign_result *make(const char *text, bool is_json)
{
    struct buf body = buf_new(10000);
    struct esign_result *result = NULL;

    buf_put_str(&body, text);
    assert_int_equal(result_new(&body, is_json, &result), ESIGN_OK);
    buf_done(&body);
    return result;
}

static void test_result_paths__members_and_indices__found(void **state)
{
    REQ("design 5");
    struct esign_result *r =
        make("{\"a\":{\"b\":\"x\"},\"items\":[{\"n\":5},{\"n\":\"7\",\"t\":true}],"
             "\"k\":\"AAEC\"}",
             true);

    (void)state;
    assert_string_equal(esign_result_string(r, "a.b"), "x");
    assert_int_equal(esign_result_integer(r, "items.0.n", -1), 5);
    assert_int_equal(esign_result_integer(r, "items.1.n", -1), -1);
    assert_true(esign_result_flag(r, "items.1.t"));
    assert_false(esign_result_flag(r, "items.1.n"));
    assert_int_equal(esign_result_count(r, "items"), 2);
    assert_int_equal(esign_result_count(r, ""), 3);
    esign_result_free(r);
}

static void test_result_paths__not_there__null(void **state)
{
    REQ("design 5");
    static const char *const paths[] = {"z",
                                        "items.2",
                                        "items.x.n",
                                        "items.-1",
                                        "a.b.c",
                                        "items.",
                                        "items.00000000000000000000001"};
    struct esign_result *r = make("{\"a\":{\"b\":\"x\"},\"items\":[{\"n\":5}]}", true);

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_null(esign_result_string(r, paths[i]));
        assert_int_equal(esign_result_integer(r, paths[i], 9), 9);
    }
    esign_result_free(r);
}

static void test_result_bytes__base64__decoded(void **state)
{
    REQ("design 5");
    struct esign_result *r = make("{\"k\":\"AAEC\",\"empty\":\"\",\"bad\":\"A=\",\"n\":1}", true);
    void *data = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(esign_result_bytes(r, "k", &data, &len), ESIGN_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(data, "\0\1\2", 3);
    esign_free(data);
    assert_int_equal(esign_result_bytes(r, "empty", &data, &len), ESIGN_OK);
    assert_int_equal(len, 0);
    esign_free(data);
    assert_int_equal(esign_result_bytes(r, "bad", &data, &len), ESIGN_E_PROTO);
    assert_int_equal(esign_result_bytes(r, "n", &data, &len), ESIGN_E_NOT_FOUND);
    esign_result_free(r);
}

static void test_result_new__not_json__text_only(void **state)
{
    REQ("design 5");
    struct esign_result *r = make("{\"a\":1}\n{\"a\":2}\n", false);
    size_t len = 0;

    (void)state;
    assert_string_equal(esign_result_text(r, &len), "{\"a\":1}\n{\"a\":2}\n");
    assert_int_equal(len, 16);
    assert_null(esign_result_string(r, "a"));
    esign_result_free(r);
    esign_result_free(NULL);
}

static void test_result_new__no_object__refused(void **state)
{
    REQ("design 5");
    static const char *const texts[] = {"", "[]", "{\"a\":1,\"a\":2}", "{} x", "null"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct buf body = buf_new(100);
        struct esign_result *r = NULL;
        buf_put_str(&body, texts[i]);
        assert_int_equal(result_new(&body, true, &r), ESIGN_E_PROTO);
        assert_null(r);
        buf_done(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_paths__members_and_indices__found),
        cmocka_unit_test(test_result_paths__not_there__null),
        cmocka_unit_test(test_result_bytes__base64__decoded),
        cmocka_unit_test(test_result_new__not_json__text_only),
        cmocka_unit_test(test_result_new__no_object__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
