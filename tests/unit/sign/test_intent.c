/* What was decided from rows that have moved since is refused by the writer, at the intent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "req.h"
#include "sign/job.h"

enum { COMMIT_MS = 10000 };

static struct {
    char folder[32];
    struct config *config;
    struct site *site;
} fx;

static int64_t fixture_deadline(void)
{
    return clock_mono_ms(site_clock(fx.site)) + COMMIT_MS;
}

/* Write one row as it is, or changed (value differs); returns its generation. */
static int64_t fixture_write(const char *kind, const char *id, json_t *body)
{
    struct store_change change = {0};
    struct store_receipt receipt;
    struct fault f = {0};
    const struct audit_act act = {.action = "test.write", .object = "test/row"};

    site_put(&change, kind, id, body);
    if (site_commit(fx.site, &act, &change, fixture_deadline(), &receipt, &f) != ESIGN_OK)
        fail_msg("%s/%s: %s", kind, id, f.detail);
    return receipt.seq;
}

static int setup(void **state)
{
    char path[64];
    struct fault f = {0};

    (void)state;
    memcpy(fx.folder, "/tmp/esign-intent-XXXXXX", sizeof("/tmp/esign-intent-XXXXXX"));
    assert_int_equal(secret_start(NULL), ESIGN_OK);
    assert_non_null(mkdtemp(fx.folder));
    (void)snprintf(path, sizeof(path), "%s/esignd.conf", fx.folder);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fprintf(out,
            "system_class = \"closed\";\nroles: { signer = \"t\"; ca = \"t\"; log = \"t\"; };\n"
            "store: { path = \"%s/store.db\"; };\naudit: { anchor = \"%s/anchor\"; };\n"
            "tokens = ( { name = \"t\"; module = \"/m\"; uri = \"pkcs11:token=t\"; socket = "
            "\"/s\"; } );\n",
            fx.folder, fx.folder);
    assert_int_equal(fclose(out), 0);
    if (config_load(path, &fx.config, &f) != ESIGN_OK ||
        site_open(fx.config, clock_system(), &fx.site, &f) != ESIGN_OK)
        fail_msg("%s", f.detail);
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"esignd.conf",  "store.db",      "store.db-wal",
                                        "store.db-shm", "store.db.lock", "store.db.reserve",
                                        "anchor"};
    char path[64];

    (void)state;
    site_close(fx.site);
    config_free(fx.config);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", fx.folder, names[i]);
        (void)unlink(path); /* not all of them are there */
    }
    assert_int_equal(rmdir(fx.folder), 0);
    return 0;
}

/* The rows that a signing rests on, as members of a job. */
static struct store_view view_of(const char *kind, const char *id, json_t *body)
{
    struct store_view view = {0};
    struct fault f = {0};

    (void)fixture_write(kind, id, body);
    json_decref(body);
    assert_int_equal(store_look(site_store(fx.site), kind, id, &view, &f), ESIGN_OK);
    return view;
}

/* A job that has gone through all steps before the intent. */
static struct sign_job job_before_intent(const struct sign_act *act, unsigned number)
{
    struct sign_job j = sign_job_new(fx.site, act);
    CLEANUP(json_decref_p) json_t *credential = json_pack("{s:s}", "signer_id", "P-1");

    j.person.signer =
        json_pack("{s:s, s:s, s:s}", "signer_id", "P-1", "user_id", "jdoe", "state", "active");
    j.person.signer_seq = fixture_write("signer", "P-1", j.person.signer);
    j.person.credential_seq = fixture_write("credential", "P-1", credential);
    j.person.attempt_seq = -1; /* no failure yet */
    j.person.signer_id = json_str(j.person.signer, "signer_id");
    j.person.user_id = json_str(j.person.signer, "user_id");
    j.meaning = view_of("meaning", "approved", json_pack("{s:s}", "code", "approved"));
    j.plan = view_of("plan", "single", json_pack("{s:s}", "id", "single"));
    j.policy = view_of("policy", "policy", json_pack("{s:s}", "id", "default"));
    j.key = view_of("key", "K-1", json_pack("{s:s}", "key", "K-1"));
    j.ticket.body = json_pack("{s:s}", "state", "ready");
    j.ticket.seq = fixture_write("ticket", act->ticket_id, j.ticket.body);
    j.envelope = json_object();
    (void)snprintf(j.signature_id, sizeof(j.signature_id), "G-%u", number);
    buf_put_str(&j.digest, "digest");
    return j;
}

static void test_sign_step_intent__a_row_has_moved__refused_and_no_intent(void **state)
{
    (void)state;
    REQ("5.23", "design 3", "A7");
    static const struct {
        const char *kind, *id; /* NULL: none moves */
        const char *state;     /* that the row says then */
        enum esign_rc rc;
        const char *reason;
    } rows[] = {
        {NULL, NULL, NULL, ESIGN_OK, ""},
        {"signer", "P-1", "revoked", ESIGN_E_SIGNER_STATE, "revoked"},
        {"signer", "P-1", "suspended", ESIGN_E_SIGNER_STATE, "suspended"},
        {"signer", "P-1", "active", ESIGN_E_CONFLICT, "generation"}, /* a right was taken away */
        {"credential", "P-1", "active", ESIGN_E_CONFLICT, "generation"},
        {"meaning", "approved", "", ESIGN_E_CONFLICT, "generation"},
        {"plan", "single", "", ESIGN_E_CONFLICT, "generation"},
        {"policy", "policy", "", ESIGN_E_CONFLICT, "generation"},
        {"key", "K-1", "", ESIGN_E_CONFLICT, "generation"},
        {"ticket", "T-1", "cancelled", ESIGN_E_REPLAY, ""},
        {"attempt", "P-1", "", ESIGN_E_CONFLICT, "generation"}, /* a failure was counted; last,
                                                                   since this row stays */
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sign_act act = {.ticket_id = "T-1", .deadline_at_ms = fixture_deadline()};
        CLEANUP(sign_job_done) struct sign_job j = job_before_intent(&act, i);
        CLEANUP(json_decref_p) json_t *moved = NULL;
        CLEANUP(json_decref_p) json_t *intent = NULL;
        struct fault f = {0};
        if (rows[i].kind) {
            moved = json_pack("{s:s}", "state", rows[i].state);
            (void)fixture_write(rows[i].kind, rows[i].id, moved);
        }
        int64_t size = store_size(site_store(fx.site));
        if (sign_step_intent(&j, &f) != rows[i].rc)
            fail_msg("%u %s: %s %s", i, rows[i].kind, fault_name(f.rc), f.detail);
        assert_string_equal(f.reason, rows[i].reason);
        assert_int_equal(j.intended, rows[i].rc == ESIGN_OK);
        assert_int_equal(store_size(site_store(fx.site)), size + (rows[i].rc == ESIGN_OK));
        assert_int_equal(
            store_get(site_store(fx.site), "intent", j.signature_id, &intent, NULL, &f),
            rows[i].rc == ESIGN_OK ? ESIGN_OK : ESIGN_E_NOT_FOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_step_intent__a_row_has_moved__refused_and_no_intent),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
