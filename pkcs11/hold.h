/* A running service holds the directory of its SoftHSM token, so that nobody puts another there. */
#pragma once

#include "config/config.h"

/* Lock, shared, the directory that the token's $SOFTHSM2_CONF names, until the descriptor and its
 * copies in workers are closed.  ret_fd: -1 for a token without that variable.  ESIGN_E_CONFLICT:
 * `esign token restore` has it; a directory that can't be read is left to the module, which may
 * find it later. */
enum esign_rc pkcs11_hold_directory(const struct config *config, size_t index, int *ret_fd,
                                    struct fault *f) MUST_CHECK;
