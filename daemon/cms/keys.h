/* Public keys of our certificates, kept ready: to make one of a certificate costs as much as to
 * check a signature with it. */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

struct cms_keys;

/* Bounds: certificates that are kept, and the length of one. */
enum { CMS_KEYS_COUNT = 256, CMS_KEYS_CERT_MAX = 2048 };

/* ret: cms_keys_close(), which takes NULL.  ESIGN_E_INTERNAL: no memory. */
enum esign_rc cms_keys_open(struct cms_keys **ret, struct fault *f) MUST_CHECK;
void cms_keys_close(struct cms_keys *k);

/* Whether value is the signature of digest (SHA-256 or SHA-384 by its length) under the public key
 * of cert (DER, ours).  A value that is no signature at all makes *ret false.  The key is the one
 * of these very bytes of a certificate, made now or before.  Any thread. ESIGN_E_INTERNAL: cert is
 * no certificate; ESIGN_E_UNSUPPORTED: other length of digest. */
enum esign_rc cms_keys_check(struct cms_keys *k, struct bytes cert, struct bytes digest,
                             struct bytes value, bool *ret, struct fault *f) MUST_CHECK;
