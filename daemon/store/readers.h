/* A few read-only connections, shared by all threads. */
#pragma once

#include "store/sqlite.h"

struct store_readers;

struct store_reader {
    sqlite3 *db;
    sqlite3_stmt *get, *entry; /* prepared once; see readers.c */
    struct store_readers *home;
};

/* wait_ms: for a connection, at most. */
enum esign_rc store_readers_open(const char *path, int64_t wait_ms, struct store_readers **ret,
                                 struct fault *f) MUST_CHECK;
void store_readers_close(struct store_readers *r); /* none may be out; NULL is allowed */

/* One row, entry or note; or many of them. */
enum store_read { STORE_READ_SHORT, STORE_READ_LONG };

/* Take a connection, waiting for one if all are in use; each is held for one read only.  Long reads
 * never have the last STORE_READERS_RESERVED ones.  ESIGN_E_BUSY. */
enum { STORE_READERS_COUNT = 6, STORE_READERS_RESERVED = 2 };
enum esign_rc store_reader_take(struct store_readers *r, enum store_read read,
                                struct store_reader **ret, struct fault *f) MUST_CHECK;
/* Give it back with its statements reset. */
void store_reader_give(struct store_reader *reader);

DEFINE_CLEANUP(struct store_reader *, store_reader_give)
