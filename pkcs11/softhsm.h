/* What SoftHSM needs beyond PKCS#11. */
#pragma once

#include "base/fault.h"

#include <dirent.h>

/* Open the directory of tokens that a softhsm2.conf names (directories.tokendir).  NULL: it can't
 * be found or read, *f (may be NULL) says why.  To be closed by the caller. */
DIR *softhsm_open_conf(const char *path, struct fault *f);

/* Make token.object of the token with this serial number read-only (0444).  Its directory is found
 * in the configuration that $SOFTHSM2_CONF names (directories.tokendir).  ESIGN_E_POLICY: it can't
 * be found or changed. */
enum esign_rc softhsm_protect_token(const char *serial, struct fault *f) MUST_CHECK;

/* Open the directory of tokens that the configuration in $SOFTHSM2_CONF names (else SoftHSM's own
 * file).  ret: owned by the caller.  NULL: *f says why not. */
DIR *softhsm_open_directory(struct fault *f);
