#include "store/snapshot.h"

#include "store/sqlite.h"
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

/* A connection of its own, which only reads the store: the writer is the only one that writes and
 * checkpoints, and waits for nobody. */
static enum esign_rc snapshot_copy(const char *from, const char *to, struct fault *f)
{
    CLEANUP(sqlite3_close_p) sqlite3 *db = NULL;
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    enum esign_rc rc = store_open_reader(from, &db, f);
    if (!rc)
        rc = store_exec(db, "PRAGMA query_only=OFF", f); /* it would refuse the new file, too */
    if (!rc)
        rc = store_prepare(db, "VACUUM INTO ?1", &st, f);
    if (rc)
        return rc;
    if (store_bind_text(st, 1, to) || sqlite3_step(st) != SQLITE_DONE)
        return store_fault(db, "snapshot", f);
    return ESIGN_OK;
}

/* The mark stands in the file's header (user_version), where no row or entry is changed by it. */
static enum esign_rc snapshot_mark(const char *path, int64_t mark, int64_t *ret_size,
                                   struct fault *f)
{
    CLEANUP(sqlite3_close_p) sqlite3 *db = NULL;
    char sql[64];
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version=%lld", (long long)mark); /* fits */
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return db ? store_fault(db, "snapshot", f)
                  : fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    enum esign_rc rc = store_exec(db, sql, f);
    return rc ? rc : store_query_int(db, "SELECT max(seq) + 1 FROM entry", 0, ret_size, f);
}

static enum esign_rc snapshot_sync(const char *path, struct fault *f)
{
    CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fsync(fd) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "snapshot %.100s: %s", path,
                           strerror(errno));
    return ESIGN_OK;
}

/* A random number that SQLite's 32 bits with a sign hold. */
static int64_t snapshot_new_mark(void)
{
    uint8_t random[4];
    bytes_random(random, sizeof random);
    int64_t mark = (int64_t)(random[0] & 0x7f) << 24 | random[1] << 16 | random[2] << 8 | random[3];
    return mark ? mark : 1;
}

enum esign_rc store_snapshot(struct store *s, const char *path, int64_t *ret_mark,
                             int64_t *ret_size, struct fault *f)
{
    int64_t mark = snapshot_new_mark();
    int64_t size = 0;
    if (access(path, F_OK) == 0)
        return fault_set(f, ESIGN_E_INTERNAL, "snapshot: %.100s is there already", path);
    enum esign_rc rc = snapshot_copy(s->path, path, f);
    if (!rc)
        rc = snapshot_mark(path, mark, &size, f);
    if (!rc)
        rc = snapshot_sync(path, f);
    if (rc) {
        (void)unlink(path); /* the first failure is the one that is told */
        return rc;
    }
    *ret_mark = mark;
    *ret_size = size;
    return ESIGN_OK;
}

enum esign_rc store_snapshot_mark(struct store *s, int64_t *ret, struct fault *f)
{
    CLEANUP(sqlite3_close_p) sqlite3 *db = NULL;
    enum esign_rc rc = store_open_reader(s->path, &db, f);
    return rc ? rc : store_query_int(db, "PRAGMA user_version", 0, ret, f);
}
