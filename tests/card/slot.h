/* Keys and certificates of a PIV card, kept as files of one directory. */
#pragma once

#include "base/buf.h"

#include <openssl/evp.h>

enum { SLOT_COUNT = 3, SLOT_CERTIFICATE_MAX = 4096 };

/* When a key may be used. */
enum slot_pin { SLOT_PIN_NEVER, SLOT_PIN_ONCE, SLOT_PIN_ALWAYS };

/* What a kind of key is.  Source: NIST SP 800-78-4 table 6-2, SP 800-73-4 part 1 table 4b. */
struct slot_type {
    const char *name;  /* of its files: NAME.key (PEM), NAME.crt (DER) */
    uint8_t reference; /* of the key */
    uint8_t algorithm; /* that the card calls it by */
    uint8_t object[3]; /* tag of the certificate's object */
    enum slot_pin pin;
    const char *group; /* NULL: RSA */
    unsigned bits;     /* RSA only */
};

struct slot {
    const struct slot_type *type;
    EVP_PKEY *key;
    struct buf certificate; /* DER; empty: there is none */
};

/* Load the slots from directory.  A key that is missing is made, and a certificate that is
 * missing too is made by the key itself, so that the card can be used at once; both are written.
 * false: what is there can't be read, or nothing can be written; told on stderr.  slots: empty
 * before, the caller's to end. */
bool slots_load(const char *directory, struct slot slots[SLOT_COUNT]);
void slots_done(struct slot slots[SLOT_COUNT]);

/* Read the certificates again: somebody may have issued one. */
bool slots_load_certificates(const char *directory, struct slot slots[SLOT_COUNT]);

/* The slot by the reference of its key, or by the tag of its certificate's object; NULL: none. */
const struct slot *slots_by_reference(const struct slot slots[SLOT_COUNT], uint8_t reference);
const struct slot *slots_by_object(const struct slot slots[SLOT_COUNT], struct bytes tag);

/* Use the private key on input and append the value: RSA without padding, or ECDSA in DER.
 * false: the input isn't what the key takes. */
bool slot_use(const struct slot *slot, struct bytes input, struct buf *out);
