#include "audit/alert.h"

#include <assert.h>

#include "base/json.h"
#include "base/log.h"

/* The only list of the words; FORMAT.md says what each means, and a test compares them. */
static const char *const alert_names[AUDIT_ALERT_COUNT] = {
    [AUDIT_ALERT_NONE] = NULL,
    [AUDIT_ALERT_FAILURES] = "failures",
    [AUDIT_ALERT_LOCKOUT] = "lockout",
    [AUDIT_ALERT_SESSION_OTHER_SIGNER] = "session-other-signer",
    [AUDIT_ALERT_SESSION_PEER] = "session-peer",
    [AUDIT_ALERT_REPLAY] = "replay",
    [AUDIT_ALERT_RECORD_SWAP] = "record-swap",
    [AUDIT_ALERT_UNUSABLE_CREDENTIAL] = "unusable-credential",
    [AUDIT_ALERT_TAMPERED] = "tampered",
    [AUDIT_ALERT_ROLLBACK] = "rollback",
};

const char *audit_alert_name(enum audit_alert alert)
{
    assert(alert >= AUDIT_ALERT_NONE && alert < AUDIT_ALERT_COUNT);
    return alert_names[alert];
}

static const char *alert_member(const json_t *entry, const char *name)
{
    const char *value = json_str(entry, name);

    return value ? value : "-";
}

void audit_alert_note(const json_t *entry)
{
    const char *alert = json_str(entry, "alert");

    if (alert)
        log_warn("alert trigger=%s action=%s object=%s result=%s application=%s terminal=%s", alert,
                 alert_member(entry, "action"), alert_member(entry, "object"),
                 alert_member(entry, "result"), alert_member(entry, "application"),
                 alert_member(entry, "terminal"));
}
