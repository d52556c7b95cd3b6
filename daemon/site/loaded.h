/* Which configuration is in force, and what became of the last attempt to read it again. */
#pragma once

#include <pthread.h>

#include "site/site.h"

enum { LOADED_HASH_LEN = 2 * SHA256_LEN + 1, LOADED_DETAIL_MAX = 256 };

struct loaded {
    char hash[LOADED_HASH_LEN];     /* SHA-256 of config_describe() in canonical form */
    int64_t since_ms;               /* UTC: start, or when it was last taken over */
    bool refused;                   /* the last file that was read again */
    char detail[LOADED_DETAIL_MAX]; /* why it was; else empty */
};

struct loaded_slot {
    pthread_mutex_t mutex;
    struct loaded value;
};

/* The hash of a configuration.  ESIGN_E_INTERNAL: no memory. */
enum esign_rc loaded_hash(const struct config *c, char ret[LOADED_HASH_LEN],
                          struct fault *f) MUST_CHECK;

/* From any thread. */
void loaded_set(struct site *s, const struct loaded *value);
struct loaded loaded_get(struct site *s);
