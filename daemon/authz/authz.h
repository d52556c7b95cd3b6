/* Decisions about what people and applications may do: pure functions over rows that were read.
 * Source: 21 CFR 11.10(g). */
#pragma once

#include "base/json.h"

/* Whether a signer has a role ("signer", "regadmin", "secofficer"). */
bool authz_has_role(const json_t *signer, const char *role);

/* An action that needs two persons: who asks, who decides. */
struct authz_dual {
    const char *action;       /* "signer.enroll" */
    const char *request_role; /* of the person who asks */
    const char *approve_role; /* of the second person */
};

/* The row of an action, or NULL if it is not one of those. */
const struct authz_dual *authz_dual_find(const char *action);

/* Whether the second person may decide.  ESIGN_E_AUTHZ: the role is missing; ESIGN_E_DUAL_SELF: it
 * is the person who asked, or whom it concerns.  requester, subject: signer ids; subject may be
 * NULL. Source: 21 CFR 11.200(a)(3); requirements 3.2. */
enum esign_rc authz_dual_decide(const struct authz_dual *dual, const json_t *signer,
                                const char *requester, const char *subject,
                                struct fault *f) MUST_CHECK;

/* What a signing needs to be allowed; rows are borrowed. */
struct authz_signing {
    const json_t *signer, *ticket, *meaning, *plan;
    const char *application; /* that sends the authorisation; NULL at a terminal */
    int64_t now_ms;
};

/* Whether this person may sign this ticket with this meaning now.  ESIGN_E_AUTHZ, ESIGN_E_MEANING,
 * ESIGN_E_SEQUENCE, ESIGN_E_REASON_REQUIRED, ESIGN_E_REPLAY, ESIGN_E_CONFLICT.
 * Source: 21 CFR 11.10(f), (g), 11.50(a)(3). */
enum esign_rc authz_sign(const struct authz_signing *s, struct fault *f) MUST_CHECK;

/* Whether a ticket may be signed by that identification code (any case): it names this one or none.
 */
bool authz_ticket_is_for(const json_t *ticket, const char *user_id);

/* The state of a ticket at a time: its state, or "expired" when its life is over. */
const char *authz_ticket_state(const json_t *ticket, int64_t now_ms);
