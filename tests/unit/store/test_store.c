#include "store_fixture.h"

#include "store/cache.h"
#include "store/readers.h"

#include <pthread.h>
#include <sys/stat.h>

static void test_store_commit__new_row__can_be_read(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    struct store_receipt receipt = {0};
    assert_int_equal(fixture_commit(x, "signer", "jdoe", "a", -1, &receipt), ESIGN_OK);
    assert_int_equal(receipt.seq, 0);
    assert_int_equal(receipt.time_ms, FIXTURE_START_MS);
    assert_int_equal(store_size(x->store), 1);

    CLEANUP(json_decref_p) json_t *body = NULL;
    int64_t seq = -1;
    assert_int_equal(store_get(x->store, "signer", "jdoe", &body, &seq, &x->fault), ESIGN_OK);
    assert_string_equal(json_str(body, "value"), "a");
    assert_int_equal(seq, 0);
}

static void test_store_commit__new_row__entry_has_the_stores_members(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    assert_int_equal(fixture_commit(x, "signer", "jdoe", "a", -1, NULL), ESIGN_OK);
    CLEANUP(buf_done) struct buf bytes = buf_new(STORE_ENTRY_MAX);
    assert_int_equal(store_entry(x->store, 0, &bytes, &x->fault), ESIGN_OK);
    CLEANUP(json_decref_p) json_t *entry = NULL;
    assert_int_equal(json_parse_object(buf_bytes(&bytes), &entry, &x->fault), ESIGN_OK);
    assert_string_equal(json_str(entry, "time"), "2026-11-18T11:06:40.000Z");
    assert_int_equal(json_int(entry, "seq", -1), 0);
    assert_int_equal(json_int(entry, "format", -1), 1);
    assert_int_equal(strlen(json_str(entry, "offset")), 6);
    assert_true(strstr(json_str(entry, "clock"), "synchronised") != NULL);
    assert_int_equal(
        strlen(json_string_value(json_object_get(json_object_get(entry, "rows"), "signer/jdoe"))),
        64);
}

static void test_store_get__unknown__not_found(void **state)
{
    REQ("design 7");
    struct fixture *x = *state;
    json_t *body = NULL;
    assert_int_equal(store_get(x->store, "signer", "nobody", &body, NULL, &x->fault),
                     ESIGN_E_NOT_FOUND);
    assert_null(body);
}

static void test_store_commit__guard_moved__conflict_and_nothing_written(void **state)
{
    REQ("11.10(e)", "design 3", "design 7");
    struct fixture *x = *state;
    assert_int_equal(fixture_commit(x, "signer", "jdoe", "a", -1, NULL), ESIGN_OK);
    assert_int_equal(fixture_commit(x, "signer", "jdoe", "b", 0, NULL), ESIGN_OK);
    assert_int_equal(fixture_commit(x, "signer", "jdoe", "c", 0, NULL), ESIGN_E_CONFLICT);
    assert_string_equal(x->fault.reason, "generation");
    assert_string_equal(x->fault.field, "signer/jdoe");
    assert_int_equal(fixture_commit(x, "signer", "jdoe", "c", -1, NULL), ESIGN_E_CONFLICT);
    assert_int_equal(fixture_commit(x, "signer", "other", "c", 7, NULL), ESIGN_E_CONFLICT);
    assert_int_equal(store_size(x->store), 2);
    CLEANUP(json_decref_p) json_t *body = NULL;
    assert_int_equal(store_get(x->store, "signer", "jdoe", &body, NULL, &x->fault), ESIGN_OK);
    assert_string_equal(json_str(body, "value"), "b");
}

static void test_store_commit__misfit_entry__refused(void **state)
{
    REQ("11.10(e)");
    struct fixture *x = *state;
    static const char *const bad[] = {
        "{\"action\":\"a\",\"actor\":{},\"object\":\"o\"}",
        "{\"action\":1,\"actor\":{},\"object\":\"o\",\"result\":\"OK\"}",
        "{\"action\":\"a\",\"actor\":\"me\",\"object\":\"o\",\"result\":\"OK\"}",
        "{\"action\":\"a\",\"actor\":{},\"object\":\"o\",\"result\":\"OK\",\"seq\":4}",
        "{\"action\":\"a\",\"actor\":{},\"object\":\"o\",\"result\":\"OK\",\"colour\":\"red\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CLEANUP(json_decref_p) json_t *entry = json_loads(bad[i], 0, NULL);
        struct store_change change = {.entry = entry};
        assert_int_equal(store_commit(x->store, &change, INT64_MAX, NULL, &x->fault),
                         ESIGN_E_INTERNAL);
    }
    assert_int_equal(store_size(x->store), 0);
}

static void test_store_commit__entry_over_65535_bytes__too_large(void **state)
{
    REQ("design 7");
    struct fixture *x = *state;
    CLEANUP(free_p) char *text = calloc(1, STORE_ENTRY_MAX + 1);
    assert_non_null(text);
    memset(text, 'x', STORE_ENTRY_MAX);
    CLEANUP(json_decref_p) json_t *entry = fixture_entry("big");
    json_object_set_new(entry, "reason", json_string(text));
    struct store_change change = {.entry = entry};
    assert_int_equal(store_commit(x->store, &change, INT64_MAX, NULL, &x->fault),
                     ESIGN_E_TOO_LARGE);
    text[STORE_ENTRY_MAX - 300] = '\0';
    json_object_set_new(entry, "reason", json_string(text));
    assert_int_equal(store_commit(x->store, &change, INT64_MAX, NULL, &x->fault), ESIGN_OK);
}

static void test_store_commit__deadline_passed__not_written(void **state)
{
    REQ("design 2");
    struct fixture *x = *state;
    x->mono_ms = 5000;
    CLEANUP(json_decref_p) json_t *entry = fixture_entry("late");
    struct store_change change = {.entry = entry};
    assert_int_equal(store_commit(x->store, &change, 4000, NULL, &x->fault), ESIGN_E_DEADLINE);
    assert_int_equal(store_size(x->store), 0);
    assert_int_equal(store_commit(x->store, &change, 6000, NULL, &x->fault), ESIGN_OK);
}

static void test_store_commit__clock_steps_back__time_does_not(void **state)
{
    REQ("11.10(e)");
    struct fixture *x = *state;
    struct store_receipt receipt = {0};
    assert_int_equal(fixture_commit(x, "item", "a", "1", -2, NULL), ESIGN_OK);
    x->now_ms -= 60000;
    assert_int_equal(fixture_commit(x, "item", "b", "1", -2, &receipt), ESIGN_OK);
    assert_int_equal(receipt.time_ms, FIXTURE_START_MS);
    x->now_ms -= 1;
    assert_int_equal(fixture_commit(x, "item", "c", "1", -2, NULL), ESIGN_E_CLOCK);
    fixture_close(x);
    fixture_open(x);
    assert_int_equal(fixture_commit(x, "item", "c", "1", -2, NULL), ESIGN_E_CLOCK);
    x->now_ms = FIXTURE_START_MS + 1;
    assert_int_equal(fixture_commit(x, "item", "c", "1", -2, NULL), ESIGN_OK);
}

static void test_store_get__row_edited__tampered(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    json_t *body = NULL;
    fixture_fill(x, 3);
    fixture_sql(x, "UPDATE row SET body = '{\"value\":\"mine\"}' WHERE id = '001'");
    assert_int_equal(store_get(x->store, "item", "001", &body, NULL, &x->fault),
                     ESIGN_E_CRED_STATE);
    assert_string_equal(x->fault.reason, "tampered");
    assert_string_equal(x->fault.field, "item/001");
    assert_int_equal(store_list(x->store, "item", NULL, NULL, NULL, 10, &body, &x->fault),
                     ESIGN_E_CRED_STATE);
    fixture_sql(x, "UPDATE row SET entry_seq = 0 WHERE id = '002'");
    assert_int_equal(store_get(x->store, "item", "002", &body, NULL, &x->fault),
                     ESIGN_E_CRED_STATE);
    assert_null(body);
}

/* What was read once is remembered: an edit on disk is found by who asks the disk, and believed by
 * nobody. */
static void test_store_get__edited_after_it_was_read__not_believed(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    static const char *const edits[] = {
        "UPDATE row SET body = '{\"value\":\"mine\"}' WHERE id = '000'",
        "UPDATE row SET entry_seq = 0 WHERE id = '001'",
        "UPDATE entry SET leaf = zeroblob(32) WHERE seq = 2",
        "DELETE FROM entry WHERE seq = 3",
    };
    fixture_fill(x, 4);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        char id[8];
        json_t *none = NULL;
        (void)snprintf(id, sizeof id, "%03zu", i); /* fits */
        for (int again = 0; again < 2; again++) {
            CLEANUP(json_decref_p) json_t *body = NULL;
            int64_t seq = -1;
            assert_int_equal(store_get(x->store, "item", id, &body, &seq, &x->fault), ESIGN_OK);
            assert_int_equal(seq, i);
        }
        fixture_sql(x, edits[i]);
        assert_int_not_equal(store_read(x->store, "item", id, &none, NULL, &x->fault), ESIGN_OK);
        assert_string_equal(x->fault.reason, "tampered");
        assert_null(none);
        CLEANUP(json_decref_p) json_t *kept = NULL;
        assert_int_equal(store_get(x->store, "item", id, &kept, NULL, &x->fault), ESIGN_OK);
        assert_string_equal(json_str(kept, "value"), "first");
    }
}

/* A row of the caller is its own: what is done to it doesn't reach the next caller. */
static void test_store_get__changed_by_its_caller__next_caller_sees_nothing(void **state)
{
    REQ("design 7");
    struct fixture *x = *state;
    fixture_fill(x, 1);
    for (int i = 0; i < 3; i++) {
        CLEANUP(json_decref_p) json_t *body = NULL;
        assert_int_equal(store_get(x->store, "item", "000", &body, NULL, &x->fault), ESIGN_OK);
        assert_string_equal(json_str(body, "value"), "first");
        assert_int_equal(json_object_set_new(body, "value", json_string("mine")), 0);
    }
}

enum { LONG = STORE_CACHE_ROW_MAX + 1, CHANGES = 2 * STORE_CACHE_MAX / LONG / STORE_ROWS_MAX + 2 };

/* The value of a row: every sixteenth is too long to be kept. */
static void fill_value(char value[LONG + 1], int change, int row)
{
    memset(value, 'a' + (change + row) % 26, LONG);
    value[(change + row) % 16 ? LONG / 2 : LONG] = '\0';
}

/* As many rows as a change can have, each with an id of its own. */
static void commit_many(struct fixture *x, int number, char value[LONG + 1])
{
    char ids[STORE_ROWS_MAX][16];
    CLEANUP(json_decref_p) json_t *entry = fixture_entry("items");
    CLEANUP(json_decref_p) json_t *bodies = json_array();
    struct store_change change = {.entry = entry, .row_count = STORE_ROWS_MAX};
    for (int i = 0; i < STORE_ROWS_MAX; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%d.%d", number, i); /* fits */
        fill_value(value, number, i);
        json_array_append_new(bodies, json_pack("{s:s}", "value", value));
        change.rows[i] = (struct store_row){"item", ids[i], json_array_get(bodies, (size_t)i)};
    }
    assert_int_equal(store_commit(x->store, &change, INT64_MAX, NULL, &x->fault), ESIGN_OK);
}

/* More rows than are kept, and rows that are too long to be kept, are right all the same. */
static void test_store_get__more_than_is_kept__right(void **state)
{
    REQ("design 7");
    struct fixture *x = *state;
    char *value = malloc(LONG + 1);
    assert_non_null(value);
    for (int i = 0; i < CHANGES; i++)
        commit_many(x, i, value);
    for (int i = 0; i < 2 * CHANGES * STORE_ROWS_MAX; i++) {
        CLEANUP(json_decref_p) json_t *body = NULL;
        char id[16];
        int64_t seq = -1;
        int number = i / STORE_ROWS_MAX % CHANGES;
        (void)snprintf(id, sizeof id, "%d.%d", number, i % STORE_ROWS_MAX); /* fits */
        assert_int_equal(store_get(x->store, "item", id, &body, &seq, &x->fault), ESIGN_OK);
        assert_int_equal(seq, number);
        fill_value(value, number, i % STORE_ROWS_MAX);
        assert_string_equal(json_str(body, "value"), value);
    }
    free(value);
}

/* What a slow reader kept after the writer had gone on is not given. */
static void test_store_cache_get__kept_too_late__not_given(void **state)
{
    REQ("design 7");
    (void)state;
    struct store_cache *c = NULL;
    CLEANUP(json_decref_p) json_t *body = json_pack("{s:s}", "value", "old");
    assert_int_equal(store_cache_open(&c, NULL), ESIGN_OK);
    store_cache_put(c, "item", "a", 1, body);
    assert_null(store_cache_get(c, "item", "a", 2));
    assert_null(store_cache_get(c, "item", "b", 1));
    CLEANUP(json_decref_p) json_t *kept = store_cache_get(c, "item", "a", 1);
    assert_string_equal(json_str(kept, "value"), "old");
    store_cache_close(c);
}

static void test_store_get__written_after_it_was_read__newest(void **state)
{
    REQ("design 7");
    struct fixture *x = *state;
    for (int i = 0; i < 3; i++) {
        CLEANUP(json_decref_p) json_t *body = NULL;
        int64_t seq = -1;
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i); /* fits */
        assert_int_equal(fixture_commit(x, "item", "a", value, -2, NULL), ESIGN_OK);
        assert_int_equal(store_get(x->store, "item", "a", &body, &seq, &x->fault), ESIGN_OK);
        assert_int_equal(seq, i);
        assert_string_equal(json_str(body, "value"), value);
    }
}

static void test_store_get__entry_edited__trail_is_tampered(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    json_t *body = NULL;
    fixture_fill(x, 2);
    fixture_sql(x, "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'OK', "
                   "'KO') AS BLOB) WHERE seq = 0; DELETE FROM entry WHERE seq = 1");
    assert_int_equal(store_get(x->store, "item", "000", &body, NULL, &x->fault),
                     ESIGN_E_AUDIT_UNAVAILABLE);
    assert_string_equal(x->fault.reason, "tampered");
    assert_int_equal(store_get(x->store, "item", "001", &body, NULL, &x->fault),
                     ESIGN_E_AUDIT_UNAVAILABLE);
    assert_string_equal(x->fault.reason, "tampered");
    CLEANUP(buf_done) struct buf bytes = buf_new(STORE_ENTRY_MAX);
    assert_int_equal(store_entry(x->store, 0, &bytes, &x->fault), ESIGN_E_AUDIT_UNAVAILABLE);
    assert_int_equal(store_entry(x->store, 1, &bytes, &x->fault), ESIGN_E_AUDIT_UNAVAILABLE);
    assert_int_equal(store_entry(x->store, 2, &bytes, &x->fault), ESIGN_E_NOT_FOUND);
}

/* An old row with its old sequence fits its old entry. */
static void check_rolled_back(struct fixture *x)
{
    json_t *body = NULL;
    assert_int_equal(store_get(x->store, "item", "000", &body, NULL, &x->fault),
                     ESIGN_E_CRED_STATE);
    assert_string_equal(x->fault.reason, "tampered");
    assert_string_equal(x->fault.field, "item/000");
    assert_int_equal(store_list(x->store, "item", NULL, NULL, NULL, 1, &body, &x->fault),
                     ESIGN_E_CRED_STATE);
    assert_null(body);
    assert_int_equal(fixture_commit(x, "item", "000", "third", 0, NULL), ESIGN_E_CRED_STATE);
}

static void check_deleted(struct fixture *x)
{
    json_t *body = NULL;
    assert_int_equal(store_get(x->store, "item", "001", &body, NULL, &x->fault),
                     ESIGN_E_CRED_STATE);
    assert_string_equal(x->fault.reason, "tampered");
    assert_int_equal(store_list(x->store, "item", "value", "first", "100", 10, &body, &x->fault),
                     ESIGN_E_CRED_STATE);
    assert_string_equal(x->fault.reason, "tampered");
    assert_null(body);
    assert_int_equal(fixture_commit(x, "item", "001", "again", -1, NULL), ESIGN_E_CRED_STATE);
}

static void test_store_get__row_put_back__tampered(void **state)
{
    REQ("11.10(e)", "11.10(a)", "design 7");
    struct fixture *x = *state;
    assert_int_equal(fixture_commit(x, "item", "000", "first", -2, NULL), ESIGN_OK);
    fixture_sql(x, "CREATE TABLE kept AS SELECT * FROM row");
    assert_int_equal(fixture_commit(x, "item", "000", "second", 0, NULL), ESIGN_OK);
    fixture_sql(x, "INSERT OR REPLACE INTO row SELECT * FROM kept");
    check_rolled_back(x);
}

static void test_store_get__row_deleted__tampered(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    fixture_fill(x, 3);
    fixture_sql(x, "DELETE FROM row WHERE id = '001'");
    check_deleted(x);
}

static void test_store_open__rows_changed_while_closed__tampered(void **state)
{
    REQ("11.10(e)", "11.10(a)", "design 7");
    struct fixture *x = *state;
    fixture_fill(x, 2);
    fixture_sql(x, "CREATE TABLE kept AS SELECT * FROM row");
    assert_int_equal(fixture_commit(x, "item", "000", "second", 0, NULL), ESIGN_OK);
    for (int i = 0; i < 300; i++)
        assert_int_equal(fixture_commit(x, "other", "a", "b", -2, NULL), ESIGN_OK);
    fixture_close(x);
    fixture_sql(x, "INSERT OR REPLACE INTO row SELECT * FROM kept");
    fixture_open(x);
    check_rolled_back(x);
    fixture_close(x);
    fixture_sql(x, "DELETE FROM row WHERE kind = 'item'");
    fixture_open(x);
    check_deleted(x);
    json_t *body = NULL;
    assert_int_equal(store_get(x->store, "other", "a", &body, NULL, &x->fault), ESIGN_OK);
    json_decref(body);
}

static void test_store_open__old_entry_changed__refused(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    static const char *const edits[][2] = {
        {"UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'item/', 'iten/') AS BLOB) "
         "WHERE seq = 1",
         "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'iten/', 'item/') AS BLOB) "
         "WHERE seq = 1"},
        {"UPDATE entry SET seq = 1000000 WHERE seq = 1",
         "UPDATE entry SET seq = 1 WHERE seq = 1000000"},
        {"UPDATE entry SET leaf = zeroblob(32) WHERE seq = 1", NULL},
    };
    fixture_fill(x, 2);
    for (int i = 0; i < 300; i++)
        assert_int_equal(fixture_commit(x, "other", "a", "b", -2, NULL), ESIGN_OK);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        struct store *store = NULL;
        fixture_close(x);
        fixture_sql(x, edits[i][0]);
        assert_int_equal(store_open(x->path, &x->clock, &store, &x->fault),
                         ESIGN_E_AUDIT_UNAVAILABLE);
        assert_string_equal(x->fault.reason, "tampered");
        if (!edits[i][1])
            return;
        fixture_sql(x, edits[i][1]);
        fixture_open(x);
    }
}

static void test_store_reader_take__all_in_use__busy_after_a_bound(void **state)
{
    REQ("design 2");
    struct fixture *x = *state;
    struct store_readers *readers = NULL;
    struct store_reader *out[STORE_READERS_COUNT] = {0};
    struct store_reader *none = NULL;
    size_t long_count = STORE_READERS_COUNT - STORE_READERS_RESERVED;
    assert_int_equal(store_readers_open(x->path, 20, &readers, &x->fault), ESIGN_OK);
    for (size_t i = 0; i < long_count; i++)
        assert_int_equal(store_reader_take(readers, STORE_READ_LONG, &out[i], &x->fault), ESIGN_OK);
    assert_int_equal(store_reader_take(readers, STORE_READ_LONG, &none, &x->fault), ESIGN_E_BUSY);
    for (size_t i = long_count; i < STORE_READERS_COUNT; i++)
        assert_int_equal(store_reader_take(readers, STORE_READ_SHORT, &out[i], &x->fault),
                         ESIGN_OK);
    assert_int_equal(store_reader_take(readers, STORE_READ_SHORT, &none, &x->fault), ESIGN_E_BUSY);
    assert_null(none);
    for (size_t i = 0; i < STORE_READERS_COUNT; i++)
        store_reader_give(out[i]);
    assert_int_equal(store_reader_take(readers, STORE_READ_LONG, &none, &x->fault), ESIGN_OK);
    store_reader_give(none);
    store_readers_close(readers);
}

static void commit_body(struct fixture *x, const char *kind, const char *id, json_t *body)
{
    CLEANUP(json_decref_p) json_t *entry = fixture_entry(id);
    CLEANUP(json_decref_p) json_t *owned = body;
    struct store_change change = {.entry = entry, .rows = {{kind, id, owned}}, .row_count = 1};
    assert_int_equal(store_commit(x->store, &change, INT64_MAX, NULL, &x->fault), ESIGN_OK);
}

static void test_store_list__by_member__in_order_of_id_and_in_pages(void **state)
{
    REQ("design 7");
    struct fixture *x = *state;
    commit_body(x, "ticket", "T-3", json_pack("{s:s}", "state", "ready"));
    commit_body(x, "ticket", "T-1", json_pack("{s:s}", "state", "ready"));
    commit_body(x, "ticket", "T-2", json_pack("{s:s}", "state", "signed"));
    commit_body(x, "ticket", "T-4", json_pack("{s:i}", "state", 5));
    commit_body(x, "tickets", "T-5", json_pack("{s:s}", "state", "ready"));
    CLEANUP(json_decref_p) json_t *page = NULL;
    assert_int_equal(store_list(x->store, "ticket", "state", "ready", NULL, 1, &page, &x->fault),
                     ESIGN_OK);
    assert_int_equal(json_array_size(page), 1);
    assert_string_equal(json_str(json_array_get(page, 0), "id"), "T-1");
    assert_int_equal(json_int(json_array_get(page, 0), "seq", -1), 1);
    assert_string_equal(json_str(json_array_get(page, 0), "body.state"), "ready");
    CLEANUP(json_decref_p) json_t *next = NULL;
    assert_int_equal(store_list(x->store, "ticket", "state", "ready", "T-1", 9, &next, &x->fault),
                     ESIGN_OK);
    assert_int_equal(json_array_size(next), 1);
    assert_string_equal(json_str(json_array_get(next, 0), "id"), "T-3");
    CLEANUP(json_decref_p) json_t *number = NULL;
    assert_int_equal(store_list(x->store, "ticket", "state", "5", NULL, 9, &number, &x->fault),
                     ESIGN_OK);
    assert_int_equal(json_array_size(number), 0);
    CLEANUP(json_decref_p) json_t *all = NULL;
    assert_int_equal(store_list(x->store, "ticket", NULL, NULL, NULL, 9, &all, &x->fault),
                     ESIGN_OK);
    assert_int_equal(json_array_size(all), 4);
}

/* How many of a kind are in a state. */
static size_t count_of(struct fixture *x, const char *kind, const char *state)
{
    CLEANUP(json_decref_p) json_t *items = NULL;
    assert_int_equal(store_list(x->store, kind, "state", state, NULL, 9, &items, &x->fault),
                     ESIGN_OK);
    return json_array_size(items);
}

static void test_store_list__states_in_an_index_or_not__each_is_found(void **state)
{
    REQ("design 7");
    static const char *const states[] = {"ready", "signing", "signed", "failed", "open", "done"};
    static const char *const kinds[] = {"ticket", "intent"};
    struct fixture *x = *state;
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t i = 0; i < 6; i++) { /* one row passes through all */
            commit_body(x, kinds[kind], "T-1", json_pack("{s:s}", "state", states[i]));
            for (size_t k = 0; k < 6; k++)
                assert_int_equal(count_of(x, kinds[kind], states[k]), k == i ? 1 : 0);
        }
    }
}

/* What a walk has seen; it moves each row on and stops after `stop_after` rows. */
struct seen {
    struct fixture *x;
    size_t count, stop_after;
    char last[STORE_ID_MAX + 1];
};

static enum esign_rc see(void *ctx, const struct store_walked *row, struct fault *f)
{
    struct seen *seen = ctx;
    assert_true(strcmp(row->id, seen->last) > 0);
    (void)snprintf(seen->last, sizeof seen->last, "%s", row->id);
    commit_body(seen->x, "ticket", row->id, json_pack("{s:s}", "state", "failed"));
    return ++seen->count == seen->stop_after ? fault_set(f, ESIGN_E_BUSY, "enough") : ESIGN_OK;
}

static void test_store_walk__more_than_a_page__each_older_row_once(void **state)
{
    REQ("design 7");
    enum { ROWS = 405, OLDER = 403 };
    struct fixture *x = *state;
    struct seen seen = {.x = x, .stop_after = 2};
    struct store_walk walk = {"ticket", "state", "ready", -1, see, &seen};
    for (int i = 0; i < ROWS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "T-%04d", i);
        commit_body(x, "ticket", id, json_pack("{s:s}", "state", "ready"));
    }
    assert_int_equal(store_walk(x->store, &walk, &x->fault), ESIGN_E_BUSY);
    assert_int_equal(seen.count, 2);
    seen.last[0] = '\0';
    walk.before = OLDER; /* of ROWS entries */
    assert_int_equal(store_walk(x->store, &walk, &x->fault), ESIGN_OK);
    assert_int_equal(seen.count, OLDER);
    walk.before = -1;
    assert_int_equal(store_walk(x->store, &walk, &x->fault), ESIGN_OK);
    assert_int_equal(seen.count, ROWS);
}

static void test_store_look__row_is_written_meanwhile__view_stays_as_it_was(void **state)
{
    REQ("5.23");
    struct fixture *x = *state;
    struct store_view before = {0}, again = {0}, after = {0}, none = {0};
    commit_body(x, "ticket", "T-1", json_pack("{s:s}", "state", "ready"));
    assert_int_equal(store_look(x->store, "ticket", "T-1", &before, &x->fault), ESIGN_OK);
    assert_int_equal(store_look(x->store, "ticket", "T-1", &again, &x->fault), ESIGN_OK);
    commit_body(x, "ticket", "T-1", json_pack("{s:s}", "state", "signed"));
    assert_int_equal(store_look(x->store, "ticket", "T-1", &after, &x->fault), ESIGN_OK);
    assert_string_equal(json_str(before.body, "state"), "ready");
    assert_string_equal(json_str(after.body, "state"), "signed");
    assert_true(before.seq == again.seq && after.seq > before.seq);
    assert_int_equal(store_look(x->store, "ticket", "T-2", &none, &x->fault), ESIGN_E_NOT_FOUND);
    assert_null(none.body);
    store_view_done(&before);
    assert_string_equal(json_str(again.body, "state"), "ready"); /* of another reader */
    store_view_done(&again);
    store_view_done(&after);
    store_view_done(&none);
}

static void test_store_list__unchecked_words__refused(void **state)
{
    REQ("design 7");
    struct fixture *x = *state;
    json_t *page = NULL;
    assert_int_equal(store_list(x->store, "a' OR 1", NULL, NULL, NULL, 1, &page, &x->fault),
                     ESIGN_E_INTERNAL);
    assert_int_equal(store_list(x->store, "a", "b') = 1 --", "c", NULL, 1, &page, &x->fault),
                     ESIGN_E_INTERNAL);
}

static void test_store_open__second_opener__conflict(void **state)
{
    REQ("design 7");
    struct fixture *x = *state;
    struct store *second = NULL;
    assert_int_equal(store_open(x->path, &x->clock, &second, &x->fault), ESIGN_E_CONFLICT);
    assert_int_equal(fixture_commit(x, "item", "a", "1", -2, NULL), ESIGN_OK);
    fixture_close(x);
    fixture_open(x);
    assert_int_equal(store_size(x->store), 1);
}

static void test_store_open__new_file__private(void **state)
{
    REQ("11.10(d)", "design 7");
    struct fixture *x = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[128];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s%s", x->path, suffixes[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void test_store_put_checkpoint__several__newest_and_in_order(void **state)
{
    REQ("design 7");
    struct fixture *x = *state;
    CLEANUP(buf_done) struct buf note = buf_new(100);
    int64_t size = -1;
    assert_int_equal(store_checkpoint(x->store, &note, &size, &x->fault), ESIGN_E_NOT_FOUND);
    assert_int_equal(store_put_checkpoint(x->store, 0, "zero", &x->fault), ESIGN_OK);
    fixture_fill(x, 2);
    assert_int_equal(store_put_checkpoint(x->store, 2, "two", &x->fault), ESIGN_OK);
    assert_int_equal(store_put_checkpoint(x->store, 2, "again", &x->fault), ESIGN_OK);
    assert_int_equal(store_checkpoint(x->store, &note, &size, &x->fault), ESIGN_OK);
    assert_int_equal(size, 2);
    assert_string_equal(buf_str(&note), "again");
    buf_clear(&note);
    assert_int_equal(store_checkpoint_after(x->store, -1, &note, &size, &x->fault), ESIGN_OK);
    assert_int_equal(size, 0);
    assert_string_equal(buf_str(&note), "zero");
    assert_int_equal(store_checkpoint_after(x->store, 2, &note, &size, &x->fault),
                     ESIGN_E_NOT_FOUND);
    assert_int_equal(store_size(x->store), 2);
}

enum { THREADS = 8, PER_THREAD = 200 };

struct thread_case {
    struct fixture *x;
    int number;
    int done;
    int refused;
};

/* Everybody writes a row of their own and fights for one in common. */
static void *thread_main(void *arg)
{
    struct thread_case *t = arg;
    for (int i = 0; i < PER_THREAD; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d-%d", t->number, i);
        CLEANUP(json_decref_p) json_t *entry = fixture_entry(id);
        CLEANUP(json_decref_p) json_t *body = json_pack("{s:i}", "by", t->number);
        json_t *seen = NULL;
        int64_t seq = -1;
        struct fault f;
        if (store_get(t->x->store, "item", "common", &seen, &seq, &f) == ESIGN_OK)
            json_decref(seen);
        struct store_change change = {.entry = entry,
                                      .rows = {{"item", id, body}, {"item", "common", body}},
                                      .row_count = 2,
                                      .guards = {{"item", "common", seq}, {"item", id, -1}},
                                      .guard_count = 2};
        struct store_receipt receipt;
        switch (store_commit(t->x->store, &change, INT64_MAX, &receipt, &f)) {
        case ESIGN_OK:
            t->done++;
            break;
        case ESIGN_E_CONFLICT:
            t->refused++;
            break;
        default:
            return NULL;
        }
    }
    return t;
}

static void test_store_commit__8_threads_one_guard__refused_ones_harm_nobody(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    pthread_t threads[THREADS];
    struct thread_case cases[THREADS] = {0};
    int done = 0;
    int refused = 0;
    for (int i = 0; i < THREADS; i++) {
        cases[i] = (struct thread_case){.x = x, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, thread_main, &cases[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
        done += cases[i].done;
        refused += cases[i].refused;
    }
    assert_int_equal(done + refused, THREADS * PER_THREAD);
    assert_int_equal(store_size(x->store), done);
    CLEANUP(json_decref_p) json_t *rows = NULL;
    assert_int_equal(store_list(x->store, "item", NULL, NULL, NULL, 1000, &rows, &x->fault),
                     ESIGN_OK);
    assert_int_equal(json_array_size(rows), done + 1 < 1000 ? done + 1 : 1000);
    int64_t bad_seq = 0;
    assert_int_equal(store_check(x->store, &bad_seq, &x->fault), ESIGN_OK);
    assert_int_equal(bad_seq, -1);
}

struct waiter {
    struct fixture *x;
    bool moved;
};

static void *waiter_main(void *arg)
{
    struct waiter *w = arg;
    const struct store_guard guards[] = {{"item", "none", -1}, {"item", "a", 0}};

    w->moved = store_await(w->x->store, guards, 2, INT64_MAX);
    return NULL;
}

static void test_store_await__row_moves__woken_and_never_missed(void **state)
{
    REQ("design 7");
    struct fixture *x = *state;
    struct waiter w = {.x = x};
    pthread_t thread;
    const struct store_guard old = {"item", "a", 0}, newest = {"item", "a", 2};

    assert_int_equal(fixture_commit(x, "item", "a", "1", -1, NULL), ESIGN_OK);
    assert_int_equal(pthread_create(&thread, NULL, waiter_main, &w), 0);
    assert_int_equal(fixture_commit(x, "item", "b", "1", -1, NULL), ESIGN_OK);
    assert_int_equal(fixture_commit(x, "item", "a", "2", 0, NULL), ESIGN_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(w.moved);
    assert_true(store_await(x->store, &old, 1, x->mono_ms));
    assert_false(store_await(x->store, &newest, 1, x->mono_ms));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_store_commit__new_row__can_be_read),
        CASE(test_store_commit__new_row__entry_has_the_stores_members),
        CASE(test_store_get__unknown__not_found),
        CASE(test_store_commit__guard_moved__conflict_and_nothing_written),
        CASE(test_store_commit__misfit_entry__refused),
        CASE(test_store_commit__entry_over_65535_bytes__too_large),
        CASE(test_store_commit__deadline_passed__not_written),
        CASE(test_store_commit__clock_steps_back__time_does_not),
        CASE(test_store_get__row_edited__tampered),
        CASE(test_store_get__edited_after_it_was_read__not_believed),
        CASE(test_store_get__written_after_it_was_read__newest),
        CASE(test_store_get__changed_by_its_caller__next_caller_sees_nothing),
        CASE(test_store_get__more_than_is_kept__right),
        CASE(test_store_cache_get__kept_too_late__not_given),
        CASE(test_store_get__entry_edited__trail_is_tampered),
        CASE(test_store_get__row_put_back__tampered),
        CASE(test_store_get__row_deleted__tampered),
        CASE(test_store_open__rows_changed_while_closed__tampered),
        CASE(test_store_open__old_entry_changed__refused),
        CASE(test_store_reader_take__all_in_use__busy_after_a_bound),
        CASE(test_store_list__by_member__in_order_of_id_and_in_pages),
        CASE(test_store_list__states_in_an_index_or_not__each_is_found),
        CASE(test_store_walk__more_than_a_page__each_older_row_once),
        CASE(test_store_look__row_is_written_meanwhile__view_stays_as_it_was),
        CASE(test_store_list__unchecked_words__refused),
        CASE(test_store_open__second_opener__conflict),
        CASE(test_store_open__new_file__private),
        CASE(test_store_put_checkpoint__several__newest_and_in_order),
        CASE(test_store_await__row_moves__woken_and_never_missed),
        CASE(test_store_commit__8_threads_one_guard__refused_ones_harm_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
