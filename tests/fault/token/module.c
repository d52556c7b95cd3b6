/* A PKCS#11 module for tests: in front of the real one in $FAULT_MODULE it does what devices and
 * their modules do at their worst, as the control file in $FAULT_CONTROL says (rules.h), and counts
 * in $FAULT_STATE (state.h).  tests/integration/faulty.py writes and reads them. */
#include "forward.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

CK_FUNCTION_LIST *fault_real(void)
{
    static CK_FUNCTION_LIST *real;
    CK_RV (*get)(CK_FUNCTION_LIST **);

    if (real)
        return real;
    const char *path = getenv("FAULT_MODULE");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = library ? dlsym(library, "C_GetFunctionList") : NULL;
    if (!symbol)
        fault_die("FAULT_MODULE", path ? dlerror() : "is not set");
    memcpy(&get, &symbol, sizeof(get)); /* ISO C has no cast for this */
    if (get(&real) != CKR_OK || !real)
        fault_die("C_GetFunctionList of", path);
    return real;
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    static CK_FUNCTION_LIST list;

    list = *fault_real();
    list.C_GetFunctionList = C_GetFunctionList;
    fault_forward_list(&list);
    fault_special_list(&list);
    *ret = &list;
    return CKR_OK;
}
