#include "store/store_internal.h"

#include <string.h>

enum { CHUNK = 2048 }; /* entries or rows in one read: a long read would let the log grow */

/* A walk through the trail. */
struct check {
    sqlite3 *db;
    sqlite3_stmt *lookup; /* the newest entry of a row, and its body */
    int64_t next;         /* the sequence that is expected */
    int64_t time_ms;      /* of the entry before */
    int64_t bad_seq;      /* -1: none so far */
    struct fault *f;      /* what is wrong with it; never NULL */
};

static void found_bad(struct check *c, int64_t seq, const struct fault *f)
{
    if (c->bad_seq >= 0 && c->bad_seq <= seq)
        return;
    c->bad_seq = seq;
    *c->f = *f;
}

/* Whether the row that an entry tells of is there, as new as this entry or newer. */
static enum esign_rc check_told_row(struct check *c, int64_t seq, const char *key, const char *hash,
                                    const json_t *entry, struct fault *f)
{
    const char *slash = strchr(key, '/');
    char kind[STORE_KIND_MAX + 1];
    if (!slash || (size_t)(slash - key) >= sizeof kind || !hash)
        return fault_set(f, ESIGN_E_AUDIT_UNAVAILABLE, "audit entry %lld: rows", (long long)seq);
    (void)snprintf(kind, sizeof kind, "%.*s", (int)(slash - key), key); /* fits */
    sqlite3_stmt *st = c->lookup;
    (void)sqlite3_reset(st); /* repeats the failure of a step that was dealt with */
    if (store_bind_text(st, 1, kind) || store_bind_text(st, 2, slash + 1))
        return store_fault(c->db, "store: check", f);
    int step = sqlite3_step(st);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return store_fault(c->db, "store: check", f);
    if (step == SQLITE_DONE || sqlite3_column_int64(st, 0) < seq)
        return fault_set(f, ESIGN_E_AUDIT_UNAVAILABLE, "row %s is missing or older than entry %lld",
                         key, (long long)seq);
    if (sqlite3_column_int64(st, 0) > seq)
        return ESIGN_OK;
    return store_check_row(entry, kind, slash + 1, store_column(st, 1), f);
}

static enum esign_rc check_told_rows(struct check *c, int64_t seq, const json_t *entry,
                                     struct fault *f)
{
    json_t *rows = json_object_get(entry, "rows");
    enum esign_rc rc = ESIGN_OK;
    for (void *at = json_object_iter(rows); at && !rc; at = json_object_iter_next(rows, at))
        rc = check_told_row(c, seq, json_object_iter_key(at),
                            json_string_value(json_object_iter_value(at)), entry, f);
    return rc;
}

/* The entry on which st stands (seq, bytes, leaf); it must be the expected one. */
static enum esign_rc check_entry(struct check *c, sqlite3_stmt *st, struct fault *f)
{
    if (sqlite3_column_int64(st, 0) != c->next)
        return fault_set(f, ESIGN_E_AUDIT_UNAVAILABLE, "audit entry %lld is missing",
                         (long long)c->next);
    CLEANUP(json_decref_p) json_t *entry = NULL;
    enum esign_rc rc =
        store_check_entry(store_column(st, 1), store_column(st, 2), c->next, &entry, f);
    if (rc)
        return rc;
    int64_t time_ms = 0;
    if (clock_parse_utc(json_str(entry, "time"), &time_ms) || time_ms < c->time_ms)
        return fault_set(f, ESIGN_E_AUDIT_UNAVAILABLE, "audit entry %lld: time goes back",
                         (long long)c->next);
    c->time_ms = time_ms;
    return check_told_rows(c, c->next, entry, f);
}

/* One chunk of entries up to size.  False: one of them is bad. */
static bool check_entries(struct check *c, int64_t size)
{
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    struct fault f = {0};
    if (store_prepare(c->db,
                      "SELECT seq, bytes, leaf FROM entry WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
                      &st, &f) ||
        sqlite3_bind_int64(st, 1, c->next) || sqlite3_bind_int(st, 2, CHUNK)) {
        found_bad(c, c->next, &f);
        return false;
    }
    int step = SQLITE_DONE;
    for (int i = 0; i < CHUNK && c->next < size; i++) {
        step = sqlite3_step(st);
        if (step != SQLITE_ROW)
            break;
        if (check_entry(c, st, &f)) {
            found_bad(c, c->next, &f);
            return false;
        }
        c->next++;
    }
    if (step == SQLITE_ROW || c->next >= size)
        return true;
    if (step == SQLITE_DONE)
        (void)fault_set(&f, ESIGN_E_AUDIT_UNAVAILABLE, "audit entry %lld is missing",
                        (long long)c->next);
    else
        (void)store_fault(c->db, "store: check", &f);
    found_bad(c, c->next, &f);
    return false;
}

static void check_done(struct check *c)
{
    sqlite3_finalize(c->lookup);
}

static enum esign_rc prepare_check(struct check *c, struct fault *f)
{
    return store_prepare(c->db, "SELECT entry_seq, body FROM row WHERE kind = ?1 AND id = ?2",
                         &c->lookup, f);
}

enum esign_rc store_check_tail(sqlite3 *db, int64_t from, int64_t size, int64_t *ret_bad_seq,
                               struct fault *f)
{
    struct fault bad = {0};
    CLEANUP(check_done) struct check c = {.db = db, .next = from, .bad_seq = -1, .f = &bad};
    enum esign_rc rc = prepare_check(&c, f);
    if (rc)
        return rc;
    while (c.next < size && check_entries(&c, size))
        ;
    *ret_bad_seq = c.bad_seq;
    if (f && c.bad_seq >= 0)
        *f = bad;
    return ESIGN_OK;
}

/* A row on which st stands (id, seq, body, entry, leaf, kind) must fit its entry. */
static void check_row(struct check *c, sqlite3_stmt *st, int64_t size)
{
    char kind[STORE_KIND_MAX + 1];
    struct fault f = {0};
    (void)snprintf(kind, sizeof kind, "%s", (const char *)sqlite3_column_text(st, 5));
    CLEANUP(json_decref_p) json_t *body = NULL;
    if (store_read_row(st, kind, &body, NULL, &f) == ESIGN_OK)
        return;
    int64_t seq = sqlite3_column_int64(st, 1);
    found_bad(c, seq >= 0 && seq < size ? seq : size, &f);
}

/* One chunk of rows after kind/id (both replaced by the last that was seen).  False: it was the
 * last one. */
static enum esign_rc check_rows(struct check *c, int64_t size, struct buf *kind, struct buf *id,
                                bool *ret_more)
{
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    enum esign_rc rc =
        store_prepare(c->db,
                      "SELECT row.id, row.entry_seq, row.body, entry.bytes, entry.leaf, row.kind "
                      "FROM row LEFT JOIN entry ON entry.seq = row.entry_seq "
                      "WHERE (row.kind, row.id) > (?1, ?2) ORDER BY row.kind, row.id LIMIT ?3",
                      &st, c->f);
    if (rc)
        return rc;
    if (store_bind_text(st, 1, buf_str(kind)) || store_bind_text(st, 2, buf_str(id)) ||
        sqlite3_bind_int(st, 3, CHUNK))
        return store_fault(c->db, "store: check", c->f);
    CLEANUP(buf_done) struct buf last_kind = buf_new(kind->max);
    CLEANUP(buf_done) struct buf last_id = buf_new(id->max);
    int count = 0;
    int step;
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        check_row(c, st, size);
        if (++count == CHUNK) {
            buf_put(&last_id, store_column(st, 0));
            buf_put(&last_kind, store_column(st, 5));
        }
    }
    if (step != SQLITE_DONE)
        return store_fault(c->db, "store: check", c->f);
    *ret_more = count == CHUNK;
    buf_clear(kind);
    buf_clear(id);
    buf_put(kind, buf_bytes(&last_kind));
    buf_put(id, buf_bytes(&last_id));
    return buf_ok(kind) && buf_ok(id) ? ESIGN_OK : fault_set(c->f, ESIGN_E_INTERNAL, "long id");
}

/* Entries outside the trail: none may stand before its start or after its end. */
static enum esign_rc check_ends(struct store *s, struct check *c)
{
    int64_t first = 0;
    int64_t last = 0;
    struct fault f = {0};
    enum esign_rc rc = store_query_int(c->db, "SELECT min(seq) FROM entry", 0, &first, c->f);
    if (!rc)
        rc = store_query_int(c->db, "SELECT max(seq) FROM entry", -1, &last, c->f);
    if (rc)
        return rc;
    int64_t size = store_size(s); /* asked after the disk: the trail only grows */
    if (first < 0 || last >= size) {
        (void)fault_set(&f, ESIGN_E_AUDIT_UNAVAILABLE, "audit entry %lld was not written by esignd",
                        (long long)(first < 0 ? first : last));
        found_bad(c, first < 0 ? 0 : size, &f);
    }
    return ESIGN_OK;
}

enum esign_rc store_check(struct store *s, int64_t *ret_bad_seq, struct fault *f)
{
    struct fault bad = {0};
    int64_t size = store_size(s);
    CLEANUP(sqlite3_close_p) sqlite3 *db = NULL;
    enum esign_rc rc = store_open_reader(s->path, &db, f);
    if (rc)
        return rc;
    CLEANUP(check_done) struct check c = {.db = db, .bad_seq = -1, .f = &bad};
    rc = prepare_check(&c, f);
    if (rc)
        return rc;
    while (c.next < size && check_entries(&c, size))
        ;
    CLEANUP(buf_done) struct buf kind = buf_new(1024);
    CLEANUP(buf_done) struct buf id = buf_new(1024);
    for (bool more = true; more && !rc;)
        rc = check_rows(&c, size, &kind, &id, &more);
    if (!rc)
        rc = check_ends(s, &c);
    if (f && (rc || c.bad_seq >= 0))
        *f = bad;
    if (!rc)
        *ret_bad_seq = c.bad_seq;
    return rc;
}
