#include "audit_fixture.h"

#include "audit/restored.h"
#include "store/snapshot.h"
#include "store_fixture.h"

/* A store with checkpoints at 4 and 8 in its anchor file, and copies of it at 5 and 9 entries. */
struct site {
    struct fixture *x;
    struct audit *audit;
    struct test_key key;
    char anchor[96], older[96];
    int64_t older_mark;
};

static void open_audit(struct site *s)
{
    assert_int_equal(audit_open(s->x->store, FIXTURE_ORIGIN, &s->audit, NULL), ESIGN_OK);
}

static void fill(struct site *s, int from, int to)
{
    for (int i = from; i < to; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%03d", i);
        assert_int_equal(fixture_commit(s->x, "item", id, "first", -2, NULL), ESIGN_OK);
    }
}

static void anchor_now(struct site *s)
{
    assert_int_equal(audit_checkpoint(s->audit, &s->key.signer, s->anchor, NULL, NULL), ESIGN_OK);
}

static int setup(void **state)
{
    struct site *s = calloc(1, sizeof *s);
    int64_t size = 0;
    assert_int_equal(fixture_setup((void **)&s->x), 0);
    (void)snprintf(s->anchor, sizeof s->anchor, "%s/anchor", s->x->dir);
    (void)snprintf(s->older, sizeof s->older, "%s/older.db", s->x->dir);
    test_key_init(&s->key);
    open_audit(s);
    fill(s, 0, 4);
    anchor_now(s);
    fill(s, 4, 5);
    assert_int_equal(store_snapshot(s->x->store, s->older, &s->older_mark, &size, NULL), ESIGN_OK);
    assert_int_equal(size, 5);
    fill(s, 5, 8);
    anchor_now(s);
    fill(s, 8, 9);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;
    audit_close(s->audit);
    test_key_done(&s->key);
    fixture_teardown((void **)&s->x);
    free(s);
    return 0;
}

/* Put the older copy in the place of the store. */
static void put_back(struct site *s)
{
    audit_close(TAKE(s->audit));
    fixture_close(s->x);
    assert_int_equal(rename(s->older, s->x->path), 0);
    fixture_open(s->x);
    open_audit(s);
}

static struct audit_difference compare(struct site *s)
{
    struct audit_difference d = {0};
    assert_int_equal(audit_compare_anchor(s->audit, s->anchor, &d, NULL), ESIGN_OK);
    return d;
}

static void test_audit_compare_anchor__the_newest_store__no_difference(void **state)
{
    REQ("A6", "5.34");
    struct audit_difference d = compare(*state);
    assert_int_equal(d.lines, 2);
    assert_int_equal(d.kept, 8);
    assert_int_equal(d.lost.size, 0);
    assert_false(d.missing);
}

static void test_audit_compare_anchor__an_older_store__told_with_what_agrees(void **state)
{
    REQ("A6", "5.34");
    struct site *s = *state;
    put_back(s);
    struct audit_difference d = compare(s);
    assert_int_equal(d.kept, 4);
    assert_int_equal(d.lost.size, 8);
    fill(s, 20, 30); /* it grows beyond the anchor: other entries, no more entries */
    d = compare(s);
    assert_int_equal(d.kept, 4);
    assert_int_equal(d.lost.size, 8);
}

static void test_audit_compare_anchor__no_file__missing_where_checkpoints_are_kept(void **state)
{
    REQ("A6");
    struct site *s = *state;
    assert_int_equal(unlink(s->anchor), 0);
    assert_true(compare(s).missing);
}

/* The row that an acceptance writes. */
static void accept_loss(struct site *s, int lines, int kept)
{
    CLEANUP(json_decref_p) json_t *entry = fixture_entry("restoration/R-1");
    CLEANUP(json_decref_p)
    json_t *body = json_pack("{s:i, s:i, s:I}", "lines", lines, "kept", kept, "mark",
                             (json_int_t)s->older_mark);
    const struct store_change change = {
        .entry = entry, .rows = {{"restoration", "R-1", body}}, .row_count = 1};
    assert_int_equal(store_commit(s->x->store, &change, INT64_MAX, NULL, NULL), ESIGN_OK);
}

static void test_audit_verify__a_loss_that_was_accepted__holds_and_only_that(void **state)
{
    REQ("A6", "11.10(e)");
    struct site *s = *state;
    struct audit_report r = {0};
    put_back(s);
    assert_int_equal(audit_verify(s->audit, s->key.signer.spki, s->anchor, &r, NULL), ESIGN_OK);
    assert_true(r.bad_seq >= 0);
    accept_loss(s, 2, 4);
    assert_int_equal(compare(s).lost.size, 0);
    fill(s, 20, 30);
    anchor_now(s);
    assert_int_equal(audit_verify(s->audit, s->key.signer.spki, s->anchor, &r, NULL), ESIGN_OK);
    assert_int_equal(r.bad_seq, -1);
    assert_int_equal(compare(s).kept, 16);
}

static void test_audit_is_given_up__each_bound__only_those_lines_above(void **state)
{
    REQ("A6");
    (void)state;
    const struct audit_restorations r = {.count = 1, .items = {{.lines = 5, .kept = 100}}};
    assert_true(audit_is_given_up(&r, 5, 101));
    assert_false(audit_is_given_up(&r, 6, 101));
    assert_false(audit_is_given_up(&r, 5, 100));
}

static void test_store_snapshot_mark__copy_and_original__told_apart(void **state)
{
    REQ("A6", "11.10(c)");
    struct site *s = *state;
    int64_t mark = -1;
    assert_true(s->older_mark > 0);
    assert_int_equal(store_snapshot_mark(s->x->store, &mark, NULL), ESIGN_OK);
    assert_int_equal(mark, 0);
    put_back(s);
    assert_int_equal(store_snapshot_mark(s->x->store, &mark, NULL), ESIGN_OK);
    assert_int_equal(mark, s->older_mark);
}

static void
test_store_snapshot__no_directory_or_a_file_there__refused_and_nothing_made(void **state)
{
    REQ("11.10(c)");
    struct site *s = *state;
    int64_t mark = 0;
    int64_t size = 0;
    struct fault f = {0};
    assert_int_equal(store_snapshot(s->x->store, s->older, &mark, &size, &f), ESIGN_E_INTERNAL);
    assert_int_equal(access(s->older, F_OK), 0); /* what was there stays */
    assert_int_not_equal(store_snapshot(s->x->store, "/nonexistent/copy.db", &mark, &size, &f),
                         ESIGN_OK);
    assert_int_equal(mark, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_audit_compare_anchor__the_newest_store__no_difference),
        CASE(test_audit_compare_anchor__an_older_store__told_with_what_agrees),
        CASE(test_audit_compare_anchor__no_file__missing_where_checkpoints_are_kept),
        CASE(test_audit_verify__a_loss_that_was_accepted__holds_and_only_that),
        CASE(test_audit_is_given_up__each_bound__only_those_lines_above),
        CASE(test_store_snapshot_mark__copy_and_original__told_apart),
        CASE(test_store_snapshot__no_directory_or_a_file_there__refused_and_nothing_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
