/* What a token's service keeps over its restarts. */
#include "pkcs11/known.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "req.h"

enum { PATH_LEN = 128 };

static char *folder_of(void **state)
{
    return *state;
}

static int setup(void **state)
{
    static char folder[64];

    (void)snprintf(folder, sizeof(folder), "/tmp/esign-known-XXXXXX");
    *state = folder;
    return mkdtemp(folder) && setenv("STATE_DIRECTORY", folder, 1) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const files[] = {"esign-token.serial", "esign-token.refused"};
    char path[PATH_LEN];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder_of(state), files[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return -1;
    }
    return rmdir(folder_of(state));
}

static enum esign_rc check(const char *serial, const char *pin)
{
    return pkcs11_known_check_pin(serial, bytes_of_str(pin), NULL);
}

static void refuse(const char *serial, const char *pin)
{
    assert_int_equal(pkcs11_known_refuse_pin(serial, bytes_of_str(pin), NULL), ESIGN_OK);
}

static void test_known_check_pin__refused_ones__not_sent_to_that_token(void **state)
{
    REQ("11.300(d)", "style 22");
    (void)state;

    assert_int_equal(check("1", "1234"), ESIGN_OK);
    refuse("1", "1234");
    refuse("1", "1235");
    assert_int_equal(check("1", "1234"), ESIGN_E_HSM);
    assert_int_equal(check("1", "1235"), ESIGN_E_HSM);
    assert_int_equal(check("1", "1236"), ESIGN_OK);
    assert_int_equal(check("2", "1234"), ESIGN_OK); /* another token */
    pkcs11_known_forget_pins();
    assert_int_equal(check("1", "1234"), ESIGN_OK);
}

static void test_known_refuse_pin__many__the_newest_are_kept(void **state)
{
    REQ("11.300(d)");
    char path[PATH_LEN], pin[16];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/esign-token.refused", folder_of(state));
    for (int i = 0; i < PKCS11_KNOWN_PINS_MAX + 1; i++) {
        (void)snprintf(pin, sizeof(pin), "%d", i);
        refuse("1", pin);
    }
    assert_int_equal(check("1", "0"), ESIGN_OK);
    assert_int_equal(check("1", "1"), ESIGN_E_HSM);
    assert_int_equal(check("1", pin), ESIGN_E_HSM);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_known_check_pin__damaged_file__no_pin_sent(void **state)
{
    REQ("11.300(d)");
    static const char *const contents[] = {"x", "00\n", "zz\n",
                                           "000102030405060708090a0b0c0d0e0f\nabc\n"};
    char path[PATH_LEN];

    (void)snprintf(path, sizeof(path), "%s/esign-token.refused", folder_of(state));
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        struct fault f = {0};
        FILE *file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(contents[i], file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(pkcs11_known_check_pin("1", bytes_of_str("1"), &f), ESIGN_E_HSM);
        assert_string_equal(f.reason, "pin");
        assert_non_null(strstr(f.detail, "esign-token.refused is damaged"));
    }
}

static void test_known_serial__set__read_again(void **state)
{
    REQ("design 8");
    (void)state;
    char serial[PKCS11_SERIAL_LEN + 1];

    assert_int_equal(pkcs11_known_serial(serial, NULL), ESIGN_OK);
    assert_string_equal(serial, "");
    assert_int_equal(pkcs11_known_set_serial("0123456789abcdef", NULL), ESIGN_OK);
    assert_int_equal(pkcs11_known_serial(serial, NULL), ESIGN_OK);
    assert_string_equal(serial, "0123456789abcdef");
}

static void test_known__no_folder__nothing_known_or_kept(void **state)
{
    REQ("design 8");
    (void)state;
    char serial[PKCS11_SERIAL_LEN + 1];

    assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
    refuse("1", "1234");
    assert_int_equal(check("1", "1234"), ESIGN_OK);
    assert_int_equal(pkcs11_known_set_serial("1", NULL), ESIGN_OK);
    assert_int_equal(pkcs11_known_serial(serial, NULL), ESIGN_OK);
    assert_string_equal(serial, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_known_check_pin__refused_ones__not_sent_to_that_token,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_known_refuse_pin__many__the_newest_are_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_known_check_pin__damaged_file__no_pin_sent, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_known_serial__set__read_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_known__no_folder__nothing_known_or_kept, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
