/* The rows that an entry tells of, without making a tree of it: for walks through the whole trail.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

/* Call fn with the key "kind/id" of each row of the entry, which is canonical JSON and names seq as
 * its own.  ESIGN_E_FORMAT: it is not; else the first rc of fn that is not ESIGN_OK. */
enum esign_rc store_told_rows(struct bytes entry, int64_t seq,
                              enum esign_rc (*fn)(void *ctx, const char *key),
                              void *ctx) MUST_CHECK;
