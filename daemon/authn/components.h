/* The components of an electronic signature: identification code and password, checked together.
 *
 * A try is counted durably before the slow hash and settled afterwards, so that parallel tries and
 * crashes cannot win guesses.  An unknown code costs the same work and gets the same answer as a
 * wrong password, after the same time.  Source: 21 CFR 11.200(a)(1), 11.300(d). */
#pragma once

#include "base/secret.h"
#include "base/turns.h"
#include "hash/hash.h"
#include "store/store.h"

/* What the policy says of tries. */
enum { AUTHN_LOCK_MAX = 100, AUTHN_DELAYS_MAX = 16, AUTHN_DELAY_S_MAX = 3600 };

struct authn_limits {
    int64_t lock_after;                /* consecutive failures, at most AUTHN_LOCK_MAX */
    int64_t alert_after;               /* the same, for an alert */
    int64_t delay_s[AUTHN_DELAYS_MAX]; /* the wait after failure i + 1; the last one repeats */
    size_t delay_count;                /* 0: no waits */
};

/* The limits of a policy (NULL, or where it does not say: 5, 3, and 0, 0, 2 and 5 s).  Source:
 * requirements 0.3. */
struct authn_limits authn_limits_of(const json_t *policy);

/* Whether the numbers of a policy's "auth" can be limits.  ESIGN_E_POLICY, field: the number.
 * Source: requirements 0.3; 21 CFR 11.300(d). */
enum esign_rc authn_limits_check(const json_t *policy, struct fault *f) MUST_CHECK;

struct authn_claim {
    const char *user_id;
    const struct secret *password;
    const char *application, *terminal; /* where the claim was made; either may be NULL */
    struct authn_limits limits;
    int64_t deadline_at_ms; /* monotonic */
    struct turns *turns;    /* of signers, shared by all tries of the service */
};

/* A person whose components were right. */
struct authn_person {
    json_t *signer; /* row; owned */
    int64_t signer_seq;
    int64_t credential_seq;
    json_t *slot; /* row of the try, freed by the commit that acts on this; owned; NULL: none */
    int64_t slot_seq;
    json_t *attempt; /* the counter set to 0 by that commit; owned; NULL: it is 0 already */
    int64_t attempt_seq;
    struct secret *sealing; /* what the password gave for a key in custody K2 (authn/seal.h); owned;
                               NULL: another custody, or no slow hash */
    const char *signer_id, *user_id; /* borrowed from signer */
};

void authn_person_done(struct authn_person *p);

/* Tries are reserved in slots: a signer has as many as tries are left before the lock, so that of
 * many parallel tries no more are evaluated.  A slot that a crash left taken counts as a failure.
 */

/* After a failure the signer may have to wait (authn_limits.delay_s).  A try inside that delay is
 * refused as ESIGN_E_RATE "delay", which tells how long (fault.retry_after_s): it is entered, but
 * neither evaluated nor counted, and no more parallel tries get a slot than failures are left
 * before the next delay.  Like the lock it is told to all,
 * since the person must know what to wait for. */

/* Check both components.  ESIGN_E_AUTH_FAILED: unknown code or wrong password (entered in the
 * trail); ESIGN_E_SIGNER_STATE: "locked" (told to all), "revoked" … (told only after right
 * components); ESIGN_E_CRED_STATE (likewise); ESIGN_E_RATE: "delay", or other tries of this signer
 * were not decided in time; ESIGN_E_HSM, ESIGN_E_DEADLINE,
 * ESIGN_E_AUDIT_UNAVAILABLE: not decided; the try stays counted only if the hash was computed.
 * Blocks at most until the deadline. Source: 21 CFR 11.200(a)(1), 11.300(d); requirements 5.25. */
enum esign_rc authn_components(struct store *store, struct hash *hash,
                               const struct authn_claim *claim, struct authn_person *ret,
                               struct fault *f) MUST_CHECK;

/* The same for the owner who is about to change the password: one that must be changed or has
 * expired is enough for this.  Source: requirements 3.3. */
enum esign_rc authn_components_to_change(struct store *store, struct hash *hash,
                                         const struct authn_claim *claim, struct authn_person *ret,
                                         struct fault *f) MUST_CHECK;

/* The rows of a signer as they are now, for a component that the caller compares without the slow
 * hash.  Takes no slot: the caller holds the signer's turn (claim->turns) until a wrong one is
 * counted.  claim: user_id and password are not read.  ESIGN_E_SIGNER_STATE: "locked", "revoked" …;
 * ESIGN_E_CRED_STATE; ESIGN_E_RATE "delay" (all entered) or "busy"; ESIGN_E_NOT_FOUND: no such
 * signer, or no password; errors of the store. Source: 21 CFR 11.200(a)(1)(i), 11.300(d);
 * requirements 3.4 S5, S8. */
enum esign_rc authn_person_of(struct store *store, const struct authn_claim *claim,
                              const char *signer_id, struct authn_person *ret,
                              struct fault *f) MUST_CHECK;

/* Count a wrong component that the caller found without the slow hash, with the entries and alerts
 * of any other try.  ESIGN_E_AUTH_FAILED: counted (authn_is_locked tells whether it locked);
 * else it is not counted: ESIGN_E_NOT_FOUND, errors of the store.
 * Source: 21 CFR 11.300(d); requirements 3.4 S7. */
enum esign_rc authn_count_failure(struct store *store, const struct authn_claim *claim,
                                  const char *signer_id, struct fault *f) MUST_CHECK;

/* What the commit that acts on a person's components adds to its change: the slot of the try freed,
 * or the counter set to 0 after failures, and the generations of signer and credential. */
void authn_settle_into(const struct authn_person *p, struct store_change *change);
/* Free the slot only: for the entry of a refusal.  Without a slot: nothing. */
void authn_release_into(const struct authn_person *p, struct store_change *change);

/* Tries that were never decided count as failures, of those reserved by entries before that
 * sequence: all after a restart (INT64_MAX); later, those that can't be under way any more.
 * ret_count: how many. */
enum esign_rc authn_recover(struct store *store, int64_t before, int64_t deadline_at_ms,
                            size_t *ret_count, struct fault *f) MUST_CHECK;

/* Whether a signer is locked by failures; reads the counter. */
enum esign_rc authn_is_locked(struct store *store, const char *signer_id, int64_t lock_after,
                              bool *ret, struct fault *f) MUST_CHECK;

/* The row of the signer with that identification code (any case).  ESIGN_E_NOT_FOUND. */
enum esign_rc authn_find_signer(struct store *store, const char *user_id, json_t **ret,
                                int64_t *ret_seq, struct fault *f) MUST_CHECK;

/* The form of an identification code under which it is unique for ever.  ret: 65 bytes. */
void authn_user_key(const char *user_id, char ret[65]);
