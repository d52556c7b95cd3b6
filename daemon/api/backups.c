/* /v1/backups: a copy of the store while it is in use. */
#include "api/handlers.h"
#include "base/cleanup.h"

HANDLER(handle_backup)
{
    CLEANUP(authn_person_done) struct authn_person officer = {0};
    const struct register_origin origin = handler_origin(request);
    json_t *made = NULL;
    enum esign_rc rc = handler_officer(request, "secofficer", "regadmin", &officer, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = register_backup(handler_site(request), &origin, &officer,
                         json_str(request->body, "reason"), &made, f);
    rc = handler_settle(request, &officer, "backup.refused", "service/esignd", rc, f);
    return rc == ESIGN_OK ? handler_reply(reply, 201, made, f) : rc;
}
