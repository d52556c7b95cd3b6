#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "register/register_internal.h"
#include "req.h"

static const char *const policy_files[] = {"policy.json", "meanings.json", "plans.json",
                                           "statement.json"};

static const char *blocklist_text; /* instead of the shipped one; NULL: that one */

static void copy_blocklist(const char *folder)
{
    char path[512], text[65536];

    (void)snprintf(path, sizeof(path), "%s/blocklist.txt", POLICY_DIRECTORY);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof(text), file);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(path, sizeof(path), "%s/blocklist.txt", folder);
    file = fopen(path, "we");
    assert_non_null(file);
    if (blocklist_text)
        assert_true(fputs(blocklist_text, file) >= 0);
    else
        assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* The shipped directory copied, with one member of one file changed. */
static enum esign_rc load_changed(const char *file, const char *member, json_t *value,
                                  struct fault *f)
{
    char folder[] = "/tmp/esign-policy-XXXXXX", path[512];
    struct register_policy p = {0};

    assert_non_null(mkdtemp(folder));
    copy_blocklist(folder);
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
    (void)snprintf(path, sizeof(path), "%s/blocklist.txt", folder);
    assert_int_equal(unlink(path), 0);
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

static void test_register_policy_load__custody_unknown_or_twice__named(void **state)
{
    REQ("design 1", "design 8");
    (void)state;
    static const struct {
        const char *custody, *field;
    } rows[] = {
        {"{\"default\":\"K4\",\"groups\":[]}", "custody.default"},
        {"{\"groups\":[]}", "custody.default"},
        {"{\"default\":\"K1\"}", "custody.groups"},
        {"{\"default\":\"K1\",\"groups\":{}}", "custody.groups"},
        {"{\"default\":\"K1\",\"groups\":[{\"group\":\"qa\"}]}", "custody.groups"},
        {"{\"default\":\"K1\",\"groups\":[{\"group\":\"q a\",\"custody\":\"K1\"}]}",
         "custody.groups"},
        {"{\"default\":\"K1\",\"groups\":[{\"group\":\"qa\",\"custody\":\"K1\"},"
         "{\"group\":\"qa\",\"custody\":\"K1\"}]}",
         "custody.groups"},
        {"{\"default\":\"K1\",\"groups\":[],\"group\":[]}", "custody.groups"},
    };
    struct fault f;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(
            load_changed("policy.json", "custody", json_loads(rows[i].custody, 0, NULL), &f),
            ESIGN_E_POLICY);
        assert_string_equal(f.field, rows[i].field);
    }
    assert_int_equal(load_changed("policy.json", "custody",
                                  json_pack("{s:s, s:[{s:s, s:s}]}", "default", "K1", "groups",
                                            "group", "qa", "custody", "K1"),
                                  &f),
                     ESIGN_OK);
}

static void test_register_custody__by_group_then_default(void **state)
{
    REQ("design 1", "design 8");
    (void)state;
    CLEANUP(json_decref_p)
    json_t *policy = json_pack("{s:{s:s, s:[{s:s, s:s}]}}", "custody", "default", "K2", "groups",
                               "group", "qa", "custody", "K3");
    CLEANUP(json_decref_p) json_t *early = json_object();
    CLEANUP(json_decref_p) json_t *qa = json_pack("{s:s}", "group", "qa");
    CLEANUP(json_decref_p) json_t *none = json_object();
    struct fault f;

    assert_string_equal(register_custody(policy, qa), "K3");
    assert_string_equal(register_custody(policy, none), "K2");
    assert_string_equal(register_custody(early, none), "K1");
    assert_int_equal(register_custody_check_group(policy, "qa", &f), ESIGN_OK);
    assert_int_equal(register_custody_check_group(policy, NULL, &f), ESIGN_OK);
    assert_int_equal(register_custody_check_group(policy, "other", &f), ESIGN_E_POLICY);
}

static void test_register_policy_load__numbers_out_of_range__named(void **state)
{
    REQ("requirements 0.3", "11.300(d)");
    (void)state;
    struct fault f;

    assert_int_equal(load_changed("policy.json", "auth", json_pack("{s:i}", "lock_after", 0), &f),
                     ESIGN_E_POLICY);
    assert_string_equal(f.field, "auth.lock_after");
    assert_int_equal(load_changed("policy.json", "auth",
                                  json_pack("{s:i, s:i}", "lock_after", 5, "alert_after", 3), &f),
                     ESIGN_E_POLICY);
    assert_string_equal(f.field, "auth.delay_s");
    assert_int_equal(
        load_changed("policy.json", "password", json_pack("{s:i}", "min_chars", 4), &f),
        ESIGN_E_POLICY);
    assert_string_equal(f.field, "password.min_chars");
}

static void test_register_policy_load__no_age_and_no_review__refused(void **state)
{
    REQ("11.300(b)", "5.8");
    (void)state;
    struct fault f;

    assert_int_equal(
        load_changed("policy.json", "password",
                     json_pack("{s:i, s:i, s:i}", "min_chars", 15, "history", 12, "max_age_d", 0),
                     &f),
        ESIGN_E_POLICY);
    assert_string_equal(f.field, "password.max_age_d");
    assert_non_null(strstr(f.detail, "reviews"));
    assert_int_equal(
        load_changed("policy.json", "password",
                     json_pack("{s:i, s:i, s:i}", "min_chars", 15, "history", 0, "max_age_d", 365),
                     &f),
        ESIGN_E_POLICY);
    assert_string_equal(f.field, "password.history");
}

static void test_register_policy_load__block_list__words_or_refused(void **state)
{
    REQ("11.300(b)");
    (void)state;
    static const struct {
        const char *text;
        enum esign_rc rc;
    } rows[] = {{"# nothing\n\n", ESIGN_OK},
                {"", ESIGN_OK},
                {"word without a newline", ESIGN_OK},
                {"good one\nabc\n", ESIGN_E_POLICY},
                {"bad\tone\n", ESIGN_E_POLICY}};
    struct fault f;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        blocklist_text = rows[i].text;
        assert_int_equal(load_changed(NULL, NULL, NULL, &f), rows[i].rc);
        if (rows[i].rc != ESIGN_OK)
            assert_string_equal(f.field, "blocklist");
    }
    blocklist_text = NULL;
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
        cmocka_unit_test(test_register_policy_load__custody_unknown_or_twice__named),
        cmocka_unit_test(test_register_custody__by_group_then_default),
        cmocka_unit_test(test_register_policy_load__numbers_out_of_range__named),
        cmocka_unit_test(test_register_policy_load__no_age_and_no_review__refused),
        cmocka_unit_test(test_register_policy_load__block_list__words_or_refused),
        cmocka_unit_test(
            test_register_policy_load__meaning_without_text_or_plan_with_unknown_one__refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
