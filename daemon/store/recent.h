/* Leaf hashes of the newest entries, kept in memory as they are written: the head of the tree is
 * brought up to the trail for every signature. */
#pragma once

#include "base/buf.h"

#include <pthread.h>

enum { STORE_RECENT = 1024 };

struct store_recent {
    pthread_mutex_t mutex; /* for all that follows */
    int64_t end;           /* sequence after the newest entry */
    int64_t count;         /* leaves before it that are here, at most STORE_RECENT */
    uint8_t leaves[STORE_RECENT][SHA256_LEN]; /* of entry seq at seq modulo STORE_RECENT */
};

/* Begin with none.  No error: it only fills in a structure. */
void store_recent_init(struct store_recent *r);
void store_recent_done(struct store_recent *r);

/* Entry seq is on disk, the first since the store was opened or the one after the last. */
void store_recent_put(struct store_recent *r, int64_t seq, const uint8_t leaf[SHA256_LEN]);

/* Append the leaves from (inclusive), count of them, to out.  false: not all are here, out is as it
 * was. */
bool store_recent_get(struct store_recent *r, int64_t from, int64_t count, struct buf *out);
