#include "pkcs11/initialise.h"

#include "base/cleanup.h"
#include "pkcs11/ckr.h"

#include <stdlib.h>
#include <string.h>

/* NSS has one more member than PKCS#11, its own pReserved behind LibraryParameters, and reads it.
 */
struct initialise_arguments {
    CK_C_INITIALIZE_ARGS standard;
    void *reserved;
};

/* Without locks first, then with those of the operating system, where the module wants that. */
static CK_RV initialise_call(CK_FUNCTION_LIST *calls, char *text)
{
    struct initialise_arguments arguments = {.standard.pReserved = text};

    CK_RV rv = calls->C_Initialize(text ? &arguments : NULL);
    if (rv != CKR_CANT_LOCK && rv != CKR_NEED_TO_CREATE_THREADS && rv != CKR_ARGUMENTS_BAD)
        return rv;
    arguments.standard.flags = CKF_OS_LOCKING_OK;
    return calls->C_Initialize(&arguments);
}

enum esign_rc pkcs11_initialise(CK_FUNCTION_LIST *calls, const char *init_args,
                                const struct pkcs11_quirk **ret, struct fault *f)
{
    CLEANUP(free_p) char *text = init_args[0] ? strdup(init_args) : NULL;
    CK_INFO info;

    if (init_args[0] && !text)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the module's arguments");
    CK_RV rv = initialise_call(calls, text);
    if (rv != CKR_OK)
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "C_Initialize: %s (0x%lx)%s",
                            pkcs11_ckr_name(rv), rv,
                            rv == CKR_ARGUMENTS_BAD ? "; see init_args of the token" : "");
    rv = calls->C_GetInfo(&info);
    if (rv != CKR_OK) {
        (void)calls->C_Finalize(NULL); /* the first failure is told */
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "C_GetInfo: %s (0x%lx)",
                            pkcs11_ckr_name(rv), rv);
    }
    *ret = pkcs11_quirk_find(&info);
    return ESIGN_OK;
}
