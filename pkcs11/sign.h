/* One signature. */
#pragma once

#include "pkcs11/key.h"

/* Sign digest with a key and append the value, as CMS and X.509 want it, to out; a key that wants
 * the PIN each time gets it.  ESIGN_E_HSM reason "key": it can't sign; "value": what came back is
 * no signature; "pin", as pkcs11_session_authenticate(); "unavailable".  ESIGN_E_PROTO: digest is
 * not as long as the key's algorithm wants it.  *ret_stale: the handle is no longer known; may be
 * NULL.  After a failure the session is another one, as pkcs11_session_renew(). */
enum esign_rc pkcs11_sign_key(struct pkcs11_session *session, const struct pkcs11_key *key,
                              struct bytes digest, struct buf *out, bool *ret_stale,
                              struct fault *f) MUST_CHECK;

/* The same with the key of id; a stale handle is found again once.  ESIGN_E_NOT_FOUND: there is no
 * such key. */
enum esign_rc pkcs11_sign(struct pkcs11_session *session, struct pkcs11_keys *keys,
                          const uint8_t id[TOKEN_KEY_ID_LEN], struct bytes digest, struct buf *out,
                          struct fault *f) MUST_CHECK;
