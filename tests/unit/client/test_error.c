#include "req.h"

#include "error.h"

static enum esign_rc decode(const char *text, struct esign_error *error)
{
    return error_from_problem(error, bytes_of_str(text), 403);
}

static void test_error_from_problem__all_members__read(void **state)
{
    REQ("design 5", "requirements 0.2");
    struct esign_error *error = esign_error_new();

    (void)state;
    assert_int_equal(decode("{\"type\":\"about:blank\",\"title\":\"t\",\"status\":403,"
                            "\"code\":\"E_SIGNER_STATE\",\"reason\":\"locked\",\"detail\":\"d\","
                            "\"field\":\"components.user_id\",\"retryable\":false}",
                            error),
                     ESIGN_E_SIGNER_STATE);
    assert_int_equal(esign_error_code(error), ESIGN_E_SIGNER_STATE);
    assert_string_equal(esign_error_name(error), "E_SIGNER_STATE");
    assert_string_equal(esign_error_reason(error), "locked");
    assert_string_equal(esign_error_detail(error), "d");
    assert_string_equal(esign_error_field(error), "components.user_id");
    assert_false(esign_error_retryable(error));
    esign_error_free(error);
}

static void test_error_from_problem__retry_after__seconds_in_bounds(void **state)
{
    REQ("11.300(d)");
    static const struct {
        const char *value;
        int seconds;
    } rows[] = {{"2", 2}, {"0", 0}, {"-1", 0}, {"99999999999", 0}, {"\"2\"", 0}};
    struct esign_error *error = esign_error_new();
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(text, sizeof(text), "{\"code\":\"E_RATE\",\"retry_after\":%s}",
                       rows[i].value);
        assert_int_equal(error_from_problem(error, bytes_of_str(text), 429), ESIGN_E_RATE);
        assert_int_equal(esign_error_retry_after(error), rows[i].seconds);
    }
    assert_int_equal(esign_error_retry_after(NULL), 0);
    esign_error_free(error);
}

static void test_error_from_problem__no_detail__title(void **state)
{
    REQ("design 5");
    struct esign_error *error = esign_error_new();

    (void)state;
    assert_int_equal(decode("{\"code\":\"E_HSM\",\"title\":\"words\",\"retryable\":true}", error),
                     ESIGN_E_HSM);
    assert_string_equal(esign_error_detail(error), "words");
    assert_string_equal(esign_error_reason(error), "");
    assert_true(esign_error_retryable(error));
    esign_error_free(error);
}

static void test_error_from_problem__code_of_a_later_version__internal_with_its_name(void **state)
{
    REQ("design 5");
    struct esign_error *error = esign_error_new();

    (void)state;
    assert_int_equal(decode("{\"code\":\"E_BRAND_NEW\",\"detail\":\"d\"}", error),
                     ESIGN_E_INTERNAL);
    assert_string_equal(esign_error_name(error), "E_BRAND_NEW");
    assert_int_equal(decode("{\"code\":\"OK\"}", error), ESIGN_E_INTERNAL);
    esign_error_free(error);
}

static void test_error_from_problem__no_problem__proto_reply(void **state)
{
    REQ("design 5");
    static const char *const texts[] = {"", "<html>", "{}", "{\"code\":7}", "[1]"};
    struct esign_error *error = esign_error_new();

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(decode(texts[i], error), ESIGN_E_PROTO);
        assert_string_equal(esign_error_reason(error), "reply");
    }
    assert_int_equal(decode("{}", NULL), ESIGN_E_PROTO);
    esign_error_free(error);
}

static void test_error_from_problem__long_text__cut_between_characters(void **state)
{
    REQ("design 5");
    char text[2048] = "{\"code\":\"E_PROTO\",\"detail\":\"x";
    struct esign_error *error = esign_error_new();
    size_t len = strlen(text);

    (void)state;
    for (int i = 0; i < 500; i++) {
        memcpy(text + len, "\xc3\xbc", 2);
        len += 2;
    }
    memcpy(text + len, "\"}", 3);
    assert_int_equal(decode(text, error), ESIGN_E_PROTO);
    const char *detail = esign_error_detail(error);
    assert_true(strlen(detail) == ERROR_DETAIL_MAX - 1);
    assert_int_equal((unsigned char)detail[strlen(detail) - 1], 0xbc);
    esign_error_free(error);
}

static void test_error_object__null__answers(void **state)
{
    REQ("design 5");
    (void)state;
    assert_int_equal(esign_error_code(NULL), ESIGN_OK);
    assert_string_equal(esign_error_name(NULL), "OK");
    assert_string_equal(esign_error_reason(NULL), "");
    assert_string_equal(esign_error_detail(NULL), "done");
    esign_error_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_from_problem__all_members__read),
        cmocka_unit_test(test_error_from_problem__retry_after__seconds_in_bounds),
        cmocka_unit_test(test_error_from_problem__no_detail__title),
        cmocka_unit_test(test_error_from_problem__code_of_a_later_version__internal_with_its_name),
        cmocka_unit_test(test_error_from_problem__no_problem__proto_reply),
        cmocka_unit_test(test_error_from_problem__long_text__cut_between_characters),
        cmocka_unit_test(test_error_object__null__answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
