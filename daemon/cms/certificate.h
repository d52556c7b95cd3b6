/* Reading the certificates that we issued ourselves; others' are read in document/ only. */
#pragma once

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fault.h"

/* Parse one.  ret: owned by the caller.  ESIGN_E_INTERNAL: it is none, or bytes follow it. */
enum esign_rc cms_read_certificate(struct bytes der, X509 **ret, struct fault *f) MUST_CHECK;

/* Append the issuer's Name and the serial number's INTEGER of a certificate to out, both in DER.
 * as_general_names: the Name as GeneralNames with one directoryName, as IssuerSerial wants it.
 * Walks over the certificate only that far: OpenSSL decodes the key in each that it parses, which
 * costs as much as a signature.  ESIGN_E_INTERNAL.  Source: RFC 5280 section 4.1. */
enum esign_rc cms_put_issuer_serial(struct buf *out, struct bytes cert, bool as_general_names,
                                    struct fault *f) MUST_CHECK;

/* When a certificate of ours ends (its notAfter), in milliseconds since 1970; read without decoding
 * its key.  ESIGN_E_INTERNAL.  Source: RFC 5280 section 4.1.2.5. */
enum esign_rc cms_certificate_end(struct bytes cert, int64_t *ret_ms, struct fault *f) MUST_CHECK;

/* cms_keys_check() with the key of a certificate that is parsed already. */
enum esign_rc cms_check_value_with(X509 *cert, struct bytes digest, struct bytes value, bool *ret,
                                   struct fault *f) MUST_CHECK;
