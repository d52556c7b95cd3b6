/* A copy of the store in one file, made while the store is in use. */
#pragma once

#include "store/store.h"

/* Write a copy to a new file, as the store is at one moment: what was committed before the call is
 * in it.  The copy is marked with a number above 0, so that a service that is started on it knows
 * that it is one.  Readers and the writer go on meanwhile.  On disk when this returns; after a
 * failure there is no file.  ret_mark: the number; ret_size: entries in the copy.
 * ESIGN_E_AUDIT_UNAVAILABLE (reason "full": no room there); ESIGN_E_INTERNAL. */
enum esign_rc store_snapshot(struct store *s, const char *path, int64_t *ret_mark,
                             int64_t *ret_size, struct fault *f) MUST_CHECK;

/* The mark of the copy that this store was, 0: it never was one. */
enum esign_rc store_snapshot_mark(struct store *s, int64_t *ret, struct fault *f) MUST_CHECK;
