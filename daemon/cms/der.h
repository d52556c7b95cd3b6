/* Writing DER: each call appends one value to a buffer. */
#pragma once

#include "base/buf.h"

enum {
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_OCTET_STRING = 0x04,
    DER_BIT_STRING = 0x03,
    DER_INTEGER = 0x02,
    DER_UTF8_STRING = 0x0c,
    DER_PRINTABLE_STRING = 0x13
};

void der_put(struct buf *out, uint8_t tag, struct bytes content); /* any tag below 0x1f numbers */
void der_put_oid(struct buf *out, const char *dotted);            /* sticky error if it is no OID */
void der_put_uint(struct buf *out, struct bytes big_endian);      /* unsigned INTEGER, minimal */
void der_put_small(struct buf *out, uint32_t value);
void der_put_bool(struct buf *out, bool value);
void der_put_null(struct buf *out);
void der_put_time(struct buf *out, int64_t at_ms); /* UTCTime up to 2049, then GeneralizedTime */
void der_put_bits(struct buf *out, struct bytes content); /* BIT STRING without unused bits */
/* SET OF: elements (each a complete DER value) in DER order under that tag. */
void der_put_set_of(struct buf *out, uint8_t tag, const struct bytes *elements, size_t count);
