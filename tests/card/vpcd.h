/* A card's side of vpcd, the virtual reader of vsmartcard: frames of two bytes of length and a body
 * over TCP. */
#pragma once

#include "base/buf.h"

enum { VPCD_MESSAGE_MAX = 65535 };

/* What a message of the reader is. */
enum vpcd_kind {
    VPCD_OFF = 0,
    VPCD_ON = 1,
    VPCD_RESET = 2,
    VPCD_ATR = 4,    /* the answer to reset is asked for */
    VPCD_APDU = 256, /* a command for the card */
    VPCD_UNKNOWN = 257,
};

/* Put a card into the reader that listens on port of this machine.  Blocks as connect() does.
 * -1: there is no reader.  The descriptor is the caller's; closing it pulls the card. */
int vpcd_insert(uint16_t port);

/* Receive a message into ret, cleared before.  Blocks until all of it is there.
 * false: the reader has gone. */
bool vpcd_receive(int fd, struct buf *ret);
enum vpcd_kind vpcd_kind(struct bytes message);

/* Send an answer of at most VPCD_MESSAGE_MAX bytes.  false: the reader has gone. */
bool vpcd_send(int fd, struct bytes answer);
