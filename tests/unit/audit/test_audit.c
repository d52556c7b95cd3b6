#include "audit_fixture.h"

#include "audit/audit_internal.h"
#include "store_fixture.h"

/* The store's fixture with a trail, a key and an anchor on top. */
struct trail {
    struct fixture *x;
    struct audit *audit;
    struct test_key key;
    char anchor[96];
    struct fault fault;
};

static void open_audit(struct trail *t)
{
    assert_int_equal(audit_open(t->x->store, FIXTURE_ORIGIN, &t->audit, &t->fault), ESIGN_OK);
}

/* 20 entries with a row each; checkpoints at 8 and 16. */
static int setup(void **state)
{
    struct trail *t = calloc(1, sizeof *t);
    assert_int_equal(fixture_setup((void **)&t->x), 0);
    (void)snprintf(t->anchor, sizeof t->anchor, "%s/anchor", t->x->dir);
    test_key_init(&t->key);
    open_audit(t);
    fixture_fill(t->x, 8);
    assert_int_equal(audit_checkpoint(t->audit, &t->key.signer, t->anchor, NULL, &t->fault),
                     ESIGN_OK);
    for (int i = 8; i < 20; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%03d", i);
        assert_int_equal(fixture_commit(t->x, "item", id, "first", -1, NULL), ESIGN_OK);
        if (i == 15)
            assert_int_equal(audit_checkpoint(t->audit, &t->key.signer, t->anchor, NULL, &t->fault),
                             ESIGN_OK);
    }
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct trail *t = *state;
    audit_close(t->audit);
    test_key_done(&t->key);
    fixture_teardown((void **)&t->x);
    free(t);
    return 0;
}

static struct audit_report verify(struct trail *t)
{
    struct audit_report r = {0};
    assert_int_equal(audit_verify(t->audit, t->key.signer.spki, t->anchor, &r, &t->fault),
                     ESIGN_OK);
    return r;
}

/* Change the file past the store, then verify. */
static void expect_bad(struct trail *t, const char *sql, int64_t bad_seq)
{
    fixture_sql(t->x, sql);
    struct audit_report r = verify(t);
    if (r.bad_seq != bad_seq)
        fail_msg("%s: first bad %lld, not %lld (%s)", sql, (long long)r.bad_seq, (long long)bad_seq,
                 r.detail);
    assert_true(strlen(r.detail) > 0);
}

static void test_audit_verify__untouched__holds(void **state)
{
    REQ("11.10(e)", "design 7");
    struct audit_report r = verify(*state);
    assert_int_equal(r.bad_seq, -1);
    assert_int_equal(r.size, 20);
    assert_int_equal(r.checkpoint_size, 16);
    assert_string_equal(r.detail, "");
}

static void test_audit_verify__reopened__holds(void **state)
{
    REQ("11.10(e)", "design 7");
    struct trail *t = *state;
    struct audit_head before;
    struct audit_head after;
    assert_int_equal(audit_head(t->audit, &before, &t->fault), ESIGN_OK);
    audit_close(TAKE(t->audit));
    fixture_close(t->x);
    fixture_open(t->x);
    open_audit(t);
    assert_int_equal(audit_head(t->audit, &after, &t->fault), ESIGN_OK);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(verify(t).bad_seq, -1);
}

static void test_audit_verify__entry_edited__named(void **state)
{
    REQ("11.10(e)", "design 7");
    expect_bad(*state,
               "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"OK\"', '\"KO\"') AS "
               "BLOB) WHERE seq = 5",
               5);
}

static void test_audit_verify__entry_deleted__named(void **state)
{
    REQ("11.10(e)", "design 7");
    expect_bad(*state, "DELETE FROM entry WHERE seq = 11", 11);
}

static void test_audit_verify__entries_swapped__first_named(void **state)
{
    REQ("11.10(e)", "design 7");
    expect_bad(*state,
               "UPDATE entry SET seq = 100 WHERE seq = 6; UPDATE entry SET seq = 6 WHERE seq = 12;"
               "UPDATE entry SET seq = 12 WHERE seq = 100",
               6);
}

static void test_audit_verify__entry_inserted__named(void **state)
{
    REQ("11.10(e)", "design 7");
    /* Room is made for it: what follows moves up by one. */
    expect_bad(*state,
               "UPDATE entry SET seq = -seq - 2 WHERE seq >= 9;"
               "UPDATE entry SET seq = -seq - 1 WHERE seq < 0;"
               "INSERT INTO entry(seq, leaf, bytes) SELECT 9, leaf, bytes FROM entry WHERE seq = 3",
               9);
}

static void test_audit_verify__entry_appended__named(void **state)
{
    REQ("11.10(e)", "design 7");
    expect_bad(*state,
               "INSERT INTO entry(seq, leaf, bytes) SELECT 20, leaf, bytes FROM entry "
               "WHERE seq = 3",
               20);
}

static void test_audit_verify__tail_cut__first_missing_named(void **state)
{
    REQ("11.10(e)", "design 7");
    expect_bad(*state, "DELETE FROM entry WHERE seq >= 14", 14);
}

static void test_audit_verify__row_edited__its_entry_named(void **state)
{
    REQ("11.10(e)", "design 7");
    expect_bad(*state, "UPDATE row SET body = '{\"value\":\"mine\"}' WHERE id = '010'", 10);
}

static void test_audit_verify__row_deleted__its_entry_named(void **state)
{
    REQ("11.10(e)", "design 7");
    expect_bad(*state, "DELETE FROM row WHERE id = '010'", 10);
}

static void test_audit_verify__row_invented__named(void **state)
{
    REQ("11.10(e)", "design 7");
    expect_bad(*state, "INSERT INTO row(kind, id, body, entry_seq) VALUES('item', 'x', '{}', 4)",
               4);
}

static void test_audit_verify__row_put_back_to_an_older_one__newest_entry_named(void **state)
{
    REQ("11.10(e)", "11.300", "design 7");
    struct trail *t = *state;
    assert_int_equal(fixture_commit(t->x, "item", "002", "second", 2, NULL), ESIGN_OK);
    expect_bad(t, "UPDATE row SET body = '{\"value\":\"first\"}', entry_seq = 2 WHERE id = '002'",
               20);
}

/* An entry with its leaf and row, replaced by somebody who knows the format. */
static void replace_consistently(struct trail *t, int64_t seq, const char *id)
{
    CLEANUP(buf_done) struct buf bytes = buf_new(STORE_ENTRY_MAX);
    CLEANUP(buf_done) struct buf changed = buf_new(STORE_ENTRY_MAX);
    CLEANUP(json_decref_p) json_t *entry = NULL;
    assert_int_equal(store_entry(t->x->store, seq, &bytes, &t->fault), ESIGN_OK);
    assert_int_equal(json_parse_object(buf_bytes(&bytes), &entry, &t->fault), ESIGN_OK);
    static const char body[] = "{\"value\":\"other\"}";
    uint8_t hash[SHA256_LEN];
    char key[32];
    char hex[4096];
    char leaf_hex[2 * SHA256_LEN + 1];
    (void)snprintf(key, sizeof key, "item/%s", id);
    bytes_sha256(bytes_of_str(body), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof hash), hex);
    json_object_set_new(json_object_get(entry, "rows"), key, json_string(hex));
    assert_int_equal(json_canonical(entry, &changed), ESIGN_OK);
    static const uint8_t prefix = 0;
    bytes_sha256(bytes_of(&prefix, 1), buf_bytes(&changed), hash);
    encode_hex(bytes_of(hash, sizeof hash), leaf_hex);
    encode_hex(buf_bytes(&changed), hex);
    char sql[8192];
    (void)snprintf(sql, sizeof sql,
                   "UPDATE entry SET bytes = x'%s', leaf = x'%s' WHERE seq = %lld;"
                   "UPDATE row SET body = '%s' WHERE id = '%s'",
                   hex, leaf_hex, (long long)seq, body, id);
    fixture_sql(t->x, sql);
}

static void test_audit_verify__entry_leaf_and_row_replaced__checkpoint_does_not_hold(void **state)
{
    REQ("11.10(e)", "design 7");
    struct trail *t = *state;
    replace_consistently(t, 10, "010");
    assert_int_equal(verify(t).bad_seq, 8);
    /* After a restart only the checkpoint knows; a new one is not signed over it. */
    audit_close(TAKE(t->audit));
    fixture_close(t->x);
    fixture_open(t->x);
    open_audit(t);
    struct audit_report r = verify(t);
    assert_int_equal(r.bad_seq, 8);
    assert_int_equal(r.checkpoint_size, 8);
    int count = t->key.signed_count;
    assert_int_equal(audit_checkpoint(t->audit, &t->key.signer, t->anchor, NULL, &t->fault),
                     ESIGN_E_AUDIT_UNAVAILABLE);
    assert_string_equal(t->fault.reason, "tampered");
    assert_int_equal(t->key.signed_count, count);
    CLEANUP(buf_done) struct buf proof = buf_new(8192);
    assert_int_equal(audit_proof(t->audit, 3, &proof, &t->fault), ESIGN_E_AUDIT_UNAVAILABLE);
}

static void test_audit_verify__replaced_since_the_checkpoint__process_remembers(void **state)
{
    REQ("11.10(e)", "design 7");
    struct trail *t = *state;
    struct audit_head head;
    assert_int_equal(audit_head(t->audit, &head, &t->fault), ESIGN_OK);
    replace_consistently(t, 18, "018");
    assert_int_equal(verify(t).bad_seq, 16);
}

static void test_audit_verify__whole_tail_cut_with_rows__anchor_tells(void **state)
{
    REQ("11.10(e)", "design 7");
    struct trail *t = *state;
    audit_close(TAKE(t->audit));
    fixture_close(t->x);
    fixture_sql(t->x, "DELETE FROM entry WHERE seq >= 12; DELETE FROM row WHERE entry_seq >= 12;"
                      "DELETE FROM checkpoint WHERE size > 8");
    fixture_open(t->x);
    open_audit(t);
    struct audit_report r = verify(t);
    assert_int_equal(r.bad_seq, 12);
    assert_non_null(strstr(r.detail, "anchor line 2"));
}

static void test_audit_verify__kept_checkpoint_forged__told(void **state)
{
    REQ("11.10(e)", "design 7");
    struct trail *t = *state;
    struct test_key other;
    struct audit_head head;
    CLEANUP(buf_done) struct buf note = buf_new(4096);
    test_key_init(&other);
    /* Somebody who replaces an entry can also replace what was signed, but not sign. */
    assert_int_equal(audit_checkpoint(t->audit, &other.signer, NULL, &note, &t->fault), ESIGN_OK);
    assert_int_equal(audit_head(t->audit, &head, &t->fault), ESIGN_OK);
    struct audit_report r = verify(t);
    assert_int_equal(r.bad_seq, 16);
    assert_non_null(strstr(r.detail, "checkpoint 20"));
    test_key_done(&other);
}

static void test_audit_verify__anchor_file_gone__told(void **state)
{
    REQ("11.10(e)", "design 7");
    struct trail *t = *state;
    assert_int_equal(unlink(t->anchor), 0);
    assert_int_equal(verify(t).bad_seq, 0);
    /* The next checkpoint starts a new one. */
    assert_int_equal(audit_checkpoint(t->audit, &t->key.signer, t->anchor, NULL, &t->fault),
                     ESIGN_OK);
    assert_int_equal(verify(t).bad_seq, -1);
}

static void test_audit_checkpoint__anchor_not_writable__kept_and_told(void **state)
{
    REQ("11.10(e)", "design 7");
    struct trail *t = *state;
    CLEANUP(buf_done) struct buf note = buf_new(4096);
    int64_t size = 0;
    assert_int_equal(
        audit_checkpoint(t->audit, &t->key.signer, "/nonexistent/anchor", NULL, &t->fault),
        ESIGN_E_AUDIT_UNAVAILABLE);
    assert_non_null(strstr(t->fault.detail, "/nonexistent/anchor"));
    assert_int_equal(store_checkpoint(t->x->store, &note, &size, &t->fault), ESIGN_OK);
    assert_int_equal(size, 20);
    /* Signed once, and anchored as soon as that is possible. */
    int count = t->key.signed_count;
    assert_int_equal(audit_checkpoint(t->audit, &t->key.signer, t->anchor, NULL, &t->fault),
                     ESIGN_OK);
    assert_int_equal(t->key.signed_count, count);
    assert_int_equal(verify(t).bad_seq, -1);
}

static void test_store_open__newest_entries_edited__refused(void **state)
{
    REQ("11.10(e)", "design 7");
    static const char *const edits[] = {
        "UPDATE row SET body = '{\"value\":\"mine\"}' WHERE id = '019'",
        "DELETE FROM row WHERE id = '017'",
        "DELETE FROM entry WHERE seq = 13",
        "DELETE FROM entry WHERE seq >= 15",
        "UPDATE entry SET leaf = zeroblob(32) WHERE seq = 19",
    };
    struct trail *t = *state;
    audit_close(TAKE(t->audit));
    fixture_close(t->x);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        char copy[160];
        char command[400];
        (void)snprintf(copy, sizeof copy, "%s/copy%zu.db", t->x->dir, i);
        (void)snprintf(command, sizeof command, "cp %s %s", t->x->path, copy);
        assert_int_equal(system(command), 0);
        struct fixture edited = *t->x;
        (void)snprintf(edited.path, sizeof edited.path, "%.90s", copy);
        fixture_sql(&edited, edits[i]);
        struct store *s = NULL;
        if (store_open(copy, &t->x->clock, &s, &t->fault) != ESIGN_E_AUDIT_UNAVAILABLE)
            fail_msg("%s: opened", edits[i]);
        assert_string_equal(t->fault.reason, "tampered");
    }
    fixture_open(t->x);
    open_audit(t);
}

static void test_audit_checkpoint__nothing_new__same_note_not_signed_again(void **state)
{
    REQ("design 7");
    struct trail *t = *state;
    CLEANUP(buf_done) struct buf first = buf_new(4096);
    CLEANUP(buf_done) struct buf again = buf_new(4096);
    assert_int_equal(audit_checkpoint(t->audit, &t->key.signer, t->anchor, &first, &t->fault),
                     ESIGN_OK);
    int count = t->key.signed_count;
    assert_int_equal(audit_checkpoint(t->audit, &t->key.signer, t->anchor, &again, &t->fault),
                     ESIGN_OK);
    assert_int_equal(t->key.signed_count, count);
    assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&again)));
    assert_int_equal(verify(t).checkpoint_size, 20);
}

static void test_audit_proof__each_covered_entry__checks_offline(void **state)
{
    REQ("11.10(e)", "design 7");
    struct trail *t = *state;
    for (int64_t seq = 0; seq < 16; seq++) {
        CLEANUP(buf_done) struct buf proof = buf_new(8192);
        CLEANUP(buf_done) struct buf entry = buf_new(STORE_ENTRY_MAX);
        struct audit_head head;
        int64_t told = -1;
        assert_int_equal(audit_proof(t->audit, seq, &proof, &t->fault), ESIGN_OK);
        assert_int_equal(store_entry(t->x->store, seq, &entry, &t->fault), ESIGN_OK);
        assert_int_equal(audit_proof_check(buf_bytes(&proof), buf_bytes(&entry), t->key.signer.spki,
                                           &head, &told, &t->fault),
                         ESIGN_OK);
        assert_int_equal(told, seq);
        assert_int_equal(head.size, 16);
    }
    CLEANUP(buf_done) struct buf proof = buf_new(8192);
    assert_int_equal(audit_proof(t->audit, 16, &proof, &t->fault), ESIGN_E_NOT_FOUND);
    assert_int_equal(audit_proof(t->audit, -1, &proof, &t->fault), ESIGN_E_NOT_FOUND);
}

static void test_audit_open__unusable_origin__refused(void **state)
{
    REQ("design 7");
    struct trail *t = *state;
    static const char *const bad[] = {"", "with space", "a+b", "line\nend", "\xc3\xa9"};
    struct audit *a = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(audit_open(t->x->store, bad[i], &a, &t->fault), ESIGN_E_POLICY);
    assert_null(a);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_audit_verify__one_is_running__busy(void **state)
{
    REQ("11.10(e)", "design 2");
    struct trail *t = *state;
    struct audit_report r = {0};
    assert_false(atomic_flag_test_and_set(&t->audit->verifying));
    assert_int_equal(audit_verify(t->audit, t->key.signer.spki, t->anchor, &r, &t->fault),
                     ESIGN_E_BUSY);
    atomic_flag_clear(&t->audit->verifying);
    assert_int_equal(verify(t).bad_seq, -1);
    assert_int_equal(verify(t).bad_seq, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_audit_verify__untouched__holds),
        CASE(test_audit_verify__reopened__holds),
        CASE(test_audit_verify__entry_edited__named),
        CASE(test_audit_verify__entry_deleted__named),
        CASE(test_audit_verify__entries_swapped__first_named),
        CASE(test_audit_verify__entry_inserted__named),
        CASE(test_audit_verify__entry_appended__named),
        CASE(test_audit_verify__tail_cut__first_missing_named),
        CASE(test_audit_verify__row_edited__its_entry_named),
        CASE(test_audit_verify__row_deleted__its_entry_named),
        CASE(test_audit_verify__row_invented__named),
        CASE(test_audit_verify__row_put_back_to_an_older_one__newest_entry_named),
        CASE(test_audit_verify__entry_leaf_and_row_replaced__checkpoint_does_not_hold),
        CASE(test_audit_verify__replaced_since_the_checkpoint__process_remembers),
        CASE(test_audit_verify__whole_tail_cut_with_rows__anchor_tells),
        CASE(test_audit_verify__kept_checkpoint_forged__told),
        CASE(test_audit_verify__anchor_file_gone__told),
        CASE(test_audit_checkpoint__anchor_not_writable__kept_and_told),
        CASE(test_store_open__newest_entries_edited__refused),
        CASE(test_audit_checkpoint__nothing_new__same_note_not_signed_again),
        CASE(test_audit_proof__each_covered_entry__checks_offline),
        CASE(test_audit_open__unusable_origin__refused),
        CASE(test_audit_verify__one_is_running__busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
