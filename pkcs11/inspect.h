/* esign-token --inspect: what a token holds, for a backup of its files. */
#pragma once

#include "config/config.h"

struct pkcs11_inspection {
    bool softhsm; /* its keys are files, which can be copied */
    char label[33], serial[17];
    size_t keys; /* private and secret ones that its user sees */
};

/* Find the configured token, log in once with the credential "pin" (or pin_file) and count.
 * ESIGN_E_HSM, ESIGN_E_POLICY: as pkcs11_session_open(). */
enum esign_rc pkcs11_inspect(const struct config *config, size_t index,
                             struct pkcs11_inspection *ret, struct fault *f) MUST_CHECK;
