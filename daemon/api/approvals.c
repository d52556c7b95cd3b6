/* /v1/approvals: actions of two persons. */
#include <stdio.h>

#include "api/handlers.h"
#include "authz/authz.h"
#include "base/cleanup.h"

/* An approval without the hash of the one-time code. */
static json_t *approvals_view(struct site *s, const json_t *body)
{
    json_t *view = json_deep_copy(body);

    (void)s;
    if (view)
        (void)json_object_del(view, "receipt_hash"); /* absent: nothing to do */
    return view;
}

HANDLER(handle_approval_list)
{
    const char *state = api_query_text(&request->query, "state");
    const struct handler_list list = {.kind = "approval",
                                      .member = state ? "state" : NULL,
                                      .value = state,
                                      .view = approvals_view};

    return handler_list(request, &list, reply, f);
}

HANDLER(handle_approval_get)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    struct site *s = handler_site(request);
    enum esign_rc rc = store_get(site_store(s), "approval", request->id, &row, NULL, f);

    return rc == ESIGN_OK ? handler_reply(reply, 200, approvals_view(s, row), f) : rc;
}

HANDLER(handle_approval_request)
{
    CLEANUP(authn_person_done) struct authn_person officer = {0};
    const struct register_origin origin = handler_origin(request);
    const char *action = json_str(request->body, "action");
    const struct authz_dual *dual = authz_dual_find(action);
    json_t *done = NULL;

    if (!dual)
        return fault_field(
            f, ESIGN_E_PROTO, "action",
            "actions of two persons are signer.enroll, application.add, terminal.add, "
            "credential.reset, card.register, restore.accept");
    enum esign_rc rc = handler_officer(request, dual->request_role, NULL, &officer, f);
    if (rc != ESIGN_OK)
        return rc;
    rc = register_request(handler_site(request), &origin, &officer, action,
                          json_object_get(request->body, "params"),
                          json_str(request->body, "reason"), &done, f);
    rc = handler_settle(request, &officer, "approval.refused", action, rc, f);
    return rc == ESIGN_OK ? handler_reply(reply, 201, done, f) : rc;
}

static enum esign_rc approvals_decide(struct api_request *request, bool approve,
                                      struct api_reply *reply, struct fault *f)
{
    CLEANUP(authn_person_done) struct authn_person officer = {0};
    const struct register_origin origin = handler_origin(request);
    char object[SITE_ID_MAX + 16];
    json_t *done = NULL;
    enum esign_rc rc = handler_officer(request, "secofficer", "regadmin", &officer, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = register_decide(handler_site(request), &origin, &officer, request->id, approve,
                         json_str(request->body, "reason"), &done, f);
    (void)snprintf(object, sizeof(object), "approval/%s", request->id);
    rc = handler_settle(request, &officer, "approval.refused", object, rc, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, done, f) : rc;
}

HANDLER(handle_approval_approve)
{
    return approvals_decide(request, true, reply, f);
}

HANDLER(handle_approval_decline)
{
    return approvals_decide(request, false, reply, f);
}
