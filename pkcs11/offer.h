/* Which algorithms a token can make keys of. */
#pragma once

#include "pkcs11/mechanism.h"
#include "pkcs11/session.h"

/* Whether the token makes key pairs of this algorithm and signs with them, by its list of
 * mechanisms.  ESIGN_E_UNSUPPORTED reason "mechanism": it doesn't; the detail names token and
 * mechanism, and the algorithms that it does offer.  ESIGN_E_HSM: the token doesn't tell.
 * Source: PKCS #11 v2.40 base, section 5.5 (C_GetMechanismInfo). */
enum esign_rc pkcs11_offer_check(const struct pkcs11_session *session,
                                 const struct pkcs11_mechanism *mechanism,
                                 struct fault *f) MUST_CHECK;

/* Whether the token says that it makes AES keys and wraps and unwraps with one.  Errors as above.
 * Source: as above. */
enum esign_rc pkcs11_offer_check_wrap(const struct pkcs11_session *session,
                                      struct fault *f) MUST_CHECK;
