/* Which entry is the newest that tells of a row: kept in memory, made from the trail itself when
 * the store is opened, so that a row that was put back to an older state or deleted on disk is not
 * believed.  About 32 bytes a row.  Source: 21 CFR 11.10(e), design section 7. */
#pragma once

#include "store/sqlite.h"

struct store_newest;

enum esign_rc store_newest_open(struct store_newest **ret, struct fault *f) MUST_CHECK;
void store_newest_close(struct store_newest *n); /* NULL is allowed */

/* Walk the whole trail of size entries: each must be there, fit its leaf hash and name its own
 * sequence.  Then compare how many rows of each kind there are.  To be called once, before anything
 * is written.  ESIGN_E_AUDIT_UNAVAILABLE, reason "tampered" if the trail does not hold. */
enum esign_rc store_newest_read(struct store_newest *n, sqlite3 *db, int64_t size,
                                struct fault *f) MUST_CHECK;

/* Make room, so that store_newest_put() of that many rows can't fail.  ESIGN_E_INTERNAL. */
enum esign_rc store_newest_reserve(struct store_newest *n, size_t rows, struct fault *f) MUST_CHECK;
/* Entry seq, which is on disk, tells of the row "kind/id". */
void store_newest_put(struct store_newest *n, const char *key, int64_t seq);

/* The newest entry of a row, -1: no entry tells of it. */
int64_t store_newest_get(struct store_newest *n, const char *kind, const char *id);

/* How many rows of a kind there must be at least.  ret_missing: some were not there when the store
 * was opened. */
int64_t store_newest_count(struct store_newest *n, const char *kind, bool *ret_missing);
