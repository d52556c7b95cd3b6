#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>

enum { BUSY_TIMEOUT_MS = 2000 };

/* Temporary files would stand in /var/tmp, which the sandbox of esignd does not reach: what a
 * sort needs is kept in memory. */
static const char WRITER_PRAGMAS[] = "PRAGMA cell_size_check=ON;"
                                     "PRAGMA temp_store=MEMORY;"
                                     "PRAGMA mmap_size=0;"
                                     "PRAGMA journal_mode=WAL;"
                                     "PRAGMA synchronous=FULL;"
                                     "PRAGMA wal_autocheckpoint=10000;"
                                     "PRAGMA journal_size_limit=67108864;";
static const char READER_PRAGMAS[] = "PRAGMA cell_size_check=ON;"
                                     "PRAGMA temp_store=MEMORY;"
                                     "PRAGMA mmap_size=0;"
                                     "PRAGMA query_only=ON;"
                                     "PRAGMA wal_autocheckpoint=0;";

/* Quotas and limits, which SQLite does not count as a full disk.  (It keeps no errno of a failed
 * COMMIT; nothing has run in between that would set another.) */
static bool is_no_room(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

enum esign_rc store_fault(sqlite3 *db, const char *doing, struct fault *f)
{
    int code = sqlite3_extended_errcode(db);
    enum esign_rc rc = ESIGN_E_AUDIT_UNAVAILABLE;

    if (code == SQLITE_IOERR_WRITE && is_no_room(errno))
        code = SQLITE_FULL;
    switch (code & 0xff) {
    case SQLITE_FULL:
        fault_reason(f, rc, "full", "%s: the disk of the store is full", doing);
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        fault_reason(f, rc, "tampered", "%s: the store's file is damaged: %s", doing,
                     sqlite3_errmsg(db));
        break;
    default:
        fault_set(f, rc, "%s: %s", doing, sqlite3_errmsg(db));
        break;
    }
    if (f)
        f->cause = (unsigned long)code;
    return rc;
}

enum esign_rc store_exec(sqlite3 *db, const char *sql, struct fault *f)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_fault(db, "store", f);
    return ESIGN_OK;
}

enum esign_rc store_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct fault *f)
{
    if (sqlite3_prepare_v2(db, sql, -1, ret, NULL) != SQLITE_OK)
        return store_fault(db, "store: prepare", f);
    return ESIGN_OK;
}

enum esign_rc store_query_int(sqlite3 *db, const char *sql, int64_t fallback, int64_t *ret,
                              struct fault *f)
{
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    enum esign_rc rc = store_prepare(db, sql, &st, f);
    if (rc)
        return rc;
    int step = sqlite3_step(st);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return store_fault(db, "store: read", f);
    bool none = step == SQLITE_DONE || sqlite3_column_type(st, 0) == SQLITE_NULL;
    *ret = none ? fallback : sqlite3_column_int64(st, 0);
    return ESIGN_OK;
}

enum esign_rc store_count_rows(sqlite3 *db, const char *kind, int64_t *ret, struct fault *f)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM row WHERE kind = '%.64s'",
                   kind); /* fits */
    return store_query_int(db, sql, 0, ret, f);
}

int store_bind_text(sqlite3_stmt *st, int index, const char *text)
{
    return sqlite3_bind_text(st, index, text, -1, SQLITE_STATIC);
}

int store_bind_blob(sqlite3_stmt *st, int index, struct bytes bytes)
{
    return sqlite3_bind_blob64(st, index, bytes.data, bytes.len, SQLITE_STATIC);
}

struct bytes store_column(sqlite3_stmt *st, int column)
{
    const void *data = sqlite3_column_blob(st, column);
    int len = sqlite3_column_bytes(st, column);
    return bytes_of(data, data ? (size_t)len : 0);
}

/* QPSG: without it every binding of a value that a partial index of the schema speaks of makes
 * SQLite compile the statement again. */
static enum esign_rc open_connection(const char *path, int flags, sqlite3 **ret, struct fault *f)
{
    CLEANUP(sqlite3_close_p) sqlite3 *db = NULL;
    int code = sqlite3_open_v2(
        path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE,
        NULL);
    if (!db)
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    if (code != SQLITE_OK)
        return store_fault(db, "store: open", f);
    if (sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS) != SQLITE_OK ||
        sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
        sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL) != SQLITE_OK ||
        sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL) != SQLITE_OK ||
        sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL) != SQLITE_OK)
        return store_fault(db, "store: configure", f);
    *ret = TAKE(db);
    return ESIGN_OK;
}

static enum esign_rc check_journal_mode(sqlite3 *db, struct fault *f)
{
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    enum esign_rc rc = store_prepare(db, "PRAGMA journal_mode", &st, f);
    if (rc)
        return rc;
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fault(db, "store: journal mode", f);
    if (!bytes_equal(store_column(st, 0), bytes_of_str("wal")))
        return fault_set(f, ESIGN_E_AUDIT_UNAVAILABLE,
                         "the store's file system does not offer write-ahead logging");
    return ESIGN_OK;
}

/* SQLite gives its other files the mode of this one.  Closed again before SQLite opens it: closing
 * any descriptor of a file drops the locks that this process has on it. */
static enum esign_rc create_file(const char *path, struct fault *f)
{
    CLEANUP(close_p) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fault_cause(f, ESIGN_E_AUDIT_UNAVAILABLE, (unsigned long)errno, "store: open %s: %s",
                           path, strerror(errno));
    return ESIGN_OK;
}

enum esign_rc store_open_writer(const char *path, sqlite3 **ret, struct fault *f)
{
    CLEANUP(sqlite3_close_p) sqlite3 *db = NULL;
    enum esign_rc rc = create_file(path, f);
    if (!rc)
        rc = open_connection(path, SQLITE_OPEN_READWRITE, &db, f);
    if (!rc)
        rc = store_exec(db, WRITER_PRAGMAS, f);
    if (!rc)
        rc = check_journal_mode(db, f);
    if (!rc)
        *ret = TAKE(db);
    return rc;
}

enum esign_rc store_open_reader(const char *path, sqlite3 **ret, struct fault *f)
{
    CLEANUP(sqlite3_close_p) sqlite3 *db = NULL;
    enum esign_rc rc = open_connection(path, SQLITE_OPEN_READONLY, &db, f);
    if (!rc)
        rc = store_exec(db, READER_PRAGMAS, f);
    if (rc)
        return rc;
    if (sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) != SQLITE_OK)
        return store_fault(db, "store: configure", f);
    *ret = TAKE(db);
    return ESIGN_OK;
}
