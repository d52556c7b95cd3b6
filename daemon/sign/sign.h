/* The signing ceremony: tickets, and the steps from proven components to a recorded signature.
 * Source: 21 CFR 11.50, 11.70, 11.200; requirements 3.4 and 3.6; design section 3. */
#pragma once

#include "authn/components.h"
#include "sign/idempotency.h"
#include "site/site.h"

/* ---- tickets (ticket.c) */

enum { SIGN_RECORD_MAX = 1024 * 1024 }; /* bytes of a record handed over in a request */

/* What a signing request says.  Strings are borrowed; those that may be NULL say so. */
struct sign_request {
    const json_t *record;    /* type, id, version, media_type, and content or sha256 + length */
    const char *meaning;     /* code */
    const char *plan, *step; /* NULL: "single", its first step */
    const char *signer;      /* user_id: only this person may sign; NULL: whoever has the right */
    const char *reason, *comment;       /* or NULL */
    const char *application, *terminal; /* who asks; one of them is NULL */
    int64_t uid;                        /* of the peer */
    bool may_digest_only;               /* the application has the right digest_only */
};

/* Check a request and make the ticket's row (not yet written).  ret: owned by the caller.
 * ESIGN_E_PROTO, ESIGN_E_TOO_LARGE, ESIGN_E_MEANING (unknown), ESIGN_E_SEQUENCE, ESIGN_E_POLICY;
 * of the named signer: ESIGN_E_NOT_FOUND, ESIGN_E_SIGNER_STATE (revoked), ESIGN_E_AUTHZ. */
enum esign_rc sign_ticket_make(struct site *s, const struct sign_request *request, json_t **ret,
                               struct fault *f) MUST_CHECK;

/* Write a ticket that was made; key: held, stands for it from then on.  Source: requirements 3.6.
 */
enum esign_rc sign_ticket_create(struct site *s, const json_t *ticket, struct sign_key *key,
                                 int64_t deadline_at_ms, struct fault *f) MUST_CHECK;

/* A ticket's row and generation. */
enum esign_rc sign_ticket_get(struct site *s, const char *id, json_t **ret, int64_t *ret_seq,
                              struct fault *f) MUST_CHECK;

/* End a ticket: "declined" by a person (who has proved the components) or "cancelled" by its
 * application or terminal (person NULL).  ESIGN_E_CONFLICT: it is not open any more; ESIGN_E_AUTHZ.
 */
struct sign_end {
    const char *state, *reason, *application, *terminal;
    int64_t uid; /* of the peer */
    const struct authn_person *person;
};
enum esign_rc sign_ticket_end(struct site *s, const char *id, const struct sign_end *end,
                              int64_t deadline_at_ms, struct fault *f) MUST_CHECK;

/* What callers see of a ticket.  NULL: no memory. */
json_t *sign_ticket_view(struct site *s, const json_t *ticket);

/* ---- signing (steps.c) */

/* One act of signing, direct at a terminal or through an application. */
struct sign_act {
    const char *ticket_id; /* of a written ticket, or NULL with new_ticket */
    json_t *new_ticket;    /* made but not written (one-call signing); borrowed */
    const char *session;   /* handle; NULL: one-shot */
    const char *user_id;   /* the components as far as they were given: else NULL */
    const struct secret *password;
    const char *nonce, *presented_hash; /* as shown to the signer; NULL in a one-call signing */
    struct session_place place;         /* where the components were entered */
    bool card;                          /* the caller can have the signer's own card answer */
    struct sign_key *key;               /* held; stands for the signature from the intent on */
    int64_t deadline_at_ms;
};

/* Go through the steps.  ret: what sign_signature_view() gives.  Every refusal after the components
 * were right is in the trail; errors of all steps.
 * For a signer with an own card (K3) they rest once the intent is on disk; ret: {"state":
 * "value-wanted", "signature_id", "ticket", "digest", "algorithm", "spki", "certificate",
 * "expires_at"}. */
enum esign_rc sign_run(struct site *s, const struct sign_act *act, json_t **ret,
                       struct fault *f) MUST_CHECK;

/* The card's answer: go on with the steps.  Once: a wrong value ends the signing as a refusal does.
 * It must come from the place, and with the session, of the authorisation, in time.
 * ret: what sign_signature_view() gives.  ESIGN_E_SESSION "peer", ESIGN_E_REPLAY,
 * ESIGN_E_CONFLICT: nothing waits for it; ESIGN_E_HSM "value": it is not the signature of this
 * digest by this signer's card; errors of the steps.  All are entered.
 * Source: requirements 1.6 (sole control), A7, A8. */
struct sign_answer {
    const char *ticket_id, *signature_id;
    const char *session; /* handle; NULL: one-shot */
    struct session_place place;
    struct bytes value;
    int64_t deadline_at_ms;
};
enum esign_rc sign_answer(struct site *s, const struct sign_answer *a, json_t **ret,
                          struct fault *f) MUST_CHECK;

/* The terminal gives a signing up that waits for its card: the intent is ended, with the reason.
 * *ret_done: it waited, from that place (a's ticket_id and place are read).
 * ESIGN_E_REASON_REQUIRED; errors of the store. */
enum esign_rc sign_give_up(struct site *s, const struct sign_answer *a, const char *reason,
                           bool *ret_done, struct fault *f) MUST_CHECK;

/* End the signings whose card did not answer in time; to be called about once a second. */
void sign_card_tick(struct site *s);
/* End all that wait: the service stops. */
void sign_card_stop(struct site *s);

/* What callers see of a signature's row.  NULL: no memory. */
json_t *sign_signature_view(const json_t *signature);

/* ---- sessions (session.c) */

/* Open a session for a person whose components were just proved by authn_components() in this
 * request; the person's try is settled with it.
 * ret: {"session": handle, "idle_s", "absolute_s", "absent_s", "signer", "last_signing"?,
 * "password_reset"?}.
 * Errors of the steps; ESIGN_E_BUSY: too many sessions.
 * Source: 21 CFR 11.200(a)(1)(i), (a)(2); requirements 3.4. */
struct sign_opening {
    const struct authn_person *person;
    const struct secret *password;
    struct session_place place;
    bool presence; /* it ends when the peer has had no connection for session.absent_s */
    int64_t deadline_at_ms;
};
enum esign_rc sign_session_open(struct site *s, const struct sign_opening *o, json_t **ret,
                                struct fault *f) MUST_CHECK;

/* Close it, now or with the signing that has it.  Errors of authn_session_close(). */
enum esign_rc sign_session_close(struct site *s, const char *handle,
                                 const struct session_place *place, struct fault *f) MUST_CHECK;

/* ---- manifestation (manifestation.c) */

/* The complete block for people, from the signed envelope and nothing else.
 * verdict: of a verification made just now, or NULL.  ESIGN_E_FORMAT: the envelope is not complete.
 * Source: 21 CFR 11.50(a), (b). */
enum esign_rc sign_manifestation(const json_t *envelope, const char *verdict, struct buf *ret,
                                 struct fault *f) MUST_CHECK;

/* ---- after a crash (recover.c) */

struct sign_recovered {
    size_t intents, tries;
};

/* Close every open intent as ABORTED: no signature was released for it; tries that were never
 * decided count as failures.  Of entries before that sequence: all after a restart (INT64_MAX);
 * later, those that can't be under way any more.  ret: how many of each. */
enum esign_rc sign_recover(struct site *s, int64_t before, struct sign_recovered *ret,
                           struct fault *f) MUST_CHECK;
