/* esign-token --test: what a token can do and what it does not hold to, tried before it is used. */
#pragma once

#include "config/config.h"

#include <jansson.h>

struct pkcs11_probe_options {
    bool in_use;  /* esignd works with the token now: nothing that could disturb it */
    bool removal; /* ask the operator to take the token away and to put it back */
};

/* Try every row of the table (probe_table.c) in child processes, so that a module that hangs or
 * crashes costs one row, and clean up what was made.  The PIN is sent once a child, and never again
 * after the token has refused it.  A token of SoftHSM that is in use is tested in a copy without
 * its keys; other tokens in use with session objects.  config: changed for the copy.  ret: the
 * report, owned by the caller; it is made whatever the token does.  Blocks for minutes at most
 * (with removal: until the operator has acted, bounded).  ESIGN_E_INTERNAL: no memory, no
 * processes. Source: 21 CFR 11.10(a), 11.300(e). */
enum esign_rc pkcs11_probe_test(struct config *config, size_t index,
                                const struct pkcs11_probe_options *options, json_t **ret,
                                struct fault *f) MUST_CHECK;
