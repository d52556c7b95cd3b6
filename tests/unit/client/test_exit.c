#include "req.h"

#include "cli/exit.h"

static void test_exit_of_indication__each__its_code(void **state)
{
    REQ("design 5");
    (void)state;
    assert_int_equal(exit_of_indication("TOTAL_PASSED"), CLI_DONE);
    assert_int_equal(exit_of_indication("TOTAL_FAILED"), CLI_REFUSED);
    assert_int_equal(exit_of_indication("INDETERMINATE"), CLI_INDETERMINATE);
}

static void test_exit_of_indication__unknown__indeterminate(void **state)
{
    REQ("design 5");
    (void)state;
    assert_int_equal(exit_of_indication(NULL), CLI_INDETERMINATE);
    assert_int_equal(exit_of_indication(""), CLI_INDETERMINATE);
    assert_int_equal(exit_of_indication("TOTAL_PASSED "), CLI_INDETERMINATE);
}

static void test_exit_of_error__no_daemon__unreachable(void **state)
{
    REQ("design 5");
    struct esign *handle = NULL;
    struct esign_error *error = esign_error_new();

    (void)state;
    assert_int_equal(esign_open("/nonexistent/esignd.sock", &handle, error), ESIGN_OK);
    assert_int_equal(esign_status(handle, NULL, error), ESIGN_E_BUSY);
    assert_int_equal(exit_of_error(error), CLI_UNREACHABLE);
    assert_int_equal(esign_ticket_show(handle, "a b", NULL, error), ESIGN_E_PROTO);
    assert_int_equal(exit_of_error(error), CLI_REFUSED);
    esign_close(handle);
    esign_error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_of_indication__each__its_code),
        cmocka_unit_test(test_exit_of_indication__unknown__indeterminate),
        cmocka_unit_test(test_exit_of_error__no_daemon__unreachable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
