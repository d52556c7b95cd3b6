/* A request that may be repeated: its Idempotency-Key, and what was made under it.
 *
 * The row "idempotency" is written in the transaction of the intent (or of the new ticket), so that
 * at most one signature exists for a key, whatever is lost or killed.  It says what was asked for
 * and what was made; the answer is rebuilt from that.  A request that ended without a signature may
 * be repeated under its key, as the same request only.  After SIGN_KEY_KEPT_MS a key is as new.
 *   same key, same request    the first answer; while the first runs it is waited for
 *   same key, other request   ESIGN_E_CONFLICT, reason "idempotency_key"
 * Source: design section 3; requirements 3.6. */
#pragma once

#include "base/turns.h"
#include "store/store.h"

enum { SIGN_KEY_KEPT_MS = 24 * 60 * 60 * 1000 };

/* What a request says of itself.  All borrowed. */
struct sign_key_claim {
    const char *key;                    /* as sent, or NULL: nothing is held, found or kept */
    const char *application, *terminal; /* whose key it is: one of them, the other is NULL */
    int64_t uid;                        /* of the peer; part of whose key it is at a terminal */
    const char *method, *path;
    const json_t *body;  /* without components; a member "session" is not what is asked for */
    const char *user_id; /* who is said to sign; NULL or "": nobody is named, but in "session" */
    int64_t deadline_at_ms;
};

/* A key that one request holds.  All zero: none. */
struct sign_key {
    struct turn turn;
    char fingerprint[2 * SHA256_LEN + 1];
    int64_t taken_at_ms; /* UTC */
    int64_t seq;         /* of its row; -1: there is none */
    char void_id[65];    /* the signature that was begun under it and never made; or empty */
    json_t *row;         /* what is written; owned */
};

/* What was made under a key. */
struct sign_key_found {
    json_t *body; /* row of the signature or ticket; owned.  NULL: nothing yet */
    int64_t seq;
    bool is_ticket;
};

/* Take a key and look up what was made under it.  ret_key: sign_key_done() it, also after a
 * failure. Blocks while another request holds the key, at most until the deadline. ESIGN_E_CONFLICT
 * (reason "idempotency_key"): the key stands for another request, or for another person's
 * signature; ESIGN_E_DEADLINE; ESIGN_E_PROTO: the body can't be canonical; those of store_get(). */
enum esign_rc sign_key_take(struct store *store, struct turns *turns,
                            const struct sign_key_claim *claim, struct sign_key *ret_key,
                            struct sign_key_found *ret, struct fault *f) MUST_CHECK;

/* Add to a change that the key stands for the row kind/id, which the change makes or begins to
 * make.  key: held; NULL or without a key: nothing is added.  Its row lives as long as the key. */
void sign_key_into(struct sign_key *key, const char *kind, const char *id,
                   struct store_change *change);

void sign_key_found_done(struct sign_key_found *found);

/* Let the key go, so that who waits with the same gets it. */
void sign_key_done(struct sign_key *key);
