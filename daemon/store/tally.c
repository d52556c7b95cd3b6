/* How many rows of a kind have a member's value, and which of them is the newest. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/store_internal.h"

enum { TALLY_SQL_MAX = 512, TALLY_ID_MAX = 64 };

/* The rows that are counted. */
struct tally {
    const char *kind, *member, *value;
};

static bool tally_is_member(const char *name)
{
    return *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
}

/* A query over them, on its first row.  ret: NULL if it has none. */
static enum esign_rc tally_query(sqlite3 *db, const struct tally *t, const char *what,
                                 const char *order, sqlite3_stmt **ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf sql = buf_new(TALLY_SQL_MAX);
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;

    buf_put_fmt(&sql, "SELECT %s FROM row WHERE kind = '%s' AND json_extract(body, '$.%s') = ?1%s",
                what, t->kind, t->member, order);
    const char *text = buf_str(&sql);
    if (!text)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a query");
    enum esign_rc rc = store_prepare(db, text, &st, f);
    if (rc != ESIGN_OK)
        return rc;
    int step = sqlite3_bind_text(st, 1, t->value, -1, SQLITE_STATIC);
    if (step == SQLITE_OK)
        step = sqlite3_step(st);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return store_fault(db, "store: tally", f);
    *ret = step == SQLITE_ROW ? TAKE(st) : NULL;
    return ESIGN_OK;
}

static enum esign_rc tally_read(sqlite3 *db, const struct tally *t, int64_t *ret_count,
                                char ret_id[TALLY_ID_MAX + 1], struct fault *f)
{
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *count = NULL;
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *newest = NULL;
    enum esign_rc rc = tally_query(db, t, "count(*)", "", &count, f);

    if (rc == ESIGN_OK)
        rc = tally_query(db, t, "id", " ORDER BY entry_seq DESC LIMIT 1", &newest, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret_count = count ? sqlite3_column_int64(count, 0) : 0;
    ret_id[0] = '\0';
    if (newest)
        (void)snprintf(ret_id, TALLY_ID_MAX + 1, "%s",
                       (const char *)sqlite3_column_text(newest, 0));
    return ESIGN_OK;
}

enum esign_rc store_tally(struct store *s, const char *kind, const char *member, const char *value,
                          int64_t *ret_count, json_t **ret_newest, struct fault *f)
{
    const struct tally t = {kind, member, value};
    char id[TALLY_ID_MAX + 1] = "";
    enum esign_rc rc = ESIGN_OK;

    if (!store_is_kind(kind) || !tally_is_member(member))
        return fault_set(f, ESIGN_E_INTERNAL, "tally of %.32s: not a kind and a member", kind);
    {
        CLEANUP(store_reader_give_p) struct store_reader *r = NULL;
        rc = store_reader_take(s->readers, STORE_READ_SHORT, &r, f);
        if (rc == ESIGN_OK)
            rc = tally_read(r->db, &t, ret_count, id, f);
    }
    *ret_newest = NULL;
    return rc == ESIGN_OK && *id ? store_get(s, kind, id, ret_newest, NULL, f) : rc;
}
