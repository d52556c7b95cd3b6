/* The public key in a certificate that we issued ourselves. */
#pragma once

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fault.h"

/* Take the key out of a certificate: RSA, P-256 or P-384 on an uncompressed point.  Walks over the
 * certificate and gives OpenSSL the numbers: its decoder of a whole certificate looks for somebody
 * who can read the key, which costs more than to check a signature.  ret: owned by the caller.
 * ESIGN_E_INTERNAL.  Source: RFC 5280 section 4.1, RFC 5480 section 2, RFC 8017 A.1.1. */
enum esign_rc cms_read_key(struct bytes cert, EVP_PKEY **ret, struct fault *f) MUST_CHECK;

/* As cms_keys_check() with the key itself; key NULL: ESIGN_E_INTERNAL. */
enum esign_rc cms_check_with_key(EVP_PKEY *key, struct bytes digest, struct bytes value, bool *ret,
                                 struct fault *f) MUST_CHECK;
