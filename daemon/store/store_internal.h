/* What the files of this folder share about an open store. */
#pragma once

#include "store/cache.h"
#include "store/readers.h"
#include "store/writer.h"

struct store {
    const struct clock *clock;
    struct store_opened opened;
    char *path;
    int lock_fd;
    struct store_writer *writer;
    struct store_readers *readers;
    void (*observe)(void *ctx, const struct store_change *change); /* or NULL */
    void *observe_ctx;
    struct store_newest *newest;
    struct store_recent recent;
    struct store_cache *cache;
};

/* The row on which st stands (columns as in readers.c), checked against its entry.  ret: the body,
 * owned by the caller.  Errors as store_get; a broken entry is ESIGN_E_AUDIT_UNAVAILABLE. */
enum esign_rc store_read_row(sqlite3_stmt *st, const char *kind, json_t **ret, int64_t *ret_seq,
                             struct fault *f) MUST_CHECK;

/* Whether the entries from (inclusive) to the end fit themselves and the rows.  As store_check,
 * for the tail only. */
enum esign_rc store_check_tail(sqlite3 *db, int64_t from, int64_t size, int64_t *ret_bad_seq,
                               struct fault *f) MUST_CHECK;
