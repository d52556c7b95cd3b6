#include "req.h"

#include "handle.h"

static void test_handle_query__values__percent_encoded(void **state)
{
    REQ("design 5");
    struct buf path = buf_new(1000);

    (void)state;
    buf_put_str(&path, "/v1/signatures");
    handle_query(&path, "record_type", "batch record");
    handle_query(&path, "left_out", NULL);
    handle_query(&path, "record_id", "a/b&c=\xc3\xbc?");
    handle_query_limit(&path, 0);
    handle_query_limit(&path, 7);
    assert_string_equal(buf_str(&path), "/v1/signatures?record_type=batch%20record"
                                        "&record_id=a%2Fb%26c%3D%C3%BC%3F&limit=7");
    buf_done(&path);
}

static void test_handle_path__no_id__refused(void **state)
{
    REQ("design 5");
    static const char *const ids[] = {NULL, "", "a/b", "../x", "a b", "a?b", "\xc3\xbc"};
    char path[HANDLE_PATH_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        assert_int_equal(handle_path("/v1/tickets/", ids[i], "", path, NULL), ESIGN_E_PROTO);
    assert_int_equal(handle_path("/v1/tickets/", "T-1a", "/cancel", path, NULL), ESIGN_OK);
    assert_string_equal(path, "/v1/tickets/T-1a/cancel");
}

static void test_esign_open__long_path__refused(void **state)
{
    REQ("design 5");
    char path[200];
    struct esign *handle = NULL;

    (void)state;
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(esign_open(path, &handle, NULL), ESIGN_E_PROTO);
    assert_int_equal(esign_open("", &handle, NULL), ESIGN_E_PROTO);
    assert_null(handle);
    esign_close(NULL);
}

static void test_esign_call__unusable_request__refused_before_sending(void **state)
{
    REQ("design 5");
    struct esign *handle = NULL;
    struct esign_error *error = esign_error_new();

    (void)state;
    assert_int_equal(esign_open("/nonexistent/esignd.sock", &handle, error), ESIGN_OK);
    assert_int_equal(esign_call(handle, "PUT", "/v1/status", NULL, 0, NULL, error), ESIGN_E_PROTO);
    assert_int_equal(esign_call(handle, "GET", "/v1/status", "{}", 2, NULL, error), ESIGN_E_PROTO);
    assert_int_equal(esign_call(handle, "GET", "/status", NULL, 0, NULL, error), ESIGN_E_PROTO);
    assert_int_equal(esign_call(handle, "GET", "/v1/a\r\nX: y", NULL, 0, NULL, error),
                     ESIGN_E_PROTO);
    assert_int_equal(esign_call(handle, "POST", "/v1/x", "", ESIGN_REQUEST_MAX + 1, NULL, error),
                     ESIGN_E_TOO_LARGE);
    assert_string_equal(esign_error_reason(error), "request");
    esign_error_free(error);
    esign_close(handle);
}

static void test_esign_call__no_daemon__busy_no_socket(void **state)
{
    REQ("design 5");
    struct esign *handle = NULL;
    struct esign_error *error = esign_error_new();

    (void)state;
    assert_int_equal(esign_open("/nonexistent/esignd.sock", &handle, error), ESIGN_OK);
    assert_int_equal(esign_status(handle, NULL, error), ESIGN_E_BUSY);
    assert_string_equal(esign_error_reason(error), "no_socket");
    assert_true(esign_error_retryable(error));
    assert_int_equal(esign_status(handle, NULL, NULL), ESIGN_E_BUSY);
    esign_error_free(error);
    esign_close(handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handle_query__values__percent_encoded),
        cmocka_unit_test(test_handle_path__no_id__refused),
        cmocka_unit_test(test_esign_open__long_path__refused),
        cmocka_unit_test(test_esign_call__unusable_request__refused_before_sending),
        cmocka_unit_test(test_esign_call__no_daemon__busy_no_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
