/* Writing DER: each call appends one value to a buffer.  Errors are those of the buffer: sticky,
 * asked for once at the end with buf_ok().  Source: ITU-T X.690. */
#pragma once

#include "base/buf.h"

enum {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_UTF8_STRING = 0x0c,
    DER_PRINTABLE_STRING = 0x13,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT_0 = 0xa0, /* constructed, as the next four */
    DER_CONTEXT_1 = 0xa1,
    DER_CONTEXT_3 = 0xa3,
    DER_CONTEXT_4 = 0xa4,
    DER_PRIMITIVE_0 = 0x80, /* [0] IMPLICIT of a primitive type */
};

enum { DER_SET_MAX = 32 }; /* elements of one SET OF */

/* Open a value under that tag; what is written until der_end() is its content.  Values nest.
 * ret: to be given to der_end(). */
size_t der_begin(struct buf *out, uint8_t tag);
void der_end(struct buf *out, size_t begun);

void der_put(struct buf *out, uint8_t tag, struct bytes content); /* tag numbers below 0x1f */
void der_put_oid(struct buf *out, const char *dotted);            /* fails if it is no OID */
void der_put_uint(struct buf *out, struct bytes big_endian);      /* unsigned INTEGER, minimal */
void der_put_small(struct buf *out, uint32_t value);
void der_put_bool(struct buf *out, bool value);
void der_put_null(struct buf *out);

/* UTCTime from 1950 to 2049, else GeneralizedTime; whole seconds, rounded down.  Fails for times
 * before 1970 and after 9999.  Source: RFC 5652 section 11.3, RFC 5280 section 4.1.2.5. */
void der_put_time(struct buf *out, int64_t at_ms);

/* BIT STRING without unused bits. */
void der_put_bits(struct buf *out, struct bytes content);

/* SET OF: elements (each a complete DER value, at most DER_SET_MAX) in DER order under that tag.
 * Source: X.690 section 11.6. */
void der_put_set_of(struct buf *out, uint8_t tag, const struct bytes *elements, size_t count);
