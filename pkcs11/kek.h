/* The key that wraps signers' keys: made, and tried before it is kept. */
#pragma once

#include "pkcs11/wrap.h"

struct pkcs11_kek_order {
    uint8_t id[TOKEN_KEY_ID_LEN];
    const char *label;
    const struct pkcs11_mechanism *mechanism; /* of the pair that it is tried with */
};

/* AES-256: CKA_TOKEN, PRIVATE, SENSITIVE, not EXTRACTABLE, WRAP and UNWRAP and nothing else, with a
 * CKA_UNWRAP_TEMPLATE of SENSITIVE and not EXTRACTABLE where the token takes one; not MODIFIABLE,
 * or whoever has the PIN could let it decrypt; these are read back.  Then tried: the first way of
 * wrapping by which a pair comes back and signs is ret's; the key must not decrypt; whether it
 * unwraps into a readable key, or can be changed or copied so that it decrypts, decides
 * ret->guarded.  What fails leaves no key.  ESIGN_E_CONFLICT: the id is in use;
 * ESIGN_E_UNSUPPORTED: the token can't; ESIGN_E_HSM reason "key": what it made is not safe. Source:
 * dependencies.md spike f. */
enum esign_rc pkcs11_kek_make(struct pkcs11_session *session, const struct pkcs11_kek_order *order,
                              struct token_kek *ret, struct fault *f) MUST_CHECK;

/* Whether a wrapping key wraps and unwraps a pair of that mechanism, by one way.  As
 * pkcs11_wrap_generate(), for probes. */
enum esign_rc pkcs11_kek_try(struct pkcs11_session *session, const struct pkcs11_wrapper *wrapper,
                             const struct pkcs11_mechanism *mechanism, bool *ret_guarded,
                             struct fault *f) MUST_CHECK;
