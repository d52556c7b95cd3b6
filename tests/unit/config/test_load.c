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

static void test_config_token_put_environment__new_and_known_name__that_line(void **state)
{
    REQ("design 4");
    (void)state;
    struct config *c = NULL;
    struct fault f;

    assert_int_equal(load("system_class = \"closed\";\n" TOKENS, &c, &f), ESIGN_OK);
    assert_int_equal(config_token_put_environment(c, 2, "B", "3", &f), ESIGN_OK);
    assert_string_equal(config_token_environment(c, 2, 0), "A=1");
    assert_string_equal(config_token_environment(c, 2, 1), "B=3");
    assert_null(config_token_environment(c, 2, 2));
    assert_int_equal(config_token_put_environment(c, 2, "AB", "4", &f), ESIGN_OK);
    assert_string_equal(config_token_environment(c, 2, 2), "AB=4");
    assert_int_equal(config_token_put_environment(c, 0, "A", "5", &f), ESIGN_OK);
    assert_string_equal(config_token_environment(c, 0, 0), "A=5");
    assert_null(config_token_environment(c, 0, 1));
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
        {"system_class = \"closed\"; socket = { max_connections = 8; kept_for_terminals = 8; "
         "};\n" TOKENS,
         "socket.kept_for_terminals"},
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

static struct config *loaded(const char *text)
{
    struct config *c = NULL;
    struct fault f;

    assert_int_equal(load(text, &c, &f), ESIGN_OK);
    return c;
}

static void test_config_take_over__reloadable_options__in_force(void **state)
{
    REQ("design 4");
    (void)state;
    struct config *c = loaded("system_class = \"closed\";\n" TOKENS);
    struct config *next = loaded("system_class = \"closed\"; audit = { checkpoint_s = 7; };"
                                 "clock = { require_sync = false; };\n" TOKENS);
    json_t *changed = NULL;
    struct fault f;

    assert_int_equal(config_compare(c, next, &changed, &f), ESIGN_OK);
    assert_int_equal(json_object_size(changed), 2);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(changed, "audit.checkpoint_s"), "old")),
        300);
    config_take_over(c, next);
    config_free(next);
    assert_int_equal(config_int(c, "audit.checkpoint_s"), 7);
    assert_false(config_bool(c, "clock.require_sync"));
    assert_int_equal(config_int(c, "request.deadline_ms"), 30000);
    json_decref(changed);
    config_free(c);
}

static void test_config_take_over__token_in_another_place__its_own_value(void **state)
{
    REQ("design 4");
    (void)state;
    static const char other[] =
        "system_class = \"closed\";\n"
        "tokens = ( { name = \"log\"; module = \"/m\"; uri = \"pkcs11:token=l\"; socket = \"/l\";"
        " environment = ( \"A=1\", \"B=2\" ); deadline_ms = 77; },"
        " { name = \"signers\"; module = \"/m\"; uri = \"pkcs11:token=s\"; socket = \"/s\"; },"
        " { name = \"ca\"; module = \"/m\"; uri = \"pkcs11:token=c\"; socket = \"/c\"; } );\n";
    struct config *c = loaded("system_class = \"closed\";\n" TOKENS), *next = loaded(other);
    json_t *changed = NULL;
    struct fault f;

    assert_int_equal(config_compare(c, next, &changed, &f), ESIGN_OK);
    assert_int_equal(json_object_size(changed), 1);
    assert_non_null(json_object_get(changed, "tokens.log.deadline_ms"));
    config_take_over(c, next);
    assert_int_equal(config_token_int(c, 2, "deadline_ms"), 77);
    assert_int_equal(config_token_int(c, 0, "deadline_ms"), 10000);
    json_decref(changed);
    config_free(next);
    config_free(c);
}

static void test_config_compare__what_needs_a_restart__refused_by_name(void **state)
{
    REQ("design 4");
    (void)state;
    static const struct {
        const char *text, *name;
    } rows[] = {
        {"system_class = \"open\";\n" TOKENS, "system_class"},
        {"system_class = \"closed\"; hash = { workers = 3; };\n" TOKENS, "hash.workers"},
        {"system_class = \"closed\";\n"
         "tokens = ( { name = \"signers\"; module = \"/m\"; uri = \"pkcs11:token=s\"; socket = "
         "\"/s\"; workers = 5; }, { name = \"ca\"; module = \"/m\"; uri = \"u\"; socket = \"/c\"; "
         "},{ name = \"log\"; module = \"/m\"; uri = \"u\"; socket = \"/l\"; } );",
         "tokens.signers.workers"},
        {"system_class = \"closed\"; roles = { signer = \"x\"; ca = \"x\"; log = \"x\"; };\n"
         "tokens = ( { name = \"x\"; module = \"/m\"; uri = \"u\"; socket = \"/s\"; } );",
         "tokens.x.name"},
    };
    struct config *c = loaded("system_class = \"closed\";\n" TOKENS);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config *next = loaded(rows[i].text);
        json_t *changed = NULL;
        struct fault f = {0};
        assert_int_equal(config_compare(c, next, &changed, &f), ESIGN_E_POLICY);
        assert_null(changed);
        if (i < 3)
            assert_non_null(strstr(f.detail, rows[i].name));
        config_free(next);
    }
    config_free(c);
}

static void test_config_load__file_that_can_not_be_read__named_with_line_or_cause(void **state)
{
    REQ("2.4");
    (void)state;
    struct config *c = NULL;
    struct fault f;

    assert_int_equal(load("a = 1;\nb = ;\n", &c, &f), ESIGN_E_POLICY);
    assert_ptr_equal(strstr(f.detail, "/tmp/esign-config-"), f.detail);
    assert_non_null(strstr(f.detail, " line 2: "));
    assert_int_equal(config_load("/nonexistent/esignd.conf", &c, &f), ESIGN_E_POLICY);
    assert_string_equal(f.detail, "/nonexistent/esignd.conf can't be read: "
                                  "No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_load__small__has_every_default),
        cmocka_unit_test(test_config_token_put_environment__new_and_known_name__that_line),
        cmocka_unit_test(test_config_load__no_system_class__refused_by_name),
        cmocka_unit_test(test_config_load__each_defect__names_the_option),
        cmocka_unit_test(test_config_load__file_that_can_not_be_read__named_with_line_or_cause),
        cmocka_unit_test(test_config_take_over__reloadable_options__in_force),
        cmocka_unit_test(test_config_take_over__token_in_another_place__its_own_value),
        cmocka_unit_test(test_config_compare__what_needs_a_restart__refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
