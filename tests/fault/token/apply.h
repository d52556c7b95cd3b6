/* What the rules do to one call, before and after the module behind is called. */
#pragma once

#include "state.h"

#include <p11-kit/pkcs11.h>

struct fault_call {
    int number; /* enum fault_call_number */
    bool go;    /* the module behind is to be called */
    CK_RV rv;
    bool hit;
    struct fault_rule rule; /* valid if hit */
    int unit;               /* of the device; -1: none */
    uint64_t after_us;      /* the network's way back */
    int64_t began_us;
    uint64_t session_tag, object_tag;
    uint64_t sessions, flags;
};

/* The call begins: count it, wait, and fail it if a rule says so. */
struct fault_call fault_begin(int number);

/* The call ends: what it returns. */
CK_RV fault_end(struct fault_call *call);

/* Handles carry in their upper half under which epoch they were given.  in: take it off, or fail
 * the call with `invalid`; out: put it on. */
void fault_handle_in(struct fault_call *call, CK_ULONG *handle, uint64_t tag, CK_RV invalid);
void fault_handle_out(CK_ULONG *handle, uint64_t tag);

/* The length or count that a hit call is to tell, else the true one. */
CK_ULONG fault_length(const struct fault_call *call, CK_ULONG real);
