/* The verdict on a signature: facts from esign-document, and what only this service knows: the
 * audit trail and the signer's state at signing time. Source: 21 CFR 11.10(a), 11.70; ETSI EN 319
 * 102-1; requirements 0.2. */
#pragma once

#include "site/site.h"

struct verify_request {
    struct bytes cms;           /* the detached signature, DER */
    struct bytes record_digest; /* SHA-256 of the record's bytes; empty: not given */
    const char *record_type, *record_id,
        *record_version;    /* what it is said to be; NULL: not said */
    int64_t deadline_at_ms; /* monotonic */
};

/* ret: {"indication", "reason", "detail", "checks", "facts", and for our own signatures
 * "signature", "signer", "meaning", "time", "record", "manifestation"}.  A bad signature is a
 * verdict, not an error. ESIGN_E_HSM, ESIGN_E_DEADLINE: esign-document does not answer;
 * ESIGN_E_AUDIT_UNAVAILABLE. */
enum esign_rc verify_signature(struct site *s, const struct verify_request *request, json_t **ret,
                               struct fault *f) MUST_CHECK;
