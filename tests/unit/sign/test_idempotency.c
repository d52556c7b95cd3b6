#include "store_fixture.h"

#include "authn/session.h"
#include "sign/idempotency.h"
#include "site/site.h"

enum { HOUR_MS = 60 * 60 * 1000 };

static struct sign_key_claim claim_of(const json_t *body)
{
    return (struct sign_key_claim){.key = "k-1",
                                   .application = "mes",
                                   .uid = 1000,
                                   .method = "POST",
                                   .path = "/v1/signatures",
                                   .body = body,
                                   .user_id = "jdoe"};
}

/* Look a key up, let it go: "" new, the id that was found, or the name of the failure. */
static const char *look(struct fixture *x, struct turns *turns, const struct sign_key_claim *claim,
                        char ret[65])
{
    CLEANUP(sign_key_done) struct sign_key key = {0};
    CLEANUP(sign_key_found_done) struct sign_key_found found = {0};
    struct fault f = {0};
    enum esign_rc rc = sign_key_take(x->store, turns, claim, &key, &found, &f);

    if (rc == ESIGN_E_CONFLICT)
        assert_string_equal(f.reason, "idempotency_key");
    const char *got = rc == ESIGN_OK ? json_str(found.body, "signature") : fault_name(rc);
    (void)snprintf(ret, 65, "%s", got ? got : "");
    return ret;
}

/* Write what is begun under a key: an intent, and (made) the signature. */
static enum esign_rc begin(struct fixture *x, struct sign_key *key, const char *id, bool made)
{
    char session[SESSION_HANDLE_LEN + 1];

    authn_session_hash("S-2", session);
    CLEANUP(json_decref_p) json_t *entry = fixture_entry("signature/x");
    CLEANUP(json_decref_p)
    json_t *row = json_pack("{s:s, s:s, s:{s:s}}", "signature", id, "user_id", "JDoe", "envelope",
                            "session", session);
    struct store_change change = {.entry = entry};

    site_put(&change, made ? "signature" : "intent", id, row);
    sign_key_into(key, "signature", id, &change);
    return store_commit(x->store, &change, INT64_MAX, NULL, &x->fault);
}

/* A whole request under the key of claim. */
static void request(struct fixture *x, struct turns *turns, const struct sign_key_claim *claim,
                    const char *id, bool made)
{
    CLEANUP(sign_key_done) struct sign_key key = {0};
    CLEANUP(sign_key_found_done) struct sign_key_found found = {0};
    struct fault f = {0};

    assert_int_equal(sign_key_take(x->store, turns, claim, &key, &found, &f), ESIGN_OK);
    assert_null(found.body);
    assert_int_equal(begin(x, &key, id, made), ESIGN_OK);
}

static void test_sign_key_take__claims__first_answer_conflict_or_new(void **state)
{
    struct fixture *x = *state;
    REQ("design 3", "3.6");
    CLEANUP(json_decref_p)
    json_t *body = json_pack("{s:s, s:{s:s, s:s}}", "meaning", "approved", "record", "id", "B-1",
                             "version", "1");
    CLEANUP(json_decref_p)
    json_t *same = json_pack("{s:s, s:{s:s, s:s}, s:s}", "session", "S-2", "record", "version", "1",
                             "id", "B-1", "meaning", "approved");
    CLEANUP(json_decref_p) json_t *elsewhere = json_deep_copy(same);
    CLEANUP(json_decref_p) json_t *other = json_pack("{s:s}", "meaning", "approved");
    struct sign_key_claim claim = claim_of(body);
    const struct {
        const char *what, *expected;
        struct sign_key_claim claim;
    } rows[] = {
        {"repeated", "G-1", claim},
        {"other order and session", "G-1", {.body = same}},
        {"nobody named", "G-1", {.user_id = ""}},
        {"nobody named, its session", "G-1", {.user_id = "", .body = same}},
        {"nobody named, another session", "E_CONFLICT", {.user_id = "", .body = elsewhere}},
        {"named, another session", "G-1", {.body = elsewhere}},
        {"named in capitals", "G-1", {.user_id = "JDOE"}},
        {"other person", "E_CONFLICT", {.user_id = "rroe"}},
        {"other body", "E_CONFLICT", {.body = other}},
        {"other path", "E_CONFLICT", {.path = "/v1/tickets/T-1/authorise"}},
        {"other key", "", {.key = "k-2"}},
        {"key in capitals", "", {.key = "K-1"}},
        {"other application", "", {.application = "lims"}},
        {"terminal of that name", "", {.terminal = "mes"}},
        {"other user, same application", "G-1", {.uid = 2000}},
    };
    struct turns turns;
    char got[65];

    assert_int_equal(json_object_set_new(elsewhere, "session", json_string("S-3")), 0);
    turns_init(&turns);
    request(x, &turns, &claim, "G-1", true);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sign_key_claim *r = &rows[i].claim;
        struct sign_key_claim c = claim;
        c.key = r->key ? r->key : c.key;
        c.application = r->terminal ? NULL : r->application ? r->application : c.application;
        c.terminal = r->terminal;
        c.uid = r->uid ? r->uid : c.uid;
        c.path = r->path ? r->path : c.path;
        c.body = r->body ? r->body : c.body;
        c.user_id = r->user_id ? r->user_id : c.user_id;
        if (strcmp(look(x, &turns, &c, got), rows[i].expected) != 0)
            fail_msg("%s: \"%s\"", rows[i].what, got);
    }
    assert_null(turns.held);
    turns_done(&turns);
}

static void test_sign_key_take__at_a_terminal__a_key_is_one_users(void **state)
{
    struct fixture *x = *state;
    REQ("design 3");
    CLEANUP(json_decref_p) json_t *body = json_pack("{s:s}", "meaning", "approved");
    struct sign_key_claim claim = claim_of(body);
    struct turns turns;
    char got[65];

    turns_init(&turns);
    claim.application = NULL;
    claim.terminal = "lab-1";
    request(x, &turns, &claim, "G-1", true);
    assert_string_equal(look(x, &turns, &claim, got), "G-1");
    claim.uid++;
    assert_string_equal(look(x, &turns, &claim, got), "");
    turns_done(&turns);
}

static void test_sign_key_take__after_a_day__as_new_and_its_row_written_again(void **state)
{
    struct fixture *x = *state;
    REQ("design 3");
    CLEANUP(json_decref_p) json_t *body = json_pack("{s:s}", "meaning", "approved");
    CLEANUP(json_decref_p) json_t *other = json_pack("{s:s}", "meaning", "reviewed");
    struct sign_key_claim claim = claim_of(body);
    struct turns turns;
    char got[65];

    turns_init(&turns);
    request(x, &turns, &claim, "G-1", true);
    x->now_ms += 24 * HOUR_MS - 1;
    assert_string_equal(look(x, &turns, &claim, got), "G-1");
    x->now_ms += 1;
    assert_string_equal(look(x, &turns, &claim, got), "");
    claim.body = other;
    request(x, &turns, &claim, "G-2", true);
    assert_string_equal(look(x, &turns, &claim, got), "G-2");
    claim.body = body;
    assert_string_equal(look(x, &turns, &claim, got), "E_CONFLICT");
    fixture_close(x); /* a restart */
    fixture_open(x);
    claim.body = other;
    assert_string_equal(look(x, &turns, &claim, got), "G-2");
    turns_done(&turns);
}

static void test_sign_key_into__begun_but_never_made__again_but_once_only(void **state)
{
    struct fixture *x = *state;
    REQ("design 3", "3.6");
    CLEANUP(json_decref_p) json_t *body = json_pack("{s:s}", "meaning", "approved");
    CLEANUP(json_decref_p) json_t *other = json_pack("{s:s}", "meaning", "reviewed");
    struct sign_key_claim claim = claim_of(body), changed = claim_of(other);
    struct turns turns;
    char got[65];

    turns_init(&turns);
    request(x, &turns, &claim, "G-1", false);
    assert_string_equal(look(x, &turns, &changed, got), "E_CONFLICT");
    {
        CLEANUP(sign_key_done) struct sign_key key = {0};
        CLEANUP(sign_key_found_done) struct sign_key_found found = {0};
        struct fault f = {0};
        struct sign_key none = {.seq = -1};
        assert_int_equal(sign_key_take(x->store, &turns, &claim, &key, &found, &f), ESIGN_OK);
        assert_string_equal(key.void_id, "G-1");
        /* the first comes to an end after all: the second must not begin */
        assert_int_equal(begin(x, &none, "G-1", true), ESIGN_OK);
        assert_int_equal(begin(x, &key, "G-2", false), ESIGN_E_CONFLICT);
        assert_string_equal(x->fault.field, "signature/G-1");
    }
    assert_string_equal(look(x, &turns, &claim, got), "G-1");
    turns_done(&turns);
}

static void test_sign_key_into__no_key__nothing_is_added(void **state)
{
    struct fixture *x = *state;
    REQ("design 3");
    CLEANUP(sign_key_done) struct sign_key key = {0};
    CLEANUP(sign_key_found_done) struct sign_key_found found = {0};
    struct sign_key_claim claim = claim_of(NULL);
    struct store_change change = {0};
    struct turns turns;
    struct fault f = {0};

    turns_init(&turns);
    claim.key = NULL;
    assert_int_equal(sign_key_take(x->store, &turns, &claim, &key, &found, &f), ESIGN_OK);
    sign_key_into(&key, "signature", "G-1", &change);
    sign_key_into(NULL, "signature", "G-1", &change);
    assert_int_equal(change.row_count, 0);
    assert_int_equal(change.guard_count, 0);
    turns_done(&turns);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sign_key_take__claims__first_answer_conflict_or_new),
        TEST(test_sign_key_take__at_a_terminal__a_key_is_one_users),
        TEST(test_sign_key_take__after_a_day__as_new_and_its_row_written_again),
        TEST(test_sign_key_into__begun_but_never_made__again_but_once_only),
        TEST(test_sign_key_into__no_key__nothing_is_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
