/* SQLite connections as the store wants them. */
#pragma once

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fault.h"

#include <sqlite3.h>

DEFINE_CLEANUP(sqlite3 *, sqlite3_close)
DEFINE_CLEANUP(sqlite3_stmt *, sqlite3_finalize)

/* The store's own file format, in SQLite's application_id: "ESGD". */
enum { STORE_APPLICATION_ID = 0x45534744 };

/* The connection that writes and checkpoints: WAL, synchronous=FULL.  Creates the file (0600).
 * ret: sqlite3_close.  ESIGN_E_AUDIT_UNAVAILABLE.  Source: design section 7. */
enum esign_rc store_open_writer(const char *path, sqlite3 **ret, struct fault *f) MUST_CHECK;

/* A connection that neither writes nor checkpoints (SQLite before 3.51.3 can corrupt a WAL file if
 * two connections do so at the same instant).  As above. */
enum esign_rc store_open_reader(const char *path, sqlite3 **ret, struct fault *f) MUST_CHECK;

/* Run statements without parameters or results. */
enum esign_rc store_exec(sqlite3 *db, const char *sql, struct fault *f) MUST_CHECK;

/* ret: sqlite3_finalize. */
enum esign_rc store_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret,
                            struct fault *f) MUST_CHECK;

/* The single integer that a statement gives, or fallback if it gives no row or NULL. */
enum esign_rc store_query_int(sqlite3 *db, const char *sql, int64_t fallback, int64_t *ret,
                              struct fault *f) MUST_CHECK;

/* How many rows of a kind (a checked word) there are; by an index where the schema has one. */
enum esign_rc store_count_rows(sqlite3 *db, const char *kind, int64_t *ret,
                               struct fault *f) MUST_CHECK;

/* Bind text or a blob that lives until the statement is reset. */
int store_bind_text(sqlite3_stmt *st, int index, const char *text);
int store_bind_blob(sqlite3_stmt *st, int index, struct bytes bytes);

/* A column as bytes, borrowed until the next step. */
struct bytes store_column(sqlite3_stmt *st, int column);

/* The failure of the last call on db as ESIGN_E_AUDIT_UNAVAILABLE, cause = SQLite's extended code,
 * reason "full" if there is no room, "tampered" if the file is damaged. */
enum esign_rc store_fault(sqlite3 *db, const char *doing, struct fault *f);
