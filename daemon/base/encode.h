/* Bytes as text (hexadecimal, base64) and the check of outside text. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

/* Lower-case hexadecimal.  ret: 2*len+1 bytes. */
void encode_hex(struct bytes in, char *ret);
/* The reverse; exactly len bytes, lower case only.  ESIGN_E_PROTO otherwise. */
enum esign_rc decode_hex(const char *text, uint8_t *ret, size_t len) MUST_CHECK;

/* Base64 (RFC 4648 section 4, with padding), appended to out. */
void encode_base64(struct bytes in, struct buf *out);
/* The reverse, strict: no white space, right padding, zero trailing bits.  ESIGN_E_PROTO otherwise,
 * ESIGN_E_TOO_LARGE if out is full. */
enum esign_rc decode_base64(const char *text, size_t len, struct buf *out) MUST_CHECK;

/* Whether text is a usable line for people: valid UTF-8 in NFC, 1 to max bytes, no control
 * characters, no bidirectional overrides, no leading or trailing space. */
bool text_is_line(const char *text, size_t max);

/* Whether text is an identifier: 1 to max of [A-Za-z0-9._-], starting with a letter or digit. */
bool text_is_id(const char *text, size_t max);
