/* Commands and answers of a card with contacts: chained commands are put together, long answers are
 * handed out in pieces.  Source: ISO/IEC 7816-4 sections 5.1 and 5.3. */
#pragma once

#include "base/buf.h"

enum { APDU_DATA_MAX = 8192 };

/* Status words.  Source: ISO/IEC 7816-4 section 5.1.3. */
enum apdu_status {
    APDU_OK = 0x9000,
    APDU_MORE = 0x6100,      /* and the number of bytes that are left */
    APDU_PIN_WRONG = 0x63c0, /* and the number of tries that are left */
    APDU_LENGTH = 0x6700,
    APDU_NO_CHAINING = 0x6884,
    APDU_NO_RIGHT = 0x6982,
    APDU_PIN_BLOCKED = 0x6983,
    APDU_BAD_DATA = 0x6a80,
    APDU_NOT_FOUND = 0x6a82,
    APDU_BAD_P1P2 = 0x6a86,
    APDU_NO_KEY = 0x6a88,
    APDU_BAD_INS = 0x6d00,
    APDU_FAILED = 0x6f00,
};

struct apdu {
    uint8_t cla, ins, p1, p2;
    struct bytes data; /* of all parts of a chain */
};

/* Carries a command out, appends its answer's data to out, returns its status word. */
typedef unsigned (*apdu_run)(void *ctx, const struct apdu *command, struct buf *out);

/* What a card remembers from one command to the next. */
struct apdu_link {
    struct buf command, answer;
    size_t told; /* bytes of answer that were handed out */
};

struct apdu_link apdu_link_new(void);
void apdu_link_done(struct apdu_link *link);
void apdu_link_reset(struct apdu_link *link); /* the card was reset */

/* Take a command, run it when its chain is complete, and append what the card says, status word
 * included, to out. */
void apdu_exchange(struct apdu_link *link, struct bytes message, apdu_run run, void *ctx,
                   struct buf *out);
