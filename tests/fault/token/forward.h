/* The functions of the module: each passes on to the module behind what the rules let through. */
#pragma once

#include "apply.h"

/* The module in $FAULT_MODULE, loaded at the first call. */
CK_FUNCTION_LIST *fault_real(void);

/* Put the functions that need nothing but their handles looked at into list; then those that the
 * rules know more of. */
void fault_forward_list(CK_FUNCTION_LIST *list);
void fault_special_list(CK_FUNCTION_LIST *list);

/* A function: `enter` looks at its handles, `leave` at what it gave. */
#define FAULT_FORWARD(name, parameters, enter, arguments, leave)                                   \
    static CK_RV forward_##name parameters                                                         \
    {                                                                                              \
        struct fault_call call = fault_begin(FAULT_##name);                                        \
        enter;                                                                                     \
        if (call.go) {                                                                             \
            call.rv =                                                                              \
                fault_real()->name ? fault_real()->name arguments : CKR_FUNCTION_NOT_SUPPORTED;    \
            if (call.rv == CKR_OK) {                                                               \
                leave;                                                                             \
            }                                                                                      \
        }                                                                                          \
        return fault_end(&call);                                                                   \
    }

#define FAULT_SESSION(handle)                                                                      \
    fault_handle_in(&call, &(handle), call.session_tag, CKR_SESSION_HANDLE_INVALID)
#define FAULT_KEY(handle) fault_handle_in(&call, &(handle), call.object_tag, CKR_KEY_HANDLE_INVALID)
#define FAULT_OBJECT(handle)                                                                       \
    fault_handle_in(&call, &(handle), call.object_tag, CKR_OBJECT_HANDLE_INVALID)
#define FAULT_GIVE_OBJECT(handle) fault_handle_out((handle), call.object_tag)
