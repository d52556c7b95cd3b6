/* C_Initialize as each module wants it. */
#pragma once

#include "base/fault.h"
#include "pkcs11/quirk.h"

/* Call C_Initialize and ask the module who it is.  init_args: handed over in pReserved; "": none.
 * Without init_args the arguments are NULL first, since OpenSC deadlocks in C_Sign if it may lock
 * and the card is pulled.  A module that refuses this because it can't do without locks or without
 * arguments is then allowed the locks of the operating system; there is one thread, so none is ever
 * waited for.
 * ret: the module's row of quirks.  ESIGN_E_HSM reason "unavailable"; the module is then not
 * initialised.
 * Source: PKCS #11 v2.40 base, section 5.4; pReserved as a text: NSS, LibraryParameters. */
enum esign_rc pkcs11_initialise(CK_FUNCTION_LIST *calls, const char *init_args,
                                const struct pkcs11_quirk **ret, struct fault *f) MUST_CHECK;
