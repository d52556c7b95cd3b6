/* The rules for new passwords. */
#include "authn/password.h"

#include "base/cleanup.h"
#include "req.h"

struct row {
    const char *password, *reason;
    enum esign_rc rc;
};

static void check_rows(const struct row *rows, size_t count, const char *const *words,
                       size_t word_count)
{
    CLEANUP(json_decref_p) json_t *list = json_array();
    const struct authn_password_rules rules = {.user_id = "some.body.longid",
                                               .organisation = "Trial Pharma AG",
                                               .min_chars = 15,
                                               .blocklist = list};

    for (size_t i = 0; i < word_count; i++)
        assert_int_equal(json_array_append_new(list, json_string(words[i])), 0);
    for (size_t i = 0; i < count; i++) {
        struct fault f = {0};
        struct secret *s = secret_new(bytes_of_str(rows[i].password));
        enum esign_rc rc = authn_password_check(s, &rules, &f);
        if (rc != rows[i].rc || strcmp(f.reason, rows[i].reason) != 0)
            print_message("row %zu: \"%s\" -> %s\n", i, rows[i].password, f.reason);
        assert_int_equal(rc, rows[i].rc);
        assert_string_equal(f.reason, rows[i].reason);
        secret_free(s);
    }
}

#define CHECK(rows, words)                                                                         \
    check_rows(rows, sizeof(rows) / sizeof((rows)[0]), words, sizeof(words) / sizeof((words)[0]))

static void test_authn_password_check__rules__as_policy_says(void **state)
{
    REQ("11.300(b)", "2.3");
    (void)state;
    static const char *const words[] = {"nothing"};
    static const struct row rows[] = {
        {"correct horse battery", "", ESIGN_OK},
        {"short", "short", ESIGN_E_PASSWORD_POLICY},
        {"fourteen chars", "short", ESIGN_E_PASSWORD_POLICY},
        {"fifteen chars !", "", ESIGN_OK},
        {"äöüéèàçñßøåæœıł", "", ESIGN_OK},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "",
         ESIGN_E_PASSWORD_POLICY},
    };

    CHECK(rows, words);
}

static void test_authn_password_check__made_of_the_id__refused(void **state)
{
    REQ("11.300(b)", "5.7");
    (void)state;
    static const char *const words[] = {"nothing"};
    static const struct row rows[] = {
        {"some.body.longid", "same_as_id", ESIGN_E_PASSWORD_POLICY},
        {"Some-Body LongID", "same_as_id", ESIGN_E_PASSWORD_POLICY},
        {"some.body.longid2026!", "same_as_id", ESIGN_E_PASSWORD_POLICY},
        {"somesomesomesomebody", "same_as_id", ESIGN_E_PASSWORD_POLICY},
        {"some.body.longid on a green hill", "", ESIGN_OK},
    };

    CHECK(rows, words);
}

static void test_authn_password_check__common_words_and_names__refused(void **state)
{
    REQ("11.300(b)", "2.3");
    (void)state;
    static const char *const words[] = {"password", "12345", "the quick brown fox", "welcome"};
    static const struct row rows[] = {
        {"passwordpassword", "blocklist", ESIGN_E_PASSWORD_POLICY},
        {"PassWord - Password!", "blocklist", ESIGN_E_PASSWORD_POLICY},
        {"p.a.s.s.w.o.r.d.12345", "blocklist", ESIGN_E_PASSWORD_POLICY},
        {"TheQuickBrownFox2026", "blocklist", ESIGN_E_PASSWORD_POLICY},
        {"the quick brown fox!", "blocklist", ESIGN_E_PASSWORD_POLICY},
        {"Welcome to trial pharma", "blocklist", ESIGN_E_PASSWORD_POLICY},
        {"esignd some.body 12345", "blocklist", ESIGN_E_PASSWORD_POLICY},
        {"aaaaaaaaaaaaaaaaaaaa", "blocklist", ESIGN_E_PASSWORD_POLICY},
        {"xyzxyzxyzxyzxyzxyz", "blocklist", ESIGN_E_PASSWORD_POLICY},
        {"- - - - - - - - - - - -", "same_as_id", ESIGN_E_PASSWORD_POLICY},
        {"a fox eats my password", "", ESIGN_OK},
    };

    CHECK(rows, words);
}

static int start(void **state)
{
    struct fault f;

    (void)state;
    return secret_start(&f) == ESIGN_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authn_password_check__rules__as_policy_says),
        cmocka_unit_test(test_authn_password_check__made_of_the_id__refused),
        cmocka_unit_test(test_authn_password_check__common_words_and_names__refused),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
