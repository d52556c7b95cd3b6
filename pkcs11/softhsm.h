/* What SoftHSM needs beyond PKCS#11. */
#pragma once

#include "base/fault.h"

/* Make token.object of the token with this serial number read-only (0444).  Its directory is found
 * in the configuration that $SOFTHSM2_CONF names (directories.tokendir).  ESIGN_E_POLICY: it can't
 * be found or changed. */
enum esign_rc softhsm_protect_token(const char *serial, struct fault *f) MUST_CHECK;
