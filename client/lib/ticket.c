#include "base/cleanup.h"
#include "body.h"
#include "handle.h"
#include "session.h"

enum esign_rc esign_status(struct esign *handle, struct esign_result **ret,
                           struct esign_error *error)
{
    return handle_get(handle, "/v1/status", ret, error);
}

enum esign_rc esign_ticket_create(struct esign *handle, const struct esign_request *request,
                                  struct esign_result **ret, struct esign_error *error)
{
    struct buf body = buf_new(ESIGN_REQUEST_MAX);

    body_open(&body, NULL);
    body_request(&body, request);
    body_close(&body);
    const struct handle_post post = {"/v1/tickets", request->idempotency_key, &body};
    return handle_post_keyed(handle, &post, ret, error);
}

enum esign_rc esign_ticket_show(struct esign *handle, const char *ticket, struct esign_result **ret,
                                struct esign_error *error)
{
    char path[HANDLE_PATH_MAX];
    enum esign_rc rc = handle_path("/v1/tickets/", ticket, "", path, error);

    return rc == ESIGN_OK ? handle_get(handle, path, ret, error) : rc;
}

enum esign_rc esign_ticket_authorise(struct esign *handle,
                                     const struct esign_authorisation *authorisation,
                                     struct esign_result **ret, struct esign_error *error)
{
    char path[HANDLE_PATH_MAX];
    enum esign_rc rc =
        handle_path("/v1/tickets/", authorisation->ticket, "/authorise", path, error);

    if (rc != ESIGN_OK)
        return rc;
    struct buf body = buf_new(ESIGN_REQUEST_MAX);
    body_open(&body, NULL);
    body_components(&body, &authorisation->components);
    body_string(&body, "nonce", authorisation->nonce);
    body_string(&body, "presented_hash", authorisation->presented_hash);
    session_body(&body, authorisation->session);
    if (authorisation->card)
        body_true(&body, "card");
    body_close(&body);
    const struct handle_post post = {path, authorisation->idempotency_key, &body};
    return handle_post_keyed(handle, &post, ret, error);
}

enum esign_rc esign_ticket_value(struct esign *handle, const struct esign_value *value,
                                 struct esign_result **ret, struct esign_error *error)
{
    char path[HANDLE_PATH_MAX];
    enum esign_rc rc = handle_path("/v1/tickets/", value->ticket, "/value", path, error);

    if (rc != ESIGN_OK)
        return rc;
    struct buf body = buf_new(ESIGN_REQUEST_MAX);
    body_open(&body, NULL);
    body_string(&body, "signature_id", value->signature_id);
    body_base64(&body, "value", bytes_of(value->value, value->value_len));
    session_body(&body, value->session);
    body_close(&body);
    return handle_post(handle, path, &body, ret, error);
}

enum esign_rc esign_ticket_decline(struct esign *handle, const char *ticket,
                                   const struct esign_components *components, const char *reason,
                                   struct esign_result **ret, struct esign_error *error)
{
    char path[HANDLE_PATH_MAX];
    enum esign_rc rc = handle_path("/v1/tickets/", ticket, "/decline", path, error);

    if (rc != ESIGN_OK)
        return rc;
    struct buf body = buf_new(ESIGN_REQUEST_MAX);
    body_open(&body, NULL);
    body_components(&body, components);
    body_string(&body, "reason", reason);
    body_close(&body);
    return handle_post(handle, path, &body, ret, error);
}

enum esign_rc esign_ticket_cancel(struct esign *handle, const char *ticket, const char *reason,
                                  struct esign_result **ret, struct esign_error *error)
{
    char path[HANDLE_PATH_MAX];
    enum esign_rc rc = handle_path("/v1/tickets/", ticket, "/cancel", path, error);

    if (rc != ESIGN_OK)
        return rc;
    struct buf body = buf_new(ESIGN_REQUEST_MAX);
    body_open(&body, NULL);
    body_string(&body, "reason", reason);
    body_close(&body);
    return handle_post(handle, path, &body, ret, error);
}

enum esign_rc esign_ticket_list(struct esign *handle, const struct esign_ticket_query *query,
                                struct esign_result **ret, struct esign_error *error)
{
    CLEANUP(buf_done) struct buf path = buf_new(HANDLE_PATH_MAX);

    buf_put_str(&path, "/v1/tickets");
    if (query) {
        handle_query(&path, "signer", query->signer);
        handle_query(&path, "after", query->after);
        handle_query_limit(&path, query->limit);
    }
    const char *text = buf_str(&path);
    return handle_get(handle, text ? text : "", ret, error);
}
