/* When certificates and passwords end: the issuing CA's, and the first of the active signers'. */
#pragma once

#include <pthread.h>

#include "site/watch.h"

enum {
    EXPIRY_KEEP_MS = 10 * 60 * 1000 /* reading every signer's certificate is not for each scrape */
};

/* What was found last; all zero but the mutex at the start. */
struct expiry {
    pthread_mutex_t mutex;
    bool found;
    int64_t found_at_ms; /* monotonic */
    bool has_ca, has_signer;
    int64_t ca_end_ms, signer_end_ms; /* UTC */
    bool has_password;
    int64_t password_end_ms; /* of the usable passwords, the first to end; UTC */
    int64_t ended;           /* passwords that have ended and can only be changed */
};

/* Fill ret->ca, ret->signer and ret->password, from what was found in the last EXPIRY_KEEP_MS or
 * anew. */
void expiry_find(struct site *s, struct watch *ret);
