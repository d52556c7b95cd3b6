/* /v1/sessions: the continuous period in which further signings need the private component only. */
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "base/cleanup.h"

HANDLER(handle_session_open)
{
    CLEANUP(authn_person_done) struct authn_person person = {0};
    struct session_place place;
    json_t *session = NULL;
    char object[API_ID_MAX + 16];
    const char *presence = json_str(request->body, "presence");
    enum esign_rc rc = handler_entry(request, f);

    if (rc == ESIGN_OK && presence && strcmp(presence, "connection") != 0)
        rc = fault_field(f, ESIGN_E_PROTO, "presence", "presence is \"connection\" or absent");
    if (rc == ESIGN_OK)
        rc = handler_place(request, &place, f);
    if (rc == ESIGN_OK)
        rc = handler_officer(request, "signer", NULL, &person, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct sign_opening opening = {.person = &person,
                                         .password = request->password,
                                         .place = place,
                                         .presence = presence != NULL,
                                         .deadline_at_ms = request->deadline_at_ms};
    rc = sign_session_open(handler_site(request), &opening, &session, f);
    (void)snprintf(object, sizeof(object), "signer/%s", person.signer_id);
    rc = handler_settle(request, &person, "session.refused", object, rc, f);
    return rc == ESIGN_OK ? handler_reply(reply, 201, session, f) : rc;
}

HANDLER(handle_session_close)
{
    struct session_place place;
    enum esign_rc rc = handler_place(request, &place, f);

    if (rc == ESIGN_OK)
        rc = sign_session_close(handler_site(request), json_str(request->body, "session"), &place,
                                f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, json_object(), f) : rc;
}
