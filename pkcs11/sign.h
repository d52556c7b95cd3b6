/* One signature. */
#pragma once

#include "pkcs11/key.h"

/* Sign digest with the key of id and append the value, as CMS and X.509 want it, to out.  A stale
 * handle is found again once.  ESIGN_E_NOT_FOUND: there is no such key; ESIGN_E_HSM reason "key":
 * it can't sign; "value": what came back is no signature; "unavailable".  ESIGN_E_PROTO: digest is
 * not as long as the key's algorithm wants it. */
enum esign_rc pkcs11_sign(const struct pkcs11_session *session, struct pkcs11_keys *keys,
                          const uint8_t id[TOKEN_KEY_ID_LEN], struct bytes digest, struct buf *out,
                          struct fault *f) MUST_CHECK;
