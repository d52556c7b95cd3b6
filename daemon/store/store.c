#include "store/store_internal.h"

#include "store/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

enum { PATH_SIZE_MAX = 4096, TAIL_CHECKED = 256, READ_WAIT_MS = 5000 };

/* One process at a time: a lock on a file beside the store, since SQLite's own locks let several
 * processes in. */
static enum esign_rc lock_store(const char *path, int *ret_fd, struct fault *f)
{
    CLEANUP(buf_done) struct buf lock_path = buf_new(PATH_SIZE_MAX);
    buf_put_fmt(&lock_path, "%s.lock", path);
    const char *name = buf_str(&lock_path);
    if (!name)
        return fault_set(f, ESIGN_E_AUDIT_UNAVAILABLE, "the path of the store is too long");
    CLEANUP(close_p) int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fault_cause(f, ESIGN_E_AUDIT_UNAVAILABLE, (unsigned long)errno, "store: %s: %s",
                           name, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return fault_cause(f, ESIGN_E_CONFLICT, (unsigned long)errno,
                           "another process has the store %s", path);
    *ret_fd = TAKE_FD(fd);
    return ESIGN_OK;
}

static enum esign_rc read_time(sqlite3 *db, int64_t seq, int64_t *ret, struct fault *f)
{
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    enum esign_rc rc = store_prepare(db, "SELECT bytes, leaf FROM entry WHERE seq = ?1", &st, f);
    if (rc)
        return rc;
    if (sqlite3_bind_int64(st, 1, seq) || sqlite3_step(st) != SQLITE_ROW)
        return store_fault(db, "store: newest entry", f);
    CLEANUP(json_decref_p) json_t *entry = NULL;
    rc = store_check_entry(store_column(st, 0), store_column(st, 1), seq, &entry, f);
    if (rc)
        return rc;
    return clock_parse_utc(json_str(entry, "time"), ret);
}

/* Where the trail ends on disk; a checkpoint beyond it tells that the tail was cut. */
static enum esign_rc read_head(sqlite3 *db, struct store_head *ret, struct fault *f)
{
    struct store_head head = {0};
    int64_t checkpoint = 0;
    enum esign_rc rc = store_query_int(db, "SELECT max(seq) + 1 FROM entry", 0, &head.size, f);
    if (!rc)
        rc = store_query_int(db, "SELECT max(size) FROM checkpoint", 0, &checkpoint, f);
    if (!rc && head.size > 0)
        rc = read_time(db, head.size - 1, &head.time_ms, f);
    if (rc)
        return rc;
    if (checkpoint > head.size)
        return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered",
                            "audit entry %lld is missing: a checkpoint covers %lld",
                            (long long)head.size, (long long)checkpoint);
    *ret = head;
    return ESIGN_OK;
}

static enum esign_rc check_tail(sqlite3 *db, int64_t size, struct fault *f)
{
    int64_t bad_seq = -1;
    struct fault bad = {0};
    enum esign_rc rc =
        store_check_tail(db, size > TAIL_CHECKED ? size - TAIL_CHECKED : 0, size, &bad_seq, &bad);
    if (rc || bad_seq < 0) {
        if (rc && f)
            *f = bad;
        return rc;
    }
    return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered",
                        "the audit trail does not hold at entry %lld: %s", (long long)bad_seq,
                        bad.detail);
}

static enum esign_rc open_parts(struct store *s, const char *path, struct fault *f)
{
    size_t count = 0;
    const struct store_migration *migrations = store_migrations(&count);
    CLEANUP(sqlite3_close_p) sqlite3 *db = NULL;
    struct store_head head = {0};
    enum esign_rc rc = store_open_writer(path, &db, f);
    if (!rc)
        rc = store_migrate(db, migrations, count, f);
    if (!rc)
        rc = read_head(db, &head, f);
    if (!rc)
        rc = store_newest_open(&s->newest, f);
    if (!rc)
        rc = store_cache_open(&s->cache, f);
    if (!rc)
        rc = store_newest_read(s->newest, db, head.size, f);
    if (!rc)
        rc = store_readers_open(path, READ_WAIT_MS, &s->readers, f);
    if (!rc)
        rc = check_tail(db, head.size, f);
    if (rc)
        return rc;
    const struct store_memory memory = {s->newest, &s->recent};
    return store_writer_start(path, TAKE(db), s->clock, &memory, &head, &s->writer, f);
}

enum esign_rc store_open(const char *path, const struct clock *clock, struct store **ret,
                         struct fault *f)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    s->lock_fd = -1;
    store_recent_init(&s->recent);
    s->clock = clock;
    s->path = strdup(path);
    enum esign_rc rc = s->path ? lock_store(path, &s->lock_fd, f)
                               : fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    if (!rc)
        rc = open_parts(s, path, f);
    if (rc) {
        store_close(s);
        return rc;
    }
    s->opened = (struct store_opened){store_writer_size(s->writer), clock_mono_ms(clock)};
    *ret = s;
    return ESIGN_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    /* Readers first: the connection that is closed last tidies the write-ahead log away, and only
     * the writer may do that. */
    store_readers_close(s->readers);
    store_writer_stop(s->writer);
    store_cache_close(s->cache);
    store_recent_done(&s->recent);
    store_newest_close(s->newest);
    close_p(&s->lock_fd);
    free(s->path);
    free(s);
}

const struct clock *store_clock(const struct store *s)
{
    return s->clock;
}

enum esign_rc store_commit(struct store *s, const struct store_change *change,
                           int64_t deadline_at_ms, struct store_receipt *ret, struct fault *f)
{
    CLEANUP(store_prepared_done) struct store_prepared prepared = {0};
    enum esign_rc rc = store_prepare_change(change, &prepared, f);
    if (rc)
        return rc;
    struct store_receipt receipt;
    rc = store_writer_commit(s->writer, change, &prepared, deadline_at_ms, &receipt, f);
    for (size_t i = 0; !rc && i < change->row_count; i++)
        store_cache_renew(s->cache, change->rows[i].kind, change->rows[i].id, receipt.seq,
                          change->rows[i].body);
    if (!rc && ret)
        *ret = receipt;
    if (!rc && s->observe)
        s->observe(s->observe_ctx, change);
    return rc;
}

bool store_await(struct store *s, const struct store_guard *guards, size_t count,
                 int64_t deadline_at_ms)
{
    return store_writer_await(s->writer, guards, count, deadline_at_ms);
}

struct store_opened store_opened(const struct store *s)
{
    return s->opened;
}

void store_observe(struct store *s, void (*fn)(void *ctx, const struct store_change *change),
                   void *ctx)
{
    s->observe = fn;
    s->observe_ctx = ctx;
}

int64_t store_busy_since(struct store *s)
{
    return store_writer_busy_since(s->writer);
}

enum store_state store_state_now(struct store *s)
{
    return store_writer_state(s->writer);
}

int64_t store_room_seq(struct store *s)
{
    return store_writer_room_seq(s->writer);
}

enum esign_rc store_try_room(struct store *s, struct fault *f)
{
    return store_writer_try_room(s->writer, f);
}
