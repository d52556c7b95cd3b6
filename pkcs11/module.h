/* A PKCS#11 module in this process: loaded and initialised once, without locking, by the one thread
 * that there is.  Lives as long as the process. */
#pragma once

#include "config/config.h"
#include "pkcs11/quirk.h"
#include "pkcs11/uri.h"

struct pkcs11_module;

/* Set the token's environment lines, load its module, if its file is the configured one, and
 * initialise it; then let libp11 join in for the slots.  ret: owned by the caller.  ESIGN_E_HSM
 * reason "module": as pkcs11_library_open(); "unavailable". */
enum esign_rc pkcs11_module_load(const struct config *config, size_t index,
                                 struct pkcs11_module **ret, struct fault *f) MUST_CHECK;

/* Load and initialise any module without libp11: for who asks for its slots by itself.  path:
 * absolute, borrowed for the module's life.  As pkcs11_module_load. */
enum esign_rc pkcs11_module_open(const char *path, struct pkcs11_module **ret,
                                 struct fault *f) MUST_CHECK;

/* C_Finalize.  The library stays mapped: unloading foreign code is the end of the process. */
void pkcs11_module_free(struct pkcs11_module *module);

/* The module's functions.  Borrowed. */
CK_FUNCTION_LIST *pkcs11_module_calls(const struct pkcs11_module *module);

/* What is special about the module.  Never NULL; lives for ever. */
const struct pkcs11_quirk *pkcs11_module_quirk(const struct pkcs11_module *module);

/* The one slot whose initialised token matches uri.  ESIGN_E_HSM reason "unavailable": none, or
 * more than one; the text names what is there. */
enum esign_rc pkcs11_module_find(const struct pkcs11_module *module, const struct pkcs11_uri *uri,
                                 CK_SLOT_ID *ret_slot, CK_TOKEN_INFO *ret_info,
                                 struct fault *f) MUST_CHECK;

/* The first slot with a token that was never initialised.  ESIGN_E_HSM reason "unavailable": none.
 */
enum esign_rc pkcs11_module_find_blank(const struct pkcs11_module *module, CK_SLOT_ID *ret_slot,
                                       struct fault *f) MUST_CHECK;

/* Whether an initialised token has this blank-padded label. */
enum esign_rc pkcs11_module_has_label(const struct pkcs11_module *module,
                                      const CK_UTF8CHAR label[PKCS11_LABEL_LEN], bool *ret,
                                      struct fault *f) MUST_CHECK;
