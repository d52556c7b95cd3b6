/* Reading DER strictly: definite, minimal lengths, single-octet tags.  Errors are those of the
 * reader: sticky, asked for once at the end with reader_done().  Source: X.690 section 10. */
#pragma once

#include "base/reader.h"

enum { DER_OID_TEXT_MAX = 128 };

/* The tag of the next value; 0 at the end or after an error.  Consumes nothing. */
uint8_t der_peek(const struct reader *r);

/* Take the next value, which must carry that tag.  Returns its content, borrowed; empty after an
 * error. */
struct bytes der_take(struct reader *r, uint8_t tag);

/* Take the next value whatever it is.  Returns all of it, tag and length included. */
struct bytes der_take_any(struct reader *r);

/* The content of an OBJECT IDENTIFIER as dotted text.  false: it is none, or too long. */
bool der_oid_text(struct bytes content, char ret[DER_OID_TEXT_MAX]);

/* A UTCTime (1950 to 2049) or GeneralizedTime in whole seconds with Z, in the form that RFC 5652
 * section 11.3 demands for its year: milliseconds since 1970.  Anything else fails the reader. */
int64_t der_take_time(struct reader *r);
