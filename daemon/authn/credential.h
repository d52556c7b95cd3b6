/* The life of a password after it was set: how old it may become and whether it may be used.
 *
 * A credential's row: signer_id, state ("active", "must_change", "revoked"), phc, changed (UTC),
 * history (PHC strings of earlier passwords, newest first), and what was done to it last:
 * must_change {at, by, reason}; reset_at (UTC) and reset_by (user ids: who asked, who approved).
 * Source: requirements 3.3; 21 CFR 11.300(b). */
#pragma once

#include "store/store.h"

enum { AUTHN_WARN_DAYS = 14 }; /* a warning is given from so many days before the end */

struct authn_credential {
    const char *state;  /* "active", "must_change", "expired", "revoked"; borrowed from the row */
    int64_t expires_ms; /* UTC */
    int64_t days_left;  /* whole days; 0: less than a day, or over */
    bool warn;          /* it may be used, but not for long */
};

/* What a credential is at that time under that policy (password.max_age_d; NULL: its default). */
struct authn_credential authn_credential_at(const json_t *credential, const json_t *policy,
                                            int64_t now_ms);

/* What the owner is about to do with it. */
enum authn_purpose { AUTHN_ACT, AUTHN_CHANGE };

/* Whether right components may be used for that, now: a credential that must be changed or has
 * expired can only be changed.  For those who have proved the components.
 * ESIGN_E_CRED_STATE: "must_change", "expired", "revoked"; errors of store_get.
 * Source: requirements 3.3. */
enum esign_rc authn_credential_usable(struct store *store, const json_t *credential,
                                      enum authn_purpose purpose, struct fault *f) MUST_CHECK;
