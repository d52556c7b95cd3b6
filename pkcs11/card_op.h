/* The operations on a signer's own card as they travel in frames: between card.c and card_serve.c.
 * Blob: u32 length, then the bytes; numbers are big endian. */
#pragma once

#include "pkcs11/card.h"
#include "pkcs11/token.h"

enum card_op {
    CARD_OP_FIND = 1, /* blob SPKI -> blob label, blob serial, u8 CARD_PIN_* */
    CARD_OP_SIGN = 2, /* blob SPKI, blob digest, blob PIN (may be empty) -> value */
};

enum {
    CARD_PIN_LOW = 1,
    CARD_PIN_FINAL = 2,
    CARD_PIN_LOCKED = 4,
    CARD_PIN_PAD = 8,
    CARD_PIN_ASKED = 16,
    CARD_DIGEST_MAX = 64,
};
