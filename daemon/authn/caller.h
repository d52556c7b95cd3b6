/* Who calls: the kernel's credentials of a connection, mapped by the register.
 * Source: 21 CFR 11.10(d), (h). */
#pragma once

#include "store/store.h"

#include <sys/types.h>

enum authn_caller_kind {
    AUTHN_CALLER_UNKNOWN,
    AUTHN_CALLER_APPLICATION, /* acts for signers, by its rights */
    AUTHN_CALLER_TERMINAL,    /* a place where signers and officers enter their components */
    AUTHN_CALLER_OWNER        /* root or the daemon's own user: status and initialisation only */
};

struct authn_caller {
    enum authn_caller_kind kind;
    char id[65]; /* of the application or terminal; "owner" */
    uid_t uid;
};

/* Map a peer: application by uid, else terminal by uid, else terminal by one of its groups, else
 * owner. An unknown peer is no error: ret->kind says so.  ESIGN_E_AUDIT_UNAVAILABLE,
 * ESIGN_E_CRED_STATE: the register can't be read or was tampered with. */
enum esign_rc authn_caller_find(struct store *store, uid_t uid, const gid_t *groups,
                                size_t group_count, struct authn_caller *ret,
                                struct fault *f) MUST_CHECK;

/* Whether the application has this right now.  ESIGN_E_AUTHZ: it has not, or is not active. */
enum esign_rc authn_caller_right(struct store *store, const char *application, const char *right,
                                 struct fault *f) MUST_CHECK;
