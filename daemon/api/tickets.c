/* /v1/tickets and POST /v1/signatures: signing requests and their authorisation. */
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "authn/caller.h"
#include "authz/authz.h"
#include "base/cleanup.h"

/* A hash instead of the bytes is a right of an application; asked for only where one is given. */
static bool tickets_may_digest_only(const struct api_request *request)
{
    const char *application = handler_application(request);

    return application && json_str(request->body, "record.sha256") &&
           authn_caller_right(site_store(handler_site(request)), application, "digest_only",
                              NULL) == ESIGN_OK;
}

static struct sign_request tickets_request(const struct api_request *request)
{
    const json_t *body = request->body;

    return (struct sign_request){.record = json_object_get(body, "record"),
                                 .meaning = json_str(body, "meaning"),
                                 .plan = json_str(body, "plan"),
                                 .step = json_str(body, "step"),
                                 .signer = json_str(body, "signer"),
                                 .reason = json_str(body, "reason"),
                                 .comment = json_str(body, "comment"),
                                 .application = handler_application(request),
                                 .terminal = handler_terminal(request),
                                 .uid = request->peer.uid,
                                 .may_digest_only = tickets_may_digest_only(request)};
}

HANDLER(handle_ticket_create)
{
    struct site *s = handler_site(request);
    const struct sign_request wanted = tickets_request(request);
    CLEANUP(sign_key_done) struct sign_key key = {0};
    CLEANUP(json_decref_p) json_t *ticket = NULL;
    enum esign_rc rc = handler_repetition(request, 201, &key, reply, f);

    if (rc != ESIGN_OK || reply->json)
        return rc;
    rc = sign_ticket_make(s, &wanted, &ticket, f);
    if (rc == ESIGN_OK)
        rc = sign_ticket_create(s, ticket, &key, request->deadline_at_ms, f);
    return rc == ESIGN_OK ? handler_reply(reply, 201, sign_ticket_view(s, ticket), f) : rc;
}

/* An application sees its own tickets only; at a terminal people see all. */
static bool tickets_visible(const struct api_request *request, const json_t *ticket)
{
    const char *application = handler_application(request),
               *owner = json_str(ticket, "application");

    return !application || (owner && strcmp(owner, application) == 0);
}

/* What of a visible ticket is asked for. */
static bool tickets_keep(const struct api_request *request, const json_t *ticket)
{
    const char *signer = api_query_text(&request->query, "signer");
    const char *state = api_query_text(&request->query, "state");
    int64_t now_ms = clock_now_ms(site_clock(handler_site(request)));

    return tickets_visible(request, ticket) && (!signer || authz_ticket_is_for(ticket, signer)) &&
           (!state || strcmp(state, authz_ticket_state(ticket, now_ms)) == 0);
}

HANDLER(handle_ticket_list)
{
    const char *state = api_query_text(&request->query, "state");
    /* "expired" is no state of a row but of the clock */
    bool stored = state && strcmp(state, "expired") != 0;
    const struct handler_list list = {.kind = "ticket",
                                      .member = stored ? "state" : NULL,
                                      .value = stored ? state : NULL,
                                      .view = sign_ticket_view,
                                      .keep = tickets_keep};

    return handler_list(request, &list, reply, f);
}

HANDLER(handle_ticket_get)
{
    struct site *s = handler_site(request);
    CLEANUP(json_decref_p) json_t *ticket = NULL;
    enum esign_rc rc = sign_ticket_get(s, request->id, &ticket, NULL, f);

    if (rc == ESIGN_OK && !tickets_visible(request, ticket))
        rc = fault_set(f, ESIGN_E_AUTHZ, "this ticket belongs to another application");
    return rc == ESIGN_OK ? handler_reply(reply, 200, sign_ticket_view(s, ticket), f) : rc;
}

/* The act of signing that a request asks for. */
static enum esign_rc tickets_act(const struct api_request *request, struct sign_act *ret,
                                 struct fault *f)
{
    *ret = (struct sign_act){.session = json_str(request->body, "session"),
                             .user_id = *request->user_id ? request->user_id : NULL,
                             .password = request->password,
                             .card = json_flag(request->body, "card"),
                             .deadline_at_ms = request->deadline_at_ms};
    return handler_place(request, &ret->place, f);
}

HANDLER(handle_ticket_authorise)
{
    CLEANUP(sign_key_done) struct sign_key key = {0};
    struct sign_act act;
    json_t *signature = NULL;
    enum esign_rc rc = handler_entry(request, f);

    if (rc == ESIGN_OK)
        rc = handler_repetition(request, 200, &key, reply, f);
    if (rc != ESIGN_OK || reply->json)
        return rc;
    rc = tickets_act(request, &act, f);
    if (rc != ESIGN_OK)
        return rc;
    act.ticket_id = request->id;
    act.key = &key;
    act.nonce = json_str(request->body, "nonce");
    act.presented_hash = json_str(request->body, "presented_hash");
    rc = sign_run(handler_site(request), &act, &signature, f);
    if (rc != ESIGN_OK)
        return rc;
    bool wanted = strcmp(json_str(signature, "state"), "value-wanted") == 0;
    return handler_reply(reply, wanted ? 202 : 200, signature, f);
}

/* A signer who declines proves all components, as for a signature. */
HANDLER(handle_ticket_decline)
{
    CLEANUP(authn_person_done) struct authn_person person = {0};
    struct site *s = handler_site(request);
    char object[API_ID_MAX + 16];
    enum esign_rc rc = handler_entry(request, f);

    if (rc == ESIGN_OK)
        rc = handler_officer(request, "signer", NULL, &person, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct sign_end end = {"declined",
                                 json_str(request->body, "reason"),
                                 handler_application(request),
                                 handler_terminal(request),
                                 request->peer.uid,
                                 &person};
    rc = sign_ticket_end(s, request->id, &end, request->deadline_at_ms, f);
    (void)snprintf(object, sizeof(object), "ticket/%s", request->id);
    rc = handler_settle(request, &person, "ticket.refused", object, rc, f);
    return rc == ESIGN_OK ? handle_ticket_get(request, reply, f) : rc;
}

HANDLER(handle_ticket_cancel)
{
    const struct sign_end end = {"cancelled",
                                 json_str(request->body, "reason"),
                                 handler_application(request),
                                 handler_terminal(request),
                                 request->peer.uid,
                                 NULL};
    const struct sign_answer answer = {
        .ticket_id = request->id,
        .place = {handler_application(request), handler_terminal(request), request->peer.uid}};
    bool done = false;
    enum esign_rc rc = sign_give_up(handler_site(request), &answer, end.reason, &done, f);

    if (rc == ESIGN_OK && !done)
        rc = sign_ticket_end(handler_site(request), request->id, &end, request->deadline_at_ms, f);
    return rc == ESIGN_OK ? handle_ticket_get(request, reply, f) : rc;
}

/* Ticket and authorisation in one call. */
HANDLER(handle_sign)
{
    struct site *s = handler_site(request);
    const struct sign_request wanted = tickets_request(request);
    CLEANUP(sign_key_done) struct sign_key key = {0};
    CLEANUP(json_decref_p) json_t *ticket = NULL;
    json_t *signature = NULL;
    struct sign_act act;
    enum esign_rc rc = handler_repetition(request, 201, &key, reply, f);

    if (rc != ESIGN_OK || reply->json)
        return rc;
    rc = tickets_act(request, &act, f);
    if (rc == ESIGN_OK)
        rc = sign_ticket_make(s, &wanted, &ticket, f);
    if (rc != ESIGN_OK)
        return rc;
    act.new_ticket = ticket;
    act.key = &key;
    rc = sign_run(s, &act, &signature, f);
    return rc == ESIGN_OK ? handler_reply(reply, 201, signature, f) : rc;
}
