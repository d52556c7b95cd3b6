/* What a worker of esign-hash does: Argon2id (RFC 9106) by libsodium.  Source: 21 CFR 11.300. */
#pragma once

#include "base/worker/serve.h"
#include "hash/hash.h"

struct hash_service {
    unsigned long long iterations; /* passes */
    size_t memory;                 /* bytes of one hash */
    char dummy[HASH_PHC_MAX];      /* of a random secret, for unknown codes; made at start */
};

/* Fill in the dummy.  Runs in the worker before it serves. */
enum esign_rc hash_service_start(void *ctx, bool may_login, struct fault *f) MUST_CHECK;

/* One request of op.h.  ESIGN_E_PROTO: it is not one. */
enum esign_rc hash_service_serve(void *ctx, const struct worker_request *request, struct buf *reply,
                                 struct fault *f) MUST_CHECK;

int hash_service_check(void *ctx); /* always goes on */
