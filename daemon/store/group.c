#include "store/group.h"

#include "store/reserve.h"

#include <string.h>

/* A clock this far behind the newest entry is refused; less is a correction, and the entry takes
 * the time of the one before it. */
enum { CLOCK_BEHIND_MAX_MS = 60000 };

static const char *const SQL[STORE_STATEMENT_COUNT] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_COMMIT] = "COMMIT",
    [STORE_GUARD] = "SELECT entry_seq FROM row WHERE kind = ?1 AND id = ?2",
    [STORE_PUT_ENTRY] = "INSERT INTO entry(seq, leaf, bytes) VALUES(?1, ?2, ?3)",
    [STORE_PUT_ROW] = ("INSERT INTO row(kind, id, body, entry_seq) VALUES(?1, ?2, ?3, ?4) "
                       "ON CONFLICT(kind, id) DO UPDATE SET body = excluded.body, "
                       "entry_seq = excluded.entry_seq"),
    [STORE_PUT_CHECKPOINT] = ("INSERT INTO checkpoint(size, note) VALUES(?1, ?2) "
                              "ON CONFLICT(size) DO UPDATE SET note = excluded.note"),
};

enum esign_rc store_group_init(struct store_group *g, const char *path, sqlite3 *db,
                               const struct clock *clock, const struct store_memory *memory,
                               const struct store_head *head, struct fault *f)
{
    *g = (struct store_group){.db = db,
                              .clock = clock,
                              .newest = memory->newest,
                              .recent = memory->recent,
                              .head = *head,
                              .room_seq = -1};
    enum esign_rc rc = ESIGN_OK;
    if (asprintf(&g->reserve_path, "%s.reserve", path) < 0) {
        g->reserve_path = NULL; /* undefined after a failure */
        rc = fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    }
    for (size_t i = 0; !rc && i < STORE_STATEMENT_COUNT; i++)
        rc = store_prepare(db, SQL[i], &g->statements[i], f);
    if (rc) {
        store_group_done(g);
        return rc;
    }
    g->full = !store_make_reserve(g->reserve_path);
    return ESIGN_OK;
}

void store_group_done(struct store_group *g)
{
    for (size_t i = 0; i < STORE_STATEMENT_COUNT; i++)
        sqlite3_finalize(g->statements[i]);
    sqlite3_close(g->db);
    free(g->reserve_path);
    *g = (struct store_group){0};
}

/* Run a statement that gives no row. */
static enum esign_rc run(struct store_group *g, enum store_statement which, struct fault *f)
{
    sqlite3_stmt *st = g->statements[which];
    enum esign_rc rc = ESIGN_OK;
    if (sqlite3_step(st) != SQLITE_DONE)
        rc = store_fault(g->db, SQL[which], f);
    (void)sqlite3_reset(st); /* repeats the failure of the step */
    return rc;
}

/* What the jobs of this group that went before have written.  -1: not this row. */
static int64_t written_before(struct store_job *const *jobs, size_t count,
                              const struct store_guard *guard)
{
    while (count-- > 0) {
        const struct store_change *change = jobs[count]->rc ? NULL : jobs[count]->change;
        for (size_t i = 0; change && i < change->row_count; i++)
            if (strcmp(change->rows[i].id, guard->id) == 0 &&
                strcmp(change->rows[i].kind, guard->kind) == 0)
                return jobs[count]->receipt.seq;
    }
    return -1;
}

/* The sequence that stands in the file. */
static enum esign_rc read_seq(struct store_group *g, const struct store_guard *guard, int64_t *ret,
                              struct fault *f)
{
    sqlite3_stmt *st = g->statements[STORE_GUARD];
    if (store_bind_text(st, 1, guard->kind) || store_bind_text(st, 2, guard->id))
        return store_fault(g->db, "guard", f);
    int step = sqlite3_step(st);
    *ret = step == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    enum esign_rc rc = ESIGN_OK;
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = store_fault(g->db, "guard", f);
    (void)sqlite3_reset(st); /* repeats the failure of the step */
    return rc;
}

/* A row has moved, or somebody has changed the file: only that is told apart by reading it. */
static enum esign_rc refuse_guard(struct store_group *g, const struct store_guard *guard,
                                  int64_t newest, struct fault *f)
{
    char key[STORE_KEY_SIZE];
    int64_t seq = -1;
    enum esign_rc rc = read_seq(g, guard, &seq, f);
    if (rc)
        return rc;
    if (seq < newest)
        return store_row_is_old(guard->kind, guard->id, f);
    store_row_key(guard->kind, guard->id, key);
    rc = fault_field(f, ESIGN_E_CONFLICT, key, "%s has changed since it was read", key);
    if (f)
        (void)snprintf(f->reason, sizeof f->reason, "generation"); /* fits */
    return rc;
}

/* The guards of jobs[at]; what is in memory decides, since nobody else writes. */
static enum esign_rc check_guards(struct store_group *g, struct store_job *const *jobs, size_t at,
                                  struct fault *f)
{
    const struct store_change *change = jobs[at]->change;
    for (size_t i = 0; i < change->guard_count; i++) {
        const struct store_guard *guard = &change->guards[i];
        int64_t newest = written_before(jobs, at, guard);
        if (newest < 0)
            newest = store_newest_get(g->newest, guard->kind, guard->id);
        if (guard->seq != newest)
            return refuse_guard(g, guard, newest, f);
    }
    return ESIGN_OK;
}

static enum esign_rc next_time(const struct store_group *g, const struct store_head *head,
                               int64_t *ret, struct fault *f)
{
    int64_t now = clock_now_ms(g->clock);
    if (head->time_ms - now > CLOCK_BEHIND_MAX_MS)
        return fault_set(f, ESIGN_E_CLOCK,
                         "the clock is %lld s behind the newest audit entry; set it right",
                         (long long)((head->time_ms - now) / 1000));
    *ret = now > head->time_ms ? now : head->time_ms;
    return ESIGN_OK;
}

static enum esign_rc put_entry(struct store_group *g, int64_t seq, struct bytes leaf,
                               struct bytes bytes, struct fault *f)
{
    sqlite3_stmt *st = g->statements[STORE_PUT_ENTRY];
    if (sqlite3_bind_int64(st, 1, seq) || store_bind_blob(st, 2, leaf) ||
        store_bind_blob(st, 3, bytes))
        return store_fault(g->db, "entry", f);
    enum esign_rc rc = run(g, STORE_PUT_ENTRY, f);
    (void)sqlite3_clear_bindings(st); /* they point into the caller's frame; it always succeeds */
    return rc;
}

static enum esign_rc put_rows(struct store_group *g, const struct store_job *job, int64_t seq,
                              struct fault *f)
{
    sqlite3_stmt *st = g->statements[STORE_PUT_ROW];
    for (size_t i = 0; i < job->change->row_count; i++) {
        const struct store_row *row = &job->change->rows[i];
        if (store_bind_text(st, 1, row->kind) || store_bind_text(st, 2, row->id) ||
            store_bind_text(st, 3, job->prepared->bodies[i]) || sqlite3_bind_int64(st, 4, seq))
            return store_fault(g->db, "row", f);
        enum esign_rc rc = run(g, STORE_PUT_ROW, f);
        if (rc)
            return rc;
    }
    return ESIGN_OK;
}

/* What the entry says of its time. */
static enum esign_rc stamp_of(const struct store_group *g, const struct store_head *head,
                              char offset[CLOCK_TEXT], struct store_stamp *ret, struct fault *f)
{
    int64_t error_ms;
    *ret = (struct store_stamp){.seq = head->size, .offset = offset};
    enum esign_rc rc = next_time(g, head, &ret->time_ms, f);
    if (rc)
        return rc;
    clock_format_offset(ret->time_ms, offset);
    ret->synchronised = clock_synchronised(&error_ms);
    return ESIGN_OK;
}

/* All that can refuse a change stands before the first write: one that is refused has written
 * nothing. */
static enum esign_rc put_change(struct store_group *g, struct store_head *head,
                                struct store_job *const *jobs, size_t at, struct fault *f)
{
    CLEANUP(buf_done) struct buf bytes = buf_new(STORE_ENTRY_MAX);
    char offset[CLOCK_TEXT];
    struct store_stamp stamp;
    struct store_job *job = jobs[at];
    enum esign_rc rc = check_guards(g, jobs, at, f);
    if (!rc)
        rc = stamp_of(g, head, offset, &stamp, f);
    if (!rc)
        rc = store_seal_entry(job->prepared, &stamp, &bytes, job->leaf, f);
    if (!rc)
        rc = put_entry(g, stamp.seq, bytes_of(job->leaf, sizeof job->leaf), buf_bytes(&bytes), f);
    if (!rc)
        rc = put_rows(g, job, stamp.seq, f);
    if (rc)
        return rc;
    job->receipt = (struct store_receipt){stamp.seq, stamp.time_ms};
    *head = (struct store_head){stamp.seq + 1, stamp.time_ms};
    return ESIGN_OK;
}

static enum esign_rc put_checkpoint(struct store_group *g, const struct store_job *job,
                                    struct fault *f)
{
    sqlite3_stmt *st = g->statements[STORE_PUT_CHECKPOINT];
    if (sqlite3_bind_int64(st, 1, job->checkpoint_size) ||
        store_bind_text(st, 2, job->checkpoint_note))
        return store_fault(g->db, "checkpoint", f);
    return run(g, STORE_PUT_CHECKPOINT, f);
}

/* A refused job has its own rc and harms no neighbour; an rc returned here means that the database
 * failed, and with it the whole group. */
static enum esign_rc run_job(struct store_group *g, struct store_head *head,
                             struct store_job *const *jobs, size_t at, struct fault *f)
{
    struct store_job *job = jobs[at];
    if (job->change)
        job->rc = put_change(g, head, jobs, at, &job->fault);
    else if (job->checkpoint_note)
        job->rc = put_checkpoint(g, job, &job->fault);
    if (job->rc != ESIGN_E_AUDIT_UNAVAILABLE)
        return ESIGN_OK;
    *f = job->fault;
    return job->rc;
}

/* Give every job that was not refused by itself the failure of the transaction. */
static void fail_group(struct store_job *const *jobs, size_t count, const struct fault *f)
{
    for (size_t i = 0; i < count; i++) {
        if (jobs[i]->rc)
            continue;
        jobs[i]->rc = f->rc;
        jobs[i]->fault = *f;
    }
}

/* The transaction has failed: undo what SQLite has not undone by itself. */
static void abandon(struct store_group *g)
{
    if (!sqlite3_get_autocommit(g->db) &&
        sqlite3_exec(g->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        g->broken = true;
}

/* Whether a failed COMMIT has surely written nothing that a later recovery could find: there was no
 * room, no lock, or a write was refused.  After a failed fsync nobody knows. */
static bool commit_failure_is_clean(unsigned long code)
{
    return (code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_BUSY ||
           code == SQLITE_IOERR_WRITE;
}

/* What is on disk now is what readers must find. */
static void tell_newest(struct store_group *g, struct store_job *const *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct store_change *change = jobs[i]->change;
        for (size_t k = 0; change && !jobs[i]->rc && k < change->row_count; k++) {
            char key[STORE_KEY_SIZE];
            store_row_key(change->rows[k].kind, change->rows[k].id, key);
            store_newest_put(g->newest, key, jobs[i]->receipt.seq);
        }
        if (change && !jobs[i]->rc)
            store_recent_put(g->recent, jobs[i]->receipt.seq, jobs[i]->leaf);
    }
}

static enum esign_rc run_transaction(struct store_group *g, struct store_job *const *jobs,
                                     size_t count, struct fault *f)
{
    struct store_head head = g->head;
    enum esign_rc rc = store_newest_reserve(g->newest, count * STORE_ROWS_MAX, f);
    if (!rc)
        rc = run(g, STORE_BEGIN, f);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < count; i++)
        rc = run_job(g, &head, jobs, i, f);
    if (!rc) {
        rc = run(g, STORE_COMMIT, f);
        g->broken = rc && !commit_failure_is_clean(f->cause);
    }
    if (rc) {
        abandon(g);
        return rc;
    }
    g->head = head;
    tell_newest(g, jobs, count);
    return ESIGN_OK;
}

/* An entry of the store's own.  If it can't be written, the refusals are all that is left to tell.
 */
static bool enter(struct store_group *g, const char *action, enum esign_rc result)
{
    CLEANUP(json_decref_p)
    json_t *entry = json_pack("{s:s, s:{s:s}, s:s, s:s}", "action", action, "actor", "role",
                              "system", "object", "service/esignd", "result", fault_name(result));
    const struct store_change change = {.entry = entry};
    CLEANUP(store_prepared_done) struct store_prepared prepared = {0};
    struct fault f = {0};
    struct store_job job = {.change = &change, .prepared = &prepared};
    return entry && store_prepare_change(&change, &prepared, &f) == ESIGN_OK &&
           run_transaction(g, &(struct store_job *){&job}, 1, &f) == ESIGN_OK;
}

/* Give the reserve up for one entry that tells why nothing more is written. */
static void enter_full(struct store_group *g)
{
    g->full = true;
    store_drop_reserve(g->reserve_path);
    (void)enter(g, "store.full", ESIGN_E_AUDIT_UNAVAILABLE);
}

/* With a reserve again, writing goes on. */
static void try_room(struct store_group *g)
{
    if (!store_make_reserve(g->reserve_path))
        return;
    if (enter(g, "store.room", ESIGN_OK)) {
        g->full = false;
        g->room_seq = g->head.size - 1;
    } else {
        store_drop_reserve(g->reserve_path);
    }
}

void store_group_run(struct store_group *g, struct store_job *const *jobs, size_t count)
{
    struct fault f = {0};
    for (size_t i = 0; i < count; i++)
        jobs[i]->rc = ESIGN_OK;
    if (g->full && !g->broken)
        try_room(g);
    if (g->broken)
        (void)fault_set(&f, ESIGN_E_AUDIT_UNAVAILABLE,
                        "the disk has failed while the audit trail was written; restart esignd");
    else if (g->full)
        (void)fault_reason(&f, ESIGN_E_AUDIT_UNAVAILABLE, "full", "the disk of the store is full");
    else if (run_transaction(g, jobs, count, &f) == ESIGN_OK)
        return;
    fail_group(jobs, count, &f);
    if (!g->full && !g->broken && strcmp(f.reason, "full") == 0)
        enter_full(g);
}
