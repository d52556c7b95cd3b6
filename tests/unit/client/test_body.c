#include "req.h"

#include "body.h"

static void test_body_string__special_characters__escaped(void **state)
{
    REQ("design 5");
    struct buf body = buf_new(1000);

    (void)state;
    body_open(&body, NULL);
    body_string(&body, "a", "q\" b\\ n\n e\x1f u\xc3\xbc");
    body_string(&body, "left out", NULL);
    body_integer(&body, "b", 18446744073709551615u);
    body_close(&body);
    assert_string_equal(buf_str(&body), "{\"a\":\"q\\\" b\\\\ n\\u000a e\\u001f u\xc3\xbc\","
                                        "\"b\":18446744073709551615}");
    buf_done(&body);
}

static void test_body_components__password_with_length__only_that_many_bytes(void **state)
{
    REQ("11.200(a)(1)");
    struct buf body = buf_new(1000);
    const struct esign_components components = {"jdoe", "secretXXX", 6};

    (void)state;
    body_open(&body, NULL);
    body_components(&body, &components);
    body_close(&body);
    assert_string_equal(buf_str(&body),
                        "{\"components\":{\"user_id\":\"jdoe\",\"password\":\"secret\"}}");
    buf_done(&body);
}

static void test_body_components__in_a_session__only_what_is_given(void **state)
{
    REQ("11.200(a)(1)(i)");
    struct buf body = buf_new(1000);
    const struct esign_components components = {NULL, "secret", 6}, nobody = {"jdoe", NULL, 0};

    (void)state;
    body_open(&body, NULL);
    body_components(&body, &components);
    body_components(&body, &nobody);
    body_close(&body);
    assert_string_equal(buf_str(&body), "{\"components\":{\"password\":\"secret\"},"
                                        "\"components\":{\"user_id\":\"jdoe\"}}");
    buf_done(&body);
}

static void test_body_request__content__base64_and_default_media_type(void **state)
{
    REQ("11.70", "11.50(a)(3)");
    struct buf body = buf_new(1000);
    const struct esign_request request = {
        .record = {.type = "t", .id = "i", .version = "1", .content = "abcd", .content_len = 4},
        .meaning = "approved",
        .signer = "jdoe"};

    (void)state;
    body_open(&body, NULL);
    body_request(&body, &request);
    body_close(&body);
    assert_string_equal(buf_str(&body),
                        "{\"record\":{\"type\":\"t\",\"id\":\"i\",\"version\":\"1\","
                        "\"media_type\":\"application/octet-stream\",\"content\":\"YWJjZA==\"},"
                        "\"meaning\":\"approved\",\"signer\":\"jdoe\"}");
    buf_done(&body);
}

static void test_body_record__digest__hash_and_length(void **state)
{
    REQ("11.70");
    struct buf body = buf_new(1000);
    const struct esign_record record = {.type = "t", .sha256 = "00ff", .length = 7};

    (void)state;
    body_open(&body, NULL);
    body_record(&body, &record);
    body_close(&body);
    assert_string_equal(buf_str(&body),
                        "{\"record\":{\"type\":\"t\",\"sha256\":\"00ff\",\"length\":7}}");
    buf_done(&body);
}

static void test_body_record__nothing_known__empty_object(void **state)
{
    REQ("design 5");
    struct buf body = buf_new(1000);
    const struct esign_record record = {0};

    (void)state;
    body_open(&body, NULL);
    body_record(&body, &record);
    body_close(&body);
    assert_string_equal(buf_str(&body), "{\"record\":{}}");
    buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_string__special_characters__escaped),
        cmocka_unit_test(test_body_components__password_with_length__only_that_many_bytes),
        cmocka_unit_test(test_body_components__in_a_session__only_what_is_given),
        cmocka_unit_test(test_body_request__content__base64_and_default_media_type),
        cmocka_unit_test(test_body_record__digest__hash_and_length),
        cmocka_unit_test(test_body_record__nothing_known__empty_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
