/* One try to prove the components, as the files of this folder share it: found (components.c),
 * reserved (slots.c), counted (counter.c). */
#pragma once

#include "audit/alert.h"
#include "authn/components.h"
#include "authn/credential.h"

struct authn_try {
    struct store *store;
    const struct authn_claim *claim;
    enum authn_purpose purpose;
    json_t *signer, *credential; /* owned; NULL: the code is unknown or has no password yet */
    int64_t signer_seq, credential_seq;
    int64_t failures, failures_seq; /* the counter as it was read last */
    int64_t failed_mono_ms;         /* when it rose */
    char attempt_id[65];            /* signer id, or "unknown" */
    char slot_id[96];               /* empty: the try has no slot */
    int64_t slot_seq;
};

void authn_try_done(struct authn_try *t);

/* How the try ended, in the words of an entry. */
struct authn_told {
    const char *action;
    enum esign_rc result;
    const char *reason; /* the word in brackets, or NULL */
    enum audit_alert alert;
};

/* Write an entry of the try with the rows of change.  ret_seq: of the entry, may be NULL.  The
 * typed code of an unknown signer is not written: people type passwords into the wrong field.
 * Errors of store_commit; ESIGN_E_INTERNAL: no memory, also if a row has no body. */
enum esign_rc authn_enter(const struct authn_try *t, const struct authn_told *told,
                          struct store_change *change, int64_t deadline_at_ms, int64_t *ret_seq,
                          struct fault *f) MUST_CHECK;

/* Until when an entry about a try that has been decided may wait for the writer. */
int64_t authn_enter_until(const struct authn_try *t);

/* ---- counter.c */

/* The counter's row of a try with so many failures, the last one now.  ret: owned; NULL: no memory.
 */
json_t *authn_attempt_row(const struct authn_try *t, int64_t failures);

/* Read the counter of t->attempt_id into t; without a row 0 and -1.  Errors of store_get. */
enum esign_rc authn_read_counter(struct authn_try *t, struct fault *f) MUST_CHECK;

/* Refuse, with an entry, if the counter that was read locks or its delay is not over.
 * ESIGN_E_SIGNER_STATE "locked"; ESIGN_E_RATE "delay"; errors of authn_enter. */
enum esign_rc authn_check_counter(const struct authn_try *t, struct fault *f) MUST_CHECK;

/* What failure number `failures` of the signer alarms of. */
enum audit_alert authn_failure_alert(const struct authn_limits *limits, int64_t failures);

/* ---- limits.c */

/* The wait after failure number `failures`, in ms. */
int64_t authn_delay_ms(const struct authn_limits *limits, int64_t failures);

/* The number of the failure before which all tries may run in parallel: the first one above
 * `failures` that makes the next try wait, or that locks. */
int64_t authn_parallel_until(const struct authn_limits *limits, int64_t failures);

/* A wrong try: the counter rises in the same commit that frees the slot, if there is one; an
 * unknown code costs the same write.  ESIGN_E_AUTH_FAILED: counted; errors of authn_enter. */
enum esign_rc authn_count(struct authn_try *t, struct fault *f) MUST_CHECK;

/* Right after failures: the counter starts anew, unless somebody has moved it meanwhile. */
enum esign_rc authn_reset(const struct authn_try *t, struct fault *f) MUST_CHECK;

/* ---- slots.c */

/* Take a slot of the signer, durably; waits for other tries of the same signer as long as the
 * request lives.  An unknown code costs the same write, but nobody's slot.
 * ESIGN_E_SIGNER_STATE "locked", ESIGN_E_RATE "delay" (entered); ESIGN_E_RATE "busy": none became
 * free. */
enum esign_rc authn_slot_take(struct authn_try *t, struct fault *f) MUST_CHECK;

/* Whether counter and slots leave room for a try that takes no slot; the caller has the signer's
 * turn.  As authn_slot_take(), but never waits. */
enum esign_rc authn_check_room(struct authn_try *t, struct fault *f) MUST_CHECK;

/* The slot's row.  state: "free", "taken".  ret: owned; NULL: no memory. */
json_t *authn_slot_row(const struct authn_try *t, const char *state);

/* Add the free slot (a row of authn_slot_row, borrowed) to a change, guarded, so that only its
 * owner frees it.  Without a slot: nothing. */
void authn_slot_free_into(const struct authn_try *t, json_t *slot, struct store_change *change);

/* ---- person.c */

/* Whether signer and credential of the try allow its purpose, now.  ESIGN_E_SIGNER_STATE,
 * ESIGN_E_CRED_STATE; nothing is entered. */
enum esign_rc authn_check_state(const struct authn_try *t, struct fault *f) MUST_CHECK;

/* Hand the signer over to a person; slot and counter are left as they are. */
void authn_person_take(struct authn_try *t, struct authn_person *ret);
