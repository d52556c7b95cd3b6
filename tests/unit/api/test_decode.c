#include "req.h"

#include "api/decode.h"
#include "base/cleanup.h"

static const struct json_field fields[] = {
    {"reason", JSON_FIELD_STR, true, 20},
    {"count", JSON_FIELD_INT, false, 5},
    {"params", JSON_FIELD_OBJECT, false, 0},
};
static const struct api_route with_components = {
    .components = API_COMPONENTS_REQUIRED, .fields = fields, .field_count = 3};
static const struct api_route without_components = {.fields = fields, .field_count = 3};

static enum esign_rc decode(const struct api_route *route, const char *text,
                            struct api_request *ret, struct fault *f)
{
    *ret = (struct api_request){0};
    *f = (struct fault){0};
    return api_decode_body(route, bytes_of_str(text), ret, f);
}

static void test_api_decode_body__components__taken_out_of_the_body(void **state)
{
    (void)state;
    REQ("11.200(a)(1)", "11.300", "design 5");
    struct api_request request;
    struct fault f;

    assert_int_equal(decode(&with_components,
                            "{\"components\":{\"user_id\":\"jdoe\",\"password\":\"a b\\u00e9\"},"
                            "\"reason\":\"why\",\"count\":3}",
                            &request, &f),
                     ESIGN_OK);
    assert_string_equal(request.user_id, "jdoe");
    assert_true(secret_equal(request.password, bytes_of_str("a b\xc3\xa9")));
    assert_null(json_object_get(request.body, "components"));
    assert_string_equal(json_str(request.body, "reason"), "why");
    api_decode_done(&request);
    assert_null(request.body);
    assert_null(request.password);
}

static void test_api_decode_body__refused__member_is_named(void **state)
{
    (void)state;
    REQ("11.200(a)(1)", "design 5");
#define WHO "\"components\":{\"user_id\":\"jdoe\",\"password\":\"pw\"}"
    static const struct {
        const struct api_route *route;
        const char *text, *field;
        enum esign_rc rc;
    } rows[] = {
        {&without_components, "{\"reason\":\"a\",\"colour\":1}", "colour", ESIGN_E_PROTO},
        {&without_components, "{}", "reason", ESIGN_E_PROTO},
        {&without_components, "", "reason", ESIGN_E_PROTO},
        {&without_components, "{\"reason\":1}", "reason", ESIGN_E_PROTO},
        {&without_components, "{\"reason\":null}", "reason", ESIGN_E_PROTO},
        {&without_components, "{\"reason\":\"a\",\"count\":-1}", "count", ESIGN_E_PROTO},
        {&without_components, "{\"reason\":\"a\",\"count\":1.0}", "count", ESIGN_E_PROTO},
        {&without_components, "{\"reason\":\"a\",\"count\":6}", "count", ESIGN_E_TOO_LARGE},
        {&without_components, "{\"reason\":\"a\",\"params\":[]}", "params", ESIGN_E_PROTO},
        {&without_components, "{\"reason\":\"a23456789012345678901\"}", "reason",
         ESIGN_E_TOO_LARGE},
        {&without_components, "{\"reason\":\"a\"," WHO "}", "components", ESIGN_E_PROTO},
        {&with_components, "{\"reason\":\"a\"}", "", ESIGN_E_COMPONENTS_REQUIRED},
        {&with_components, "{\"reason\":\"a\",\"components\":{\"user_id\":\"jdoe\"}}",
         "components.password", ESIGN_E_COMPONENTS_REQUIRED},
        {&with_components, "{\"reason\":\"a\",\"components\":{\"password\":\"pw\"}}",
         "components.user_id", ESIGN_E_COMPONENTS_REQUIRED},
        {&with_components, "{\"reason\":\"a\",\"components\":{}}", "components.user_id",
         ESIGN_E_COMPONENTS_REQUIRED},
        {&with_components, "{\"reason\":\"a\",\"components\":7}", "components", ESIGN_E_PROTO},
        {&with_components,
         "{\"reason\":\"a\",\"components\":{\"user_id\":\"jdoe\",\"password\":\"\"}}",
         "components.password", ESIGN_E_PROTO},
        {&with_components,
         "{\"reason\":\"a\",\"components\":{\"user_id\":\"j doe\",\"password\":\"pw\"}}",
         "components.user_id", ESIGN_E_PROTO},
        {&with_components,
         "{\"reason\":\"a\",\"components\":{\"user_id\":\"jdoe\",\"password\":\"pw\",\"x\":1}}",
         "components.x", ESIGN_E_PROTO},
        {&with_components, "{\"colour\":1," WHO "}", "colour", ESIGN_E_PROTO},
        {&without_components, "[]", "", ESIGN_E_PROTO},
        {&without_components, "{\"reason\":\"a\"} x", "", ESIGN_E_PROTO},
        {&without_components, "{\"reason\":\"a\\u0000\"}", "", ESIGN_E_PROTO},
        {&without_components, "{\"reason\":\"\xff\"}", "", ESIGN_E_PROTO},
        {&without_components, "{\"reason\":\"a\",}", "", ESIGN_E_PROTO},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct api_request request;
        struct fault f;
        if (decode(rows[i].route, rows[i].text, &request, &f) != rows[i].rc)
            fail_msg("%s: %s %s", rows[i].text, fault_name(f.rc), f.detail);
        assert_string_equal(f.field, rows[i].field);
        assert_null(request.body);
        assert_null(request.password);
        assert_string_equal(request.user_id, "");
    }
}

static void test_api_decode_body__repeated_member__named(void **state)
{
    (void)state;
    REQ("design 5");
    struct api_request request;
    struct fault f;

    assert_int_equal(
        decode(&without_components, "{\"reason\":\"a\",\"reason\":\"b\"}", &request, &f),
        ESIGN_E_PROTO);
    assert_true(strstr(f.detail, "reason") || strcmp(f.field, "reason") == 0);
}

static void test_api_decode_body__broken_body__is_not_quoted(void **state)
{
    (void)state;
    REQ("11.300", "design 5");
    static const char *const texts[] = {
        "{\"components\":{\"user_id\":\"jdoe\",\"password\":hunter2}}",
        "{\"components\":{\"user_id\":\"jdoe\",\"password\":\"hunter2\x01\"}}",
        "{\"components\":{\"user_id\":\"jdoe\",\"password\":\"hunter2",
        "{\"components\":{\"user_id\":\"jdoe\",\"password\":\"hunter2\" 1}}",
        "{\"components\":{\"user_id\":\"jdoe\",\"password\":[\"hunter2\"]}}",
        "{\"components\":\"hunter2\",\"reason\":\"a\"}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct api_request request;
        struct fault f;
        assert_int_not_equal(decode(&with_components, texts[i], &request, &f), ESIGN_OK);
        assert_null(strstr(f.detail, "hunter2"));
    }
}

static void test_api_decode_body__password_sizes__refused_never_cut(void **state)
{
    (void)state;
    REQ("11.300", "design 5");
    char text[SECRET_MAX + 200], password[SECRET_MAX + 2];
    struct api_request request;
    struct fault f;

    for (int len = SECRET_MAX; len <= SECRET_MAX + 1; len++) {
        memset(password, 'x', (size_t)len);
        password[len] = '\0';
        (void)snprintf(
            text, sizeof(text),
            "{\"reason\":\"a\",\"components\":{\"user_id\":\"jdoe\",\"password\":\"%s\"}}",
            password);
        enum esign_rc rc = decode(&with_components, text, &request, &f);
        assert_int_equal(rc, len == SECRET_MAX ? ESIGN_OK : ESIGN_E_TOO_LARGE);
        if (rc == ESIGN_OK)
            assert_int_equal(secret_bytes(request.password).len, SECRET_MAX);
        api_decode_done(&request);
    }
}

static void test_api_decode_is_flat__depths__limit(void **state)
{
    (void)state;
    REQ("design 5");
    char text[64];

    memset(text, '[', sizeof(text));
    assert_true(api_decode_is_flat(bytes_of(text, API_BODY_DEPTH_MAX)));
    assert_false(api_decode_is_flat(bytes_of(text, API_BODY_DEPTH_MAX + 1)));
    assert_true(api_decode_is_flat(bytes_of_str("\"[[[[[[[[[[[[[[[[[[[[[[\"")));
    assert_true(api_decode_is_flat(bytes_of_str("\"\\\"[[[[[[[[[[[[[[[[[[[[[[\"")));
    assert_false(api_decode_is_flat(bytes_of_str("\"\\\\\"[[[[[[[[[[[[[[[[[[[[[[")));
    assert_true(api_decode_is_flat(bytes_of_str("[[[[[[[[[[]]]]]]]]]],[[[[[[[[[[]]]]]]]]]]")));
    assert_true(api_decode_is_flat((struct bytes){0}));
}

static void test_api_take_secret__member__moved(void **state)
{
    (void)state;
    REQ("11.300");
    CLEANUP(json_decref_p) json_t *object = json_pack("{s:s, s:i}", "secret", "half", "n", 1);
    struct secret *secret = NULL;
    struct fault f = {0};

    assert_int_equal(api_take_secret(object, "n", "n", &secret, &f), ESIGN_E_PROTO);
    assert_int_equal(api_take_secret(object, "none", "officers.0.none", &secret, &f),
                     ESIGN_E_PROTO);
    assert_string_equal(f.field, "officers.0.none");
    assert_null(secret);
    assert_int_equal(api_take_secret(object, "secret", "secret", &secret, &f), ESIGN_OK);
    assert_true(secret_equal(secret, bytes_of_str("half")));
    assert_null(json_object_get(object, "secret"));
    secret_free(secret);
}

static int setup(void **state)
{
    struct fault f = {0};

    (void)state;
    api_decode_start();
    return secret_start(&f) == ESIGN_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_decode_body__components__taken_out_of_the_body),
        cmocka_unit_test(test_api_decode_body__refused__member_is_named),
        cmocka_unit_test(test_api_decode_body__repeated_member__named),
        cmocka_unit_test(test_api_decode_body__broken_body__is_not_quoted),
        cmocka_unit_test(test_api_decode_body__password_sizes__refused_never_cut),
        cmocka_unit_test(test_api_decode_is_flat__depths__limit),
        cmocka_unit_test(test_api_take_secret__member__moved),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
