#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "register/register_internal.h"
#include "req.h"

static const char *const policy_files[] = {"policy.json", "meanings.json", "plans.json",
                                           "statement.json"};

/* The shipped directory copied, with one member of one file changed. */
static enum esign_rc load_changed(const char *file, const char *member, json_t *value,
                                  struct fault *f)
{
    char folder[] = "/tmp/esign-policy-XXXXXX", path[512];
    struct register_policy p = {0};

    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", POLICY_DIRECTORY, policy_files[i]);
        json_t *content = json_load_file(path, 0, NULL);
        assert_non_null(content);
        if (file && strcmp(file, policy_files[i]) == 0)
            assert_int_equal(json_object_set(content, member, value), 0);
        (void)snprintf(path, sizeof(path), "%s/%s", folder, policy_files[i]);
        assert_int_equal(json_dump_file(content, path, 0), 0);
        json_decref(content);
    }
    enum esign_rc rc = register_policy_load(folder, &p, f);
    register_policy_done(&p);
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, policy_files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
    json_decref(value);
    return rc;
}

static void test_register_policy_load__as_shipped__accepted(void **state)
{
    REQ("11.50(a)(3)", "11.10(k)(2)");
    (void)state;
    struct fault f;

    assert_int_equal(load_changed(NULL, NULL, NULL, &f), ESIGN_OK);
}

static void test_register_policy_load__fewer_than_two_components__refused(void **state)
{
    REQ("11.200(a)(1)", "5.7", "5.27");
    (void)state;
    static const char *const rows[] = {"{\"first\":[\"id\"]}", "{\"first\":[\"password\"]}",
                                       "{\"first\":[\"password\",\"password\"]}",
                                       "{\"first\":[\"id\",\"id\"]}", "{}"};
    struct fault f;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(
            load_changed("policy.json", "components", json_loads(rows[i], 0, NULL), &f),
            ESIGN_E_POLICY);
        assert_string_equal(f.field, "components.first");
    }
}

static void test_register_policy_load__weak_or_unknown_algorithm__refused(void **state)
{
    REQ("11.30");
    (void)state;
    static const char *const rows[] = {"[\"rsa1024\"]", "[\"p256\",\"p384\"]", "[]", "[1]"};
    struct fault f;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            load_changed("policy.json", "signer_algorithms", json_loads(rows[i], 0, NULL), &f),
            ESIGN_E_POLICY);
}

static void test_register_policy_load__numbers_out_of_range__named(void **state)
{
    REQ("requirements 0.3", "11.300(d)");
    (void)state;
    struct fault f;

    assert_int_equal(load_changed("policy.json", "auth", json_pack("{s:i}", "lock_after", 0), &f),
                     ESIGN_E_POLICY);
    assert_string_equal(f.field, "auth.lock_after");
    assert_int_equal(
        load_changed("policy.json", "password", json_pack("{s:i}", "min_chars", 4), &f),
        ESIGN_E_POLICY);
    assert_string_equal(f.field, "password.min_chars");
}

static void
test_register_policy_load__meaning_without_text_or_plan_with_unknown_one__refused(void **state)
{
    REQ("11.50(a)(3)", "11.10(f)");
    (void)state;
    struct fault f;

    assert_int_equal(
        load_changed(
            "meanings.json", "meanings",
            json_loads("[{\"code\":\"approved\",\"version\":1,\"language\":\"en\"}]", 0, NULL), &f),
        ESIGN_E_POLICY);
    assert_int_equal(
        load_changed("plans.json", "plans",
                     json_loads("[{\"id\":\"single\",\"version\":1,\"steps\":[{\"id\":\"a\","
                                "\"meanings\":[\"blessed\"]}]}]",
                                0, NULL),
                     &f),
        ESIGN_E_POLICY);
    assert_string_equal(f.field, "plans");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register_policy_load__as_shipped__accepted),
        cmocka_unit_test(test_register_policy_load__fewer_than_two_components__refused),
        cmocka_unit_test(test_register_policy_load__weak_or_unknown_algorithm__refused),
        cmocka_unit_test(test_register_policy_load__numbers_out_of_range__named),
        cmocka_unit_test(
            test_register_policy_load__meaning_without_text_or_plan_with_unknown_one__refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
