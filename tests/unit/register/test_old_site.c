/* Sites that were initialised by an early version lack rows of today. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "register/register_internal.h"
#include "req.h"

DEFINE_CLEANUP(struct secret *, secret_free)

struct old_site {
    char folder[32];
    struct config *config;
    struct site *site;
};

static void old_site_config(struct old_site *o)
{
    char path[64];
    struct fault f = {0};

    (void)snprintf(path, sizeof(path), "%s/esignd.conf", o->folder);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fprintf(out,
            "system_class = \"closed\";\nroles: { signer = \"t\"; ca = \"t\"; log = \"t\"; };\n"
            "store: { path = \"%s/store.db\"; };\naudit: { anchor = \"%s/anchor\"; };\n"
            "tokens = ( { name = \"t\"; module = \"/m\"; uri = \"pkcs11:token=t\"; socket = "
            "\"/s\"; } );\n",
            o->folder, o->folder);
    assert_int_equal(fclose(out), 0);
    if (config_load(path, &o->config, &f) != ESIGN_OK)
        fail_msg("%s", f.detail);
}

/* What an init left of which the rules of passwords speak, but the block list. */
static void old_site_rows(struct old_site *o)
{
    CLEANUP(json_decref_p) json_t *policy = json_pack("{s:{s:i}}", "password", "min_chars", 15);
    CLEANUP(json_decref_p) json_t *row = json_pack("{s:s}", "organisation", "Trial Pharma AG");
    struct store_change change = {0};
    struct store_receipt receipt;
    const struct audit_act act = {.action = "site.init", .object = "site/site"};

    site_put(&change, "policy", "policy", policy);
    site_put(&change, "site", "site", row);
    assert_int_equal(site_commit(o->site, &act, &change, clock_mono_ms(site_clock(o->site)) + 10000,
                                 &receipt, NULL),
                     ESIGN_OK);
}

static int setup(void **state)
{
    static struct old_site o = {.folder = "/tmp/esign-old-XXXXXX"};
    struct fault f = {0};

    assert_int_equal(secret_start(NULL), ESIGN_OK);
    assert_non_null(mkdtemp(o.folder));
    old_site_config(&o);
    if (site_open(o.config, clock_system(), &o.site, &f) != ESIGN_OK)
        fail_msg("%s", f.detail);
    old_site_rows(&o);
    *state = &o;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"esignd.conf",  "store.db",      "store.db-wal",
                                        "store.db-shm", "store.db.lock", "store.db.reserve",
                                        "anchor"};
    struct old_site *o = *state;
    char path[64];

    site_close(o->site);
    config_free(o->config);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", o->folder, names[i]);
        (void)unlink(path); /* not all of them are there */
    }
    assert_int_equal(rmdir(o->folder), 0);
    return 0;
}

static enum esign_rc check(const struct old_site *o, const char *text, struct fault *f)
{
    CLEANUP(secret_free_p) struct secret *password = secret_new(bytes_of_str(text));

    assert_non_null(password);
    return register_check_password(o->site, password, "jdoe", f);
}

static void test_check_password__site_without_block_list__other_rules_count(void **state)
{
    REQ("11.300(b)");
    struct fault f = {0};

    assert_int_equal(check(*state, "a barn full of dry hay", &f), ESIGN_OK);
    assert_int_equal(check(*state, "Password-Password-1", &f), ESIGN_OK); /* by that list only */
    assert_int_equal(check(*state, "too short", &f), ESIGN_E_PASSWORD_POLICY);
    assert_string_equal(f.reason, "short");
    assert_int_equal(check(*state, "trial pharma esignd ag", &f), ESIGN_E_PASSWORD_POLICY);
    assert_string_equal(f.reason, "blocklist");
    assert_int_equal(check(*state, "jdoe jdoe jdoe jdoe", &f), ESIGN_E_PASSWORD_POLICY);
    assert_string_equal(f.reason, "same_as_id");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_password__site_without_block_list__other_rules_count),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
