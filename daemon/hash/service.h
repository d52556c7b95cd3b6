/* What a worker of esign-hash does. */
#pragma once

#include "base/worker/serve.h"
#include "config/config.h"
#include "hash/hash.h"

enum { HASH_GRACE_MS = 500 };

struct hash_service {
    unsigned long long passes;
    size_t memory;            /* bytes */
    char dummy[HASH_PHC_MAX]; /* of a random password, at the same cost */
};

/* The configured cost. */
struct hash_service hash_service_of(const struct config *config);

/* The service that worker_supervise runs.  Borrows h and config. */
struct worker_service hash_worker_service(struct hash_service *h, const struct config *config,
                                          uid_t caller);
