/* Wrong signature values. */
#pragma once

#include "apply.h"

/* A signature as it is asked for. */
struct fault_signature {
    CK_FUNCTION_LIST *real;
    CK_SESSION_HANDLE session;
    CK_MECHANISM_TYPE mechanism; /* of the last C_SignInit; one without parameters */
    CK_OBJECT_HANDLE key;
    CK_BYTE *data, *value;
    CK_ULONG len, *value_len;
};

/* C_Sign of the module behind, its value made wrong as told.  What can't be done (no second key, no
 * value before) ends the process. */
CK_RV fault_value_sign(const struct fault_signature *s, enum fault_value how);
