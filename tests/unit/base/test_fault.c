#include "base/fault.h"

#include <string.h>

#include "req.h"

static void test_fault_by_name__every_row__round_trip(void **state)
{
    REQ("requirements 0.2");
    (void)state;
#define ROW(name, number, http, retryable, text)                                                   \
    assert_string_equal(fault_name(ESIGN_##name), #name);                                          \
    assert_int_equal(fault_by_name(#name), number);                                                \
    assert_int_equal(fault_http(ESIGN_##name), http);                                              \
    assert_true(http == 200 || (http >= 400 && http < 600));
    ESIGN_ERRORS(ROW)
#undef ROW
    assert_int_equal(fault_by_name("E_NO_SUCH"), ESIGN_E_INTERNAL);
}

static void test_fault_field__long_texts__cut_not_overrun(void **state)
{
    REQ("requirements 0.2");
    (void)state;
    struct fault f;
    char text[1000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(fault_field(&f, ESIGN_E_PROTO, text, "%s", text), ESIGN_E_PROTO);
    assert_int_equal(strlen(f.field), sizeof(f.field) - 1);
    assert_int_equal(strlen(f.detail), sizeof(f.detail) - 1);
    assert_int_equal(fault_set(NULL, ESIGN_E_BUSY, "nobody wants to know"), ESIGN_E_BUSY);
}

static void test_fault_reason__quotes_its_own_text__kept(void **state)
{
    REQ("requirements 0.2");
    (void)state;
    struct fault f;

    assert_int_equal(fault_set(&f, ESIGN_E_POLICY, "the file is gone"), ESIGN_E_POLICY);
    assert_int_equal(fault_reason(&f, ESIGN_E_HSM, "pin", "no PIN: %.100s", f.detail), ESIGN_E_HSM);
    assert_string_equal(f.detail, "no PIN: the file is gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault_by_name__every_row__round_trip),
        cmocka_unit_test(test_fault_field__long_texts__cut_not_overrun),
        cmocka_unit_test(test_fault_reason__quotes_its_own_text__kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
