/* What the files of cms/ share: the algorithm identifiers of our signatures. */
#pragma once

#include "cms/cms.h"

/* AlgorithmIdentifier of SHA-256 under that tag (DER_SEQUENCE, or an implicit one), parameters
 * absent.  Source: RFC 5754 section 2. */
void cms_put_digest_algorithm(struct buf *out, uint8_t tag);

/* AlgorithmIdentifier of the signature with that key under that tag.  The algorithm must be known.
 * Source: RFC 5754 section 3. */
void cms_put_signature_algorithm(struct buf *out, uint8_t tag, enum token_algorithm algorithm);

/* ESIGN_E_UNSUPPORTED unless signatures with that kind of key are offered. */
enum esign_rc cms_check_algorithm(enum token_algorithm algorithm, struct fault *f) MUST_CHECK;

/* Append the one form of a value: of the two ECDSA values (r, s) and (r, n-s), which verify alike,
 * the one with the smaller s; an RSA value as it is.  ESIGN_E_FORMAT: it is no value of that
 * algorithm. */
enum esign_rc cms_put_value(struct buf *out, struct bytes value, enum token_algorithm algorithm,
                            struct fault *f) MUST_CHECK;
