/* What checked entries have told of rows, remembered by one reading connection.
 *
 * To check a row means to read, parse and encode again the whole entry that tells of it.  That is
 * done once: afterwards the row is compared with the hash that this entry gave it.  The leaf hash
 * names the entry's bytes, so another entry in its place is another one here too; bytes that were
 * changed under an old leaf hash are found by the check of the trail. */
#pragma once

#include "store/entry.h"

enum { STORE_KNOWN_COUNT = 512 };

/* One row: the newest one that fell on this place.  seq -1: none. */
struct store_known_row {
    char key[STORE_KEY_SIZE];
    int64_t seq;
    uint8_t leaf[SHA256_LEN], hash[SHA256_LEN];
};

/* Not locked: it belongs to whoever has the connection. */
struct store_known {
    struct store_known_row rows[STORE_KNOWN_COUNT];
};

void store_known_init(struct store_known *k);

/* Whether body is the row kind/id as entry seq with that leaf hash told of it.  false: unknown, or
 * different: it must be checked. */
bool store_known_is(const struct store_known *k, const char *kind, const char *id, int64_t seq,
                    struct bytes leaf, struct bytes body);

/* Remember a row that store_check_entry() and store_check_row() have found right. */
void store_known_put(struct store_known *k, const char *kind, const char *id, int64_t seq,
                     struct bytes leaf, struct bytes body);
