/* Checkpoints: the head of the trail as a signed note. */
#pragma once

#include "audit/audit.h"

enum {
    AUDIT_ORIGIN_MAX = 128,    /* bytes */
    AUDIT_NOTE_MAX = 4096,     /* bytes of a signed note */
    AUDIT_SIGNATURES_MAX = 16, /* signature lines of a note */
    AUDIT_KEY_ID_LEN = 4,
};

/* Whether origin can name a log: printable, without spaces and plus signs, 1 to AUDIT_ORIGIN_MAX.
 * Source: C2SP tlog-checkpoint, signed-note. */
bool audit_is_origin(const char *origin);

/* The first line of rest without its newline, and rest after it.  False: there is no newline. */
bool audit_take_line(struct bytes *rest, struct bytes *ret_line);

/* A decimal number without sign or leading zeros, the whole of text. */
bool audit_parse_number(struct bytes text, int64_t *ret);

/* A checkpoint's text taken apart; all borrowed from it. */
struct audit_checkpoint_text {
    struct bytes origin;
    int64_t size;
    uint8_t root[64];
    size_t root_len;
    struct bytes rest; /* what follows the third line; this log writes nothing there */
};

/* Source: C2SP tlog-checkpoint.  ESIGN_E_FORMAT. */
enum esign_rc audit_parse_checkpoint_text(struct bytes text, struct audit_checkpoint_text *ret,
                                          struct fault *f) MUST_CHECK;

/* Append the text of a checkpoint. */
void audit_put_checkpoint_text(const char *origin, const struct audit_head *head, struct buf *out);

/* Make the signed note of a head and check it as a stranger would.  Blocks as long as the signer.
 * ESIGN_E_HSM: the signature does not hold; errors of the signer. */
enum esign_rc audit_sign_checkpoint(const char *origin, const struct audit_head *head,
                                    const struct audit_signer *signer, struct buf *out,
                                    struct fault *f) MUST_CHECK;

/* Check a signed note: its form and, unless spki is empty, a signature of that key (type 0x02,
 * ECDSA P-256 with SHA-256) under the origin as its name.  Signatures of unknown keys are passed
 * over.  origin: the expected one, or NULL for any.  ESIGN_E_FORMAT.
 * Source: C2SP signed-note, tlog-checkpoint. */
enum esign_rc audit_open_checkpoint(struct bytes note, const char *origin, struct bytes spki,
                                    struct audit_head *ret, struct fault *f) MUST_CHECK;
