#include "config/config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "req.h"

#define TOKENS                                                                                     \
    "tokens = ( { name = \"signers\"; module = \"/m\"; uri = \"pkcs11:token=s\"; socket = "        \
    "\"/s\"; },"                                                                                   \
    "           { name = \"ca\"; module = \"/m\"; uri = \"pkcs11:token=c\"; socket = \"/c\"; },"   \
    "           { name = \"log\"; module = \"/m\"; uri = \"pkcs11:token=l\"; socket = \"/l\";"     \
    "             key_algorithm = \"p256\"; environment = ( \"A=1\", \"B=2\" ); } );\n"

static enum esign_rc load(const char *text, struct config **ret, struct fault *f)
{
    char path[] = "/tmp/esign-config-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    enum esign_rc rc = config_load(path, ret, f);
    assert_int_equal(unlink(path), 0);
    return rc;
}

static void test_config_load__small__has_every_default(void **state)
{
    REQ("design 4");
    (void)state;
    struct config *c = NULL;
    struct fault f;

    assert_int_equal(load("system_class = \"closed\";\n" TOKENS, &c, &f), ESIGN_OK);
    assert_string_equal(config_str(c, "system"), "production");
    assert_true(config_bool(c, "clock.require_sync"));
    assert_int_equal(config_int(c, "request.deadline_ms"), 30000);
    assert_int_equal(config_token_count(c), 3);
    assert_int_equal(config_token_by_name(c, "log"), 2);
    assert_int_equal(config_token_int(c, 0, "workers"), 2);
    assert_string_equal(config_token_environment(c, 2, 1), "B=2");
    assert_null(config_token_environment(c, 2, 2));
    assert_null(config_token_environment(c, 0, 0));
    config_free(c);
}

/* Source: 21 CFR 11.3(b)(4), (9): the site decides, there is no default. */
static void test_config_load__no_system_class__refused_by_name(void **state)
{
    REQ("11.3(b)(4), (9)");
    (void)state;
    struct config *c = NULL;
    struct fault f;

    assert_int_equal(load(TOKENS, &c, &f), ESIGN_E_POLICY);
    assert_string_equal(f.field, "system_class");
}

static void test_config_load__each_defect__names_the_option(void **state)
{
    REQ("design 4");
    (void)state;
    static const struct {
        const char *text, *field;
    } rows[] = {
        {"system_class = \"half\";\n" TOKENS, "system_class"},
        {"system_class = \"closed\"; sistem = \"test\";\n" TOKENS, "sistem"},
        {"system_class = \"closed\"; clock = { require_sync = \"no\"; };\n" TOKENS,
         "clock.require_sync"},
        {"system_class = \"closed\"; clock = { drift = 1; };\n" TOKENS, "clock.drift"},
        {"system_class = \"closed\"; request = { deadline_ms = 1; };\n" TOKENS,
         "request.deadline_ms"},
        {"system_class = \"closed\"; request = { deadline_ms = 1.5; };\n" TOKENS,
         "request.deadline_ms"},
        {"system_class = \"closed\"; roles = { ca = \"nowhere\"; };\n" TOKENS, "roles.ca"},
        {"system_class = \"closed\";\n", "tokens"},
        {"system_class = \"closed\"; tokens = ( { name = \"x\"; } );", "module"},
        {"system_class = \"closed\"\n=", "file"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config *c = NULL;
        struct fault f = {0};
        assert_int_equal(load(rows[i].text, &c, &f), ESIGN_E_POLICY);
        assert_string_equal(f.field, rows[i].field);
        assert_null(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_load__small__has_every_default),
        cmocka_unit_test(test_config_load__no_system_class__refused_by_name),
        cmocka_unit_test(test_config_load__each_defect__names_the_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
