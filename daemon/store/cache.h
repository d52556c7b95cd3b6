/* Rows that this process has checked with their entries, kept in memory.
 *
 * A row is given from here only if its sequence is the newest one that the trail tells of
 * (store/newest.h).  Only the writer of this process moves that, so nobody has to tell the cache of
 * a change, and what is done to the file meanwhile is not believed.  Source: design section 7. */
#pragma once

#include "store/entry.h"

struct store_cache;

/* Bounds: rows; of one row the bytes of its names, values and texts, and of all rows together.  In
 * memory it is about three times as much. */
enum {
    STORE_CACHE_ROWS = 4096,
    STORE_CACHE_ROW_MAX = 16 * 1024,
    STORE_CACHE_MAX = 4 * 1024 * 1024
};

enum esign_rc store_cache_open(struct store_cache **ret, struct fault *f) MUST_CHECK;
void store_cache_close(struct store_cache *c); /* NULL is allowed */

/* A copy of row kind/id as entry seq told of it, owned by the caller.  NULL: it is not here. */
json_t *store_cache_get(struct store_cache *c, const char *kind, const char *id, int64_t seq);

/* The same, shared and never to be changed: to be given back with store_cache_give(). */
json_t *store_cache_look(struct store_cache *c, const char *kind, const char *id, int64_t seq);
void store_cache_give(struct store_cache *c, json_t *body); /* NULL is allowed */

/* Keep a copy of a row that store_check_entry() and store_check_row() have found right.  What is
 * too long is not kept, and another row may be dropped. */
void store_cache_put(struct store_cache *c, const char *kind, const char *id, int64_t seq,
                     const json_t *body);

/* This process has written row kind/id: if an older one is here, keep a copy of the new one. */
void store_cache_renew(struct store_cache *c, const char *kind, const char *id, int64_t seq,
                       const json_t *body);
