/* esign-token --init: make the configured token on a slot that has an uninitialised one. */
#pragma once

#include "config/config.h"

struct pkcs11_init_result {
    char label[33], serial[17];
    bool read_only; /* SoftHSM's token.object was made read-only */
};

/* C_InitToken and C_InitPIN with the credentials "so-pin" and "pin" (or pin_file).  Of SoftHSM the
 * new token's token.object becomes read-only: each C_Login would truncate and rewrite it otherwise,
 * and a kill in that moment destroys the token.  To be run as the token's own user.
 * ESIGN_E_CONFLICT: a token has this label already; ESIGN_E_POLICY: a PIN is missing or the URI
 * gives no label; ESIGN_E_HSM. */
enum esign_rc pkcs11_init_token(const struct config *config, size_t index,
                                struct pkcs11_init_result *ret, struct fault *f) MUST_CHECK;
