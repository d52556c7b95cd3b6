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
