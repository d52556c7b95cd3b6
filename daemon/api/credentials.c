/* /v1/signers/{id}/password and what else is done to passwords. */
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "base/cleanup.h"

DEFINE_CLEANUP(struct secret *, secret_free)

/* The owner's code must be the one of the path: nobody changes the password of another person. */
static enum esign_rc credentials_check_owner(const struct api_request *request, struct fault *f)
{
    char path[65], given[65];

    authn_user_key(request->id, path);
    authn_user_key(request->user_id, given);
    return strcmp(path, given) == 0
               ? ESIGN_OK
               : fault_field(f, ESIGN_E_PROTO, "components.user_id",
                             "a password is changed by its owner; officers ask for a reset");
}

HANDLER(handle_password_change)
{
    CLEANUP(authn_person_done) struct authn_person owner = {0};
    CLEANUP(secret_free_p) struct secret *password = NULL;
    CLEANUP(json_decref_p) json_t *signer = NULL;
    const struct register_origin origin = handler_origin(request);
    struct site *s = handler_site(request);
    char object[SITE_ID_MAX + 16];
    enum esign_rc rc = api_take_secret(request->body, "password", "password", &password, f);

    if (rc == ESIGN_OK)
        rc = credentials_check_owner(request, f);
    if (rc == ESIGN_OK)
        rc = register_owner(s, &origin, request->user_id, request->password, &owner, f);
    if (rc != ESIGN_OK)
        return rc;
    rc = register_change_password(s, &origin, &owner, password, f);
    (void)snprintf(object, sizeof(object), "signer/%s", owner.signer_id);
    rc = handler_settle(request, &owner, "credential.change", object, rc, f);
    if (rc == ESIGN_OK)
        rc = authn_find_signer(site_store(s), request->id, &signer, NULL, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, register_signer_view(s, signer), f) : rc;
}

HANDLER(handle_must_change)
{
    return handler_signer_act(request, "regadmin", "credential.must_change", register_must_change,
                              reply, f);
}
