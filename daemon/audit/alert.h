/* What an entry alarms the security unit of: the member `alert`, written in the same commit as what
 * it tells (FORMAT.md).  Source: 21 CFR 11.300(d). */
#pragma once

#include <jansson.h>

enum audit_alert {
    AUDIT_ALERT_NONE, /* no such member */
    AUDIT_ALERT_FAILURES,
    AUDIT_ALERT_LOCKOUT,
    AUDIT_ALERT_SESSION_OTHER_SIGNER,
    AUDIT_ALERT_SESSION_PEER,
    AUDIT_ALERT_REPLAY,
    AUDIT_ALERT_RECORD_SWAP,
    AUDIT_ALERT_UNUSABLE_CREDENTIAL,
    AUDIT_ALERT_TAMPERED,
    AUDIT_ALERT_ROLLBACK,
    AUDIT_ALERT_COUNT
};

/* The trigger's word as it stands in an entry; NULL: no alert.  Static.
 * Source: requirements 1.7, alert triggers. */
const char *audit_alert_name(enum audit_alert alert);

/* One warning line in the operator's log for an entry with an alert; nothing for others.
 * entry: the caller's members of an entry that has been written; borrowed.  From any thread.
 * Source: 21 CFR 11.300(d). */
void audit_alert_note(const json_t *entry);
