#include "store/store_internal.h"

#include "base/encode.h"

#include <string.h>

/* Rows of kinds up to COUNTED_MAX are counted when they are listed. */
enum {
    COUNTED_MAX = 4096,
    LIST_MAX = 1000,
    LIST_SQL_MAX = 1024,
    LEAVES_SHORT = 1024,
    LEAVES_MAX = 65536
};

/* A row as it stands on disk, and the entry that tells of it. */
struct read_row {
    const char *kind, *id;
    int64_t seq;
    struct bytes body, entry, leaf;
    bool entered; /* the entry exists */
};

static enum esign_rc check_read(const struct read_row *row, struct fault *f)
{
    if (!row->entered)
        return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered",
                            "audit entry %lld of row %s/%s is missing", (long long)row->seq,
                            row->kind, row->id);
    CLEANUP(json_decref_p) json_t *entry = NULL;
    enum esign_rc rc = store_check_entry(row->entry, row->leaf, row->seq, &entry, f);
    if (!rc)
        rc = store_check_row(entry, row->kind, row->id, row->body, f);
    return rc;
}

enum esign_rc store_read_row(sqlite3_stmt *st, const char *kind, json_t **ret, int64_t *ret_seq,
                             struct fault *f)
{
    char id[STORE_ID_MAX + 1];
    (void)snprintf(id, sizeof id, "%s", (const char *)sqlite3_column_text(st, 0)); /* checked */
    const struct read_row row = {.kind = kind,
                                 .id = id,
                                 .seq = sqlite3_column_int64(st, 1),
                                 .body = store_column(st, 2),
                                 .entry = store_column(st, 3),
                                 .leaf = store_column(st, 4),
                                 .entered = sqlite3_column_type(st, 3) != SQLITE_NULL};
    enum esign_rc rc = check_read(&row, f);
    if (!rc)
        rc = json_parse_object(row.body, ret, f);
    if (!rc && ret_seq)
        *ret_seq = row.seq;
    return rc;
}

/* The row on which r->get stands (columns as in readers.c).  Its entry is read now: in the same
 * snapshot, since r->get still stands on the row. */
static enum esign_rc get_row(struct store_reader *r, struct read_row *row, json_t **ret,
                             struct fault *f)
{
    row->seq = sqlite3_column_int64(r->get, 0);
    row->body = store_column(r->get, 1);
    if (sqlite3_bind_int64(r->entry, 1, row->seq))
        return store_fault(r->db, "store: read", f);
    int step = sqlite3_step(r->entry);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return store_fault(r->db, "store: read", f);
    row->entered = step == SQLITE_ROW;
    row->entry = store_column(r->entry, 0);
    row->leaf = store_column(r->entry, 1);
    enum esign_rc rc = check_read(row, f);
    return rc ? rc : json_parse_object(row->body, ret, f);
}

static bool is_name(const char *kind, const char *id)
{
    return store_is_kind(kind) && text_is_id(id, STORE_ID_MAX);
}

static enum esign_rc no_row(const char *kind, const char *id, struct fault *f)
{
    return fault_set(f, ESIGN_E_NOT_FOUND, "there is no %.32s/%.64s", kind, id);
}

/* A row from disk, checked.  newest: what the trail told before the disk is read. */
static enum esign_rc read_row(struct store *s, int64_t newest, struct read_row *row, json_t **ret,
                              struct fault *f)
{
    CLEANUP(store_reader_give_p) struct store_reader *r = NULL;
    enum esign_rc rc = store_reader_take(s->readers, STORE_READ_SHORT, &r, f);
    if (rc)
        return rc;
    if (store_bind_text(r->get, 1, row->kind) || store_bind_text(r->get, 2, row->id))
        return store_fault(r->db, "store: read", f);
    switch (sqlite3_step(r->get)) {
    case SQLITE_ROW:
        if (sqlite3_column_int64(r->get, 0) < newest)
            return store_row_is_old(row->kind, row->id, f);
        return get_row(r, row, ret, f);
    case SQLITE_DONE:
        if (newest >= 0)
            return store_row_is_old(row->kind, row->id, f);
        return no_row(row->kind, row->id, f);
    default:
        return store_fault(r->db, "store: read", f);
    }
}

enum esign_rc store_read(struct store *s, const char *kind, const char *id, json_t **ret,
                         int64_t *ret_seq, struct fault *f)
{
    if (!is_name(kind, id))
        return no_row(kind, id, f);
    struct read_row row = {.kind = kind, .id = id};
    int64_t newest = store_newest_get(s->newest, kind, id); /* before the disk: that only grows */
    enum esign_rc rc = read_row(s, newest, &row, ret, f);
    if (!rc && ret_seq)
        *ret_seq = row.seq;
    return rc;
}

enum esign_rc store_get(struct store *s, const char *kind, const char *id, json_t **ret,
                        int64_t *ret_seq, struct fault *f)
{
    int64_t seq = is_name(kind, id) ? store_newest_get(s->newest, kind, id) : -1;
    if (seq < 0) /* no entry tells of it, whatever stands on disk */
        return no_row(kind, id, f);
    json_t *body = store_cache_get(s->cache, kind, id, seq);
    if (!body) {
        enum esign_rc rc = store_read(s, kind, id, &body, &seq, f);
        if (rc)
            return rc;
        store_cache_put(s->cache, kind, id, seq, body);
    }
    *ret = body;
    if (ret_seq)
        *ret_seq = seq;
    return ESIGN_OK;
}

enum esign_rc store_look(struct store *s, const char *kind, const char *id, struct store_view *ret,
                         struct fault *f)
{
    int64_t seq = is_name(kind, id) ? store_newest_get(s->newest, kind, id) : -1;
    if (seq < 0) /* as in store_get */
        return no_row(kind, id, f);
    json_t *body = store_cache_look(s->cache, kind, id, seq);
    if (!body) {
        enum esign_rc rc = store_get(s, kind, id, &body, &seq, f);
        if (rc)
            return rc;
    }
    *ret = (struct store_view){body, seq, s};
    return ESIGN_OK;
}

void store_view_done(struct store_view *v)
{
    if (v->body)
        store_cache_give(v->store->cache, (json_t *)(uintptr_t)v->body);
    *v = (struct store_view){0};
}

static bool is_member(const char *member)
{
    size_t len = strlen(member);
    return len > 0 && len <= STORE_KIND_MAX &&
           strspn(member, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* States that rows pass through and that no index has (schema 0003): the query for another one must
 * say so in the same words. */
static const struct unlisted {
    const char *kind, *states;
} UNLISTED[] = {{"ticket", "'signing', 'signed'"}, {"intent", "'done'"}};

/* The words that let SQLite use the index of a kind for this state. */
static void put_index_term(struct buf *sql, const char *kind, const char *member, const char *value)
{
    if (strcmp(member, "state") != 0 || !is_member(value))
        return;
    for (size_t i = 0; i < sizeof UNLISTED / sizeof UNLISTED[0]; i++) {
        char quoted[STORE_KIND_MAX + 3];
        (void)snprintf(quoted, sizeof quoted, "'%s'", value); /* is_member() bounds it */
        if (strcmp(UNLISTED[i].kind, kind) == 0 && !strstr(UNLISTED[i].states, quoted))
            buf_put_fmt(sql, " AND json_extract(body, '$.state') NOT IN (%s)", UNLISTED[i].states);
    }
}

/* The kind and the member stand in the text, so that SQLite finds the partial indexes of the
 * schema; both are checked words.  json_type keeps "5" from finding 5. */
static enum esign_rc prepare_list(sqlite3 *db, const char *kind, const char *member,
                                  const char *value, sqlite3_stmt **ret, struct fault *f)
{
    if (!store_is_kind(kind) || (member && !is_member(member)))
        return fault_set(f, ESIGN_E_INTERNAL, "list of %.32s: not a kind and a member", kind);
    CLEANUP(buf_done) struct buf sql = buf_new(LIST_SQL_MAX);
    buf_put_fmt(&sql,
                "SELECT row.id, row.entry_seq, row.body, entry.bytes, entry.leaf "
                "FROM row LEFT JOIN entry ON entry.seq = row.entry_seq "
                "WHERE row.kind = '%s' AND row.id > ?1",
                kind);
    if (member) {
        buf_put_fmt(&sql,
                    " AND json_extract(body, '$.%s') = ?3 AND json_type(body, '$.%s') = 'text'",
                    member, member);
        put_index_term(&sql, kind, member, value);
    }
    buf_put_str(&sql, " ORDER BY row.id LIMIT ?2");
    const char *text = buf_str(&sql);
    return text ? store_prepare(db, text, ret, f) : fault_set(f, ESIGN_E_INTERNAL, "out of memory");
}

/* What the trail told of a kind before the disk was read: both only grow. */
struct told {
    struct store_newest *newest;
    const char *kind;
    int64_t size;
};

/* Whether rows of the kind are gone. */
static enum esign_rc check_count(const struct told *t, sqlite3 *db, struct fault *f)
{
    bool missing = false;
    int64_t at_least = store_newest_count(t->newest, t->kind, &missing);
    int64_t count = at_least;
    enum esign_rc rc = at_least > COUNTED_MAX ? ESIGN_OK : store_count_rows(db, t->kind, &count, f);
    if (rc || (!missing && count >= at_least))
        return rc;
    return fault_reason(f, ESIGN_E_CRED_STATE, "tampered",
                        "rows of %s that the audit trail tells of are missing", t->kind);
}

static enum esign_rc append_item(sqlite3_stmt *st, const struct told *t, json_t *items,
                                 struct fault *f)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    int64_t seq = 0;
    enum esign_rc rc = store_read_row(st, t->kind, &body, &seq, f);
    if (rc)
        return rc;
    const char *id = (const char *)sqlite3_column_text(st, 0);
    int64_t newest = store_newest_get(t->newest, t->kind, id);
    if (seq < newest && newest < t->size) /* not by a commit since then */
        return store_row_is_old(t->kind, id, f);
    json_t *item = json_pack("{s:s, s:I, s:O}", "id", id, "seq", (json_int_t)seq, "body", body);
    if (json_array_append_new(items, item) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    return ESIGN_OK;
}

enum esign_rc store_list(struct store *s, const char *kind, const char *member, const char *value,
                         const char *after, size_t limit, json_t **ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *items = json_array();
    const struct told told = {s->newest, kind, store_size(s)};
    CLEANUP(store_reader_give_p) struct store_reader *r = NULL;
    enum esign_rc rc = store_reader_take(s->readers, STORE_READ_LONG, &r, f);
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    if (!rc)
        rc = prepare_list(r->db, kind, member, value, &st, f);
    if (!rc)
        rc = check_count(&told, r->db, f);
    if (rc)
        return rc;
    if (!items)
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    if (store_bind_text(st, 1, after ? after : "") ||
        sqlite3_bind_int64(st, 2, (int64_t)(limit < LIST_MAX ? limit : LIST_MAX)) ||
        (member && store_bind_text(st, 3, value)))
        return store_fault(r->db, "store: list", f);
    int step;
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        rc = append_item(st, &told, items, f);
        if (rc)
            return rc;
    }
    if (step != SQLITE_DONE)
        return store_fault(r->db, "store: list", f);
    *ret = TAKE(items);
    return ESIGN_OK;
}

int64_t store_size(struct store *s)
{
    return store_writer_size(s->writer);
}

enum esign_rc store_entry(struct store *s, int64_t seq, struct buf *out, struct fault *f)
{
    CLEANUP(store_reader_give_p) struct store_reader *r = NULL;
    enum esign_rc rc = store_reader_take(s->readers, STORE_READ_SHORT, &r, f);
    if (rc)
        return rc;
    if (sqlite3_bind_int64(r->entry, 1, seq))
        return store_fault(r->db, "store: read", f);
    int step = sqlite3_step(r->entry);
    if (step == SQLITE_DONE && seq >= 0 && seq < store_size(s))
        return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered", "audit entry %lld is missing",
                            (long long)seq);
    if (step == SQLITE_DONE)
        return fault_set(f, ESIGN_E_NOT_FOUND, "there is no audit entry %lld", (long long)seq);
    if (step != SQLITE_ROW)
        return store_fault(r->db, "store: read", f);
    struct bytes bytes = store_column(r->entry, 0);
    rc = store_check_entry(bytes, store_column(r->entry, 1), seq, NULL, f);
    if (rc)
        return rc;
    buf_put(out, bytes);
    return buf_ok(out) ? ESIGN_OK
                       : fault_set(f, ESIGN_E_TOO_LARGE, "the entry does not fit the buffer");
}

static enum esign_rc read_leaves(struct store_reader *r, int64_t from, int64_t count,
                                 struct buf *out, struct fault *f)
{
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    enum esign_rc rc = store_prepare(
        r->db, "SELECT seq, leaf FROM entry WHERE seq >= ?1 AND seq < ?2 ORDER BY seq", &st, f);
    if (rc)
        return rc;
    if (sqlite3_bind_int64(st, 1, from) || sqlite3_bind_int64(st, 2, from + count))
        return store_fault(r->db, "store: leaves", f);
    int64_t next = from;
    int step;
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        struct bytes leaf = store_column(st, 1);
        if (sqlite3_column_int64(st, 0) != next || leaf.len != SHA256_LEN)
            break;
        buf_put(out, leaf);
        next++;
    }
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return store_fault(r->db, "store: leaves", f);
    if (next != from + count)
        return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered",
                            "audit entry %lld is missing or has no leaf", (long long)next);
    return buf_ok(out) ? ESIGN_OK
                       : fault_set(f, ESIGN_E_TOO_LARGE, "the leaves do not fit the buffer");
}

enum esign_rc store_leaves(struct store *s, int64_t from, int64_t count, struct buf *out,
                           struct fault *f)
{
    int64_t size = store_size(s);
    if (from < 0 || count < 0 || count > size || from > size - count)
        return fault_set(f, ESIGN_E_NOT_FOUND, "the trail has %lld entries", (long long)size);
    /* In pieces: a long read would keep the writer from reusing the write-ahead log. */
    while (count > 0) {
        CLEANUP(store_reader_give_p) struct store_reader *r = NULL;
        int64_t piece = count < LEAVES_MAX ? count : LEAVES_MAX;
        enum esign_rc rc = store_reader_take(
            s->readers, piece <= LEAVES_SHORT ? STORE_READ_SHORT : STORE_READ_LONG, &r, f);
        if (!rc)
            rc = read_leaves(r, from, piece, out, f);
        if (rc)
            return rc;
        from += piece;
        count -= piece;
    }
    return ESIGN_OK;
}

enum esign_rc store_new_leaves(struct store *s, int64_t from, int64_t count, struct buf *out,
                               struct fault *f)
{
    if (!store_recent_get(&s->recent, from, count, out))
        return store_leaves(s, from, count, out, f);
    return buf_ok(out) ? ESIGN_OK
                       : fault_set(f, ESIGN_E_TOO_LARGE, "the leaves do not fit the buffer");
}

enum esign_rc store_put_checkpoint(struct store *s, int64_t size, const char *note, struct fault *f)
{
    return store_writer_put_checkpoint(s->writer, size, note, f);
}

static enum esign_rc read_checkpoint(struct store *s, const char *sql, int64_t after,
                                     struct buf *out, int64_t *ret_size, struct fault *f)
{
    CLEANUP(store_reader_give_p) struct store_reader *r = NULL;
    enum esign_rc rc = store_reader_take(s->readers, STORE_READ_SHORT, &r, f);
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    if (!rc)
        rc = store_prepare(r->db, sql, &st, f);
    if (rc)
        return rc;
    if (sqlite3_bind_int64(st, 1, after))
        return store_fault(r->db, "store: checkpoint", f);
    int step = sqlite3_step(st);
    if (step == SQLITE_DONE)
        return fault_set(f, ESIGN_E_NOT_FOUND, "there is no checkpoint");
    if (step != SQLITE_ROW)
        return store_fault(r->db, "store: checkpoint", f);
    buf_put(out, store_column(st, 1));
    if (!buf_ok(out))
        return fault_set(f, ESIGN_E_TOO_LARGE, "the checkpoint does not fit the buffer");
    *ret_size = sqlite3_column_int64(st, 0);
    return ESIGN_OK;
}

enum esign_rc store_checkpoint(struct store *s, struct buf *out, int64_t *ret_size, struct fault *f)
{
    return read_checkpoint(
        s, "SELECT size, note FROM checkpoint WHERE size > ?1 ORDER BY size DESC LIMIT 1", -1, out,
        ret_size, f);
}

enum esign_rc store_checkpoint_after(struct store *s, int64_t after, struct buf *out,
                                     int64_t *ret_size, struct fault *f)
{
    return read_checkpoint(
        s, "SELECT size, note FROM checkpoint WHERE size > ?1 ORDER BY size LIMIT 1", after, out,
        ret_size, f);
}
