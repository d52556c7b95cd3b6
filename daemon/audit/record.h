/* What happened, in the words of the audit trail: the caller's members of an entry (FORMAT.md). */
#pragma once

#include "audit/alert.h"
#include "base/fault.h"

#include <jansson.h>
#include <stdint.h>

/* Who acted: a person, a peer known by its uid only, or the service itself. */
struct audit_actor {
    const char *signer_id, *user_id; /* a person; else NULL */
    const char *role;                /* "signer", "regadmin", …; "peer"; NULL: "system" */
    int64_t uid;                     /* of a peer without a person */
};

struct audit_act {
    const char *action; /* "signature.outcome" */
    const char *object; /* "signature/G-…" */
    enum esign_rc result;
    const char *result_reason; /* the word in brackets, or NULL */
    const char *reason;        /* given by the person, or NULL */
    struct audit_actor actor;
    const char *application, *terminal; /* or NULL */
    json_t *old_value, *new_value;      /* borrowed; or NULL */
    enum audit_alert alert;             /* what the security unit must hear of at once */
};

/* The entry's members as the store's writer takes them.  ret: owned by the caller; NULL: no memory.
 * Source: 21 CFR 11.10(e). */
json_t *audit_record(const struct audit_act *act);
