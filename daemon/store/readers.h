/* A few read-only connections, shared by all threads. */
#pragma once

#include "store/known.h"
#include "store/sqlite.h"

struct store_readers;

struct store_reader {
    sqlite3 *db;
    sqlite3_stmt *get, *entry; /* prepared once; see readers.c */
    struct store_known known;  /* of rows that were read by it */
    struct store_readers *home;
};

enum esign_rc store_readers_open(const char *path, struct store_readers **ret,
                                 struct fault *f) MUST_CHECK;
void store_readers_close(struct store_readers *r); /* none may be out; NULL is allowed */

/* Take a connection, waiting for one if all are in use; each is held for one read only. */
struct store_reader *store_reader_take(struct store_readers *r);
/* Give it back with its statements reset. */
void store_reader_give(struct store_reader *reader);

DEFINE_CLEANUP(struct store_reader *, store_reader_give)
