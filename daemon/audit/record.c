#include "audit/record.h"

#include <stdio.h>
#include <string.h>

static json_t *audit_record_actor(const struct audit_actor *actor)
{
    if (actor->signer_id)
        return json_pack("{s:s, s:s, s:s}", "role", actor->role ? actor->role : "signer",
                         "signer_id", actor->signer_id, "user_id", actor->user_id);
    if (actor->role && strcmp(actor->role, "peer") == 0)
        return json_pack("{s:s, s:I}", "role", "peer", "uid", (json_int_t)actor->uid);
    return json_pack("{s:s}", "role", "system");
}

json_t *audit_record(const struct audit_act *act)
{
    char result[80];
    const char *name = fault_name(act->result);
    bool named = act->result_reason && act->result_reason[0];

    (void)snprintf(result, sizeof(result), "%s%s%s%s", name, named ? "(" : "",
                   named ? act->result_reason : "", named ? ")" : ""); /* short words of ours */
    return json_pack("{s:s, s:o, s:s, s:s, s:s*, s:s*, s:s*, s:O*, s:O*, s:s*}", "action",
                     act->action, "actor", audit_record_actor(&act->actor), "object", act->object,
                     "result", result, "reason", act->reason, "application", act->application,
                     "terminal", act->terminal, "old", act->old_value, "new", act->new_value,
                     "alert", audit_alert_name(act->alert));
}
