/* The face of esign-token for a signer's own card, at the signer's terminal: the module runs in a
 * child of this process, which is killed at a deadline.  Source: design 2 and 8; requirements 1.6.
 */
#pragma once

#include "base/buf.h"
#include "base/secret.h"

struct card;

/* What a card says of itself and its PIN. */
struct card_state {
    char label[33], serial[17];
    bool pin_low;   /* a wrong one was entered before */
    bool pin_final; /* one try is left */
    bool pin_locked;
    bool pin_pad;   /* it is entered on the reader itself */
    bool pin_asked; /* the card wants one at all */
};

/* Start program (esign-token) for a module.  ret: card_close() it, which also ends the child.
 * ESIGN_E_HSM reason "worker": it can't be started. */
enum esign_rc card_open(const char *program, const char *module, struct card **ret,
                        struct fault *f) MUST_CHECK;
void card_close(struct card *c); /* NULL is allowed */

/* Look for the card with that public key (SubjectPublicKeyInfo), by its certificates and public
 * keys, without a PIN.  ESIGN_E_HSM reason "no_module", "no_card": no reader has any, "other_card":
 * none of those that are there has this key, "worker": the module ended the child;
 * ESIGN_E_DEADLINE: it does not answer, the child is killed. */
enum esign_rc card_find(struct card *c, struct bytes spki, int64_t deadline_at_ms,
                        struct card_state *ret, struct fault *f) MUST_CHECK;

/* Have its key sign a SHA-256.  pin: NULL where none is asked, or it is entered on the reader.
 * ret_value: as CMS wants it, appended.  As card_find(), and ESIGN_E_HSM reason "pin_wrong",
 * "pin_blocked", "removed": the card went away meanwhile, "key": it can't sign. */
enum esign_rc card_sign(struct card *c, struct bytes spki, struct bytes digest,
                        const struct secret *pin, int64_t deadline_at_ms, struct buf *ret_value,
                        struct fault *f) MUST_CHECK;
