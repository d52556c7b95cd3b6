/* The applet of a PIV card, as far as signing goes.  Source: NIST SP 800-73-4 part 2. */
#pragma once

#include "apdu.h"
#include "slot.h"

enum { PIV_PIN_LEN = 8, PIV_GUID_LEN = 16 };

/* A PIN or PUK, padded with FF, and its counter. */
struct piv_secret {
    uint8_t value[PIV_PIN_LEN];
    unsigned tries, tries_left;
};

struct piv {
    struct slot slots[SLOT_COUNT];
    uint8_t guid[PIV_GUID_LEN];
    struct piv_secret pin, puk;
    bool verified;      /* since the last reset */
    bool verified_last; /* by the command before this one */
    unsigned verified_count, refused_count, signature_count;
};

/* Set a PIN or PUK with all its tries.  text: at most PIV_PIN_LEN bytes, else false. */
bool piv_secret_set(struct piv_secret *secret, const char *text, unsigned tries);

/* The card was reset or lost its power. */
void piv_reset(struct piv *piv);

/* Whether a command asks for a signature. */
bool piv_is_signature(struct bytes message);

/* Carry out a command; as apdu_run, ctx: struct piv. */
unsigned piv_run(void *ctx, const struct apdu *command, struct buf *out);
