/* /v1/signers/{id}/password and what else is done to passwords. */
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "authz/authz.h"
#include "base/cleanup.h"

DEFINE_CLEANUP(struct secret *, secret_free)

static bool credentials_are_own(const struct api_request *request,
                                const struct authn_person *person)
{
    char path[65], own[65];

    authn_user_key(request->id, path);
    authn_user_key(person->user_id, own);
    return strcmp(path, own) == 0;
}

/* Nobody sets the password of another person, whatever the rights. */
static enum esign_rc credentials_refuse(const struct authn_person *person, struct fault *f)
{
    if (authz_has_role(person->signer, "regadmin") || authz_has_role(person->signer, "secofficer"))
        return fault_set(f, ESIGN_E_DUAL_REQUIRED,
                         "two officers end a password (credential reset) and its owner sets the "
                         "new one");
    return fault_set(f, ESIGN_E_AUTHZ, "a password is changed by its owner");
}

HANDLER(handle_password_change)
{
    CLEANUP(authn_person_done) struct authn_person person = {0};
    CLEANUP(secret_free_p) struct secret *password = NULL;
    CLEANUP(json_decref_p) json_t *signer = NULL;
    const struct register_origin origin = handler_origin(request);
    struct site *s = handler_site(request);
    char object[API_ID_MAX + 16];
    enum esign_rc rc = api_take_secret(request->body, "password", "password", &password, f);

    if (rc == ESIGN_OK)
        rc = register_owner(s, &origin, request->user_id, request->password, &person, f);
    if (rc != ESIGN_OK)
        return rc;
    bool own = credentials_are_own(request, &person);
    rc = own ? register_change_password(s, &origin, &person, password, f)
             : credentials_refuse(&person, f);
    (void)snprintf(object, sizeof(object), "%s/%s", own ? "signer" : "userid",
                   own ? person.signer_id : request->id);
    rc = handler_settle(request, &person, "credential.change", object, rc, f);
    if (rc == ESIGN_OK)
        rc = authn_find_signer(site_store(s), request->id, &signer, NULL, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, register_signer_view(s, signer), f) : rc;
}

HANDLER(handle_password_set)
{
    CLEANUP(handler_secrets_done) struct handler_secrets secrets = {0};
    const struct register_origin origin = handler_origin(request);
    json_t *view = NULL;
    enum esign_rc rc = handler_take_secrets(request, &secrets, f);

    if (rc != ESIGN_OK)
        return rc;
    const struct register_setting setting = {.user_id = request->id,
                                             .receipt = secrets.receipt,
                                             .half = secrets.half,
                                             .password = secrets.password};
    rc = register_set_password(handler_site(request), &origin, &setting, &view, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, view, f) : rc;
}

HANDLER(handle_must_change)
{
    return handler_signer_act(request, "regadmin", "credential.must_change", register_must_change,
                              reply, f);
}
