/* Private keys that leave the token wrapped, and come back for one signature. */
#pragma once

#include "pkcs11/key.h"

/* How a wrapping key is used. */
struct pkcs11_wrapper {
    CK_OBJECT_HANDLE kek;
    enum token_wrap wrap;
};

/* The mechanism of a way to wrap. */
CK_MECHANISM_TYPE pkcs11_wrap_mechanism(enum token_wrap wrap);

/* The wrapping key of that id: remembered in keys, or found.  ESIGN_E_NOT_FOUND. */
enum esign_rc pkcs11_wrap_find(const struct pkcs11_session *session, struct pkcs11_keys *keys,
                               const uint8_t kek_id[TOKEN_KEY_ID_LEN], CK_OBJECT_HANDLE *ret,
                               struct fault *f) MUST_CHECK;

/* C_WrapKey of a private key; its bytes are appended to out, for AES_CBC_PAD behind their IV.
 * ESIGN_E_HSM reason "key": the token does not do it so.  Source: PKCS #11 v2.40 5.13. */
enum esign_rc pkcs11_wrap_out(const struct pkcs11_session *session,
                              const struct pkcs11_wrapper *wrapper, CK_OBJECT_HANDLE key,
                              struct buf *out, struct fault *f) MUST_CHECK;

/* What comes back of a wrapped key: a session object, to sign only. */
struct pkcs11_wrapped {
    const struct pkcs11_mechanism *mechanism;
    struct bytes blob, spki; /* borrowed; spki: SubjectPublicKeyInfo, which some tokens need */
    bool readable;           /* ask for a readable key: only to see that the token refuses it */
};
/* C_UnwrapKey; ret: destroyed by the caller.  The caller's template says SENSITIVE and not
 * EXTRACTABLE, unless readable.  ESIGN_E_HSM reason "key": refused; "unavailable" (SoftHSM2 says
 * CKR_GENERAL_ERROR of wrapped bytes that are not whole). */
enum esign_rc pkcs11_wrap_in(const struct pkcs11_session *session,
                             const struct pkcs11_wrapper *wrapper,
                             const struct pkcs11_wrapped *wrapped, CK_OBJECT_HANDLE *ret,
                             struct fault *f) MUST_CHECK;

/* pkcs11_wrap_in, one signature, and the key destroyed; the value is appended to out.  Errors of
 * both; ESIGN_E_HSM reason "unavailable": the key could not be destroyed, so this process must end,
 * and its session with it. */
enum esign_rc pkcs11_wrap_sign(struct pkcs11_session *session, const struct pkcs11_wrapper *wrapper,
                               const struct pkcs11_wrapped *wrapped, struct bytes digest,
                               struct buf *out, struct fault *f) MUST_CHECK;

/* Make a pair, wrap it, destroy it, and see that it comes back and signs.  Both are appended.
 * out_wrapped: locked memory.  ESIGN_E_UNSUPPORTED; ESIGN_E_HSM. */
enum esign_rc pkcs11_wrap_generate(struct pkcs11_session *session,
                                   const struct pkcs11_wrapper *wrapper,
                                   const struct pkcs11_mechanism *mechanism, struct buf *out_spki,
                                   struct buf *out_wrapped, struct fault *f) MUST_CHECK;
