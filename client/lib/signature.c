#include <stdio.h>

#include "base/cleanup.h"
#include "body.h"
#include "error.h"
#include "handle.h"
#include "session.h"

/* Bodies that carry components have a limit in the daemon; the rest of a request is small. */
enum { SIGNATURE_INLINE_MAX = 40 * 1024, SIGNATURE_KEY_MAX = 256 };

DEFINE_CLEANUP(struct esign_result *, esign_result_free)

static enum esign_rc signature_by_ticket(struct esign *handle, const struct esign_request *request,
                                         const struct esign_components *components,
                                         struct esign_result **ret, struct esign_error *error)
{
    CLEANUP(esign_result_free_p) struct esign_result *ticket = NULL;
    char key[SIGNATURE_KEY_MAX];
    struct esign_request first = *request;

    if (request->idempotency_key) { /* these are two requests, and a key stands for one */
        (void)snprintf(key, sizeof(key), "%s:ticket", request->idempotency_key);
        first.idempotency_key = key; /* one that was cut is too long for the daemon, too */
    }
    enum esign_rc rc = esign_ticket_create(handle, &first, &ticket, error);
    if (rc != ESIGN_OK)
        return rc;
    const struct esign_authorisation authorisation = {
        .ticket = esign_result_string(ticket, "ticket"),
        .nonce = esign_result_string(ticket, "nonce"),
        .presented_hash = esign_result_string(ticket, "record.hash"),
        .components = *components,
        .session = request->session,
        .idempotency_key = request->idempotency_key,
    };
    return esign_ticket_authorise(handle, &authorisation, ret, error);
}

enum esign_rc esign_sign(struct esign *handle, const struct esign_request *request,
                         const struct esign_components *components, struct esign_result **ret,
                         struct esign_error *error)
{
    if (request->record.content && request->record.content_len > SIGNATURE_INLINE_MAX)
        return signature_by_ticket(handle, request, components, ret, error);
    struct buf body = buf_new(ESIGN_REQUEST_MAX);
    body_open(&body, NULL);
    body_components(&body, components);
    body_request(&body, request);
    session_body(&body, request->session);
    body_close(&body);
    const struct handle_post post = {"/v1/signatures", request->idempotency_key, &body};
    return handle_post_keyed(handle, &post, ret, error);
}

static enum esign_rc signature_get(struct esign *handle, const char *signature, const char *part,
                                   struct esign_result **ret, struct esign_error *error)
{
    char path[HANDLE_PATH_MAX];
    enum esign_rc rc = handle_path("/v1/signatures/", signature, part, path, error);

    return rc == ESIGN_OK ? handle_get(handle, path, ret, error) : rc;
}

enum esign_rc esign_signature_get(struct esign *handle, const char *signature,
                                  struct esign_result **ret, struct esign_error *error)
{
    return signature_get(handle, signature, "", ret, error);
}

enum esign_rc esign_signature_proof(struct esign *handle, const char *signature,
                                    struct esign_result **ret, struct esign_error *error)
{
    return signature_get(handle, signature, "/proof", ret, error);
}

enum esign_rc esign_signature_manifestation(struct esign *handle, const char *signature,
                                            struct esign_result **ret, struct esign_error *error)
{
    return signature_get(handle, signature, "/manifestation", ret, error);
}

enum esign_rc esign_signature_list(struct esign *handle, const struct esign_signature_query *query,
                                   struct esign_result **ret, struct esign_error *error)
{
    CLEANUP(buf_done) struct buf path = buf_new(HANDLE_PATH_MAX);

    buf_put_str(&path, "/v1/signatures");
    if (query) {
        handle_query(&path, "record_type", query->record_type);
        handle_query(&path, "record_id", query->record_id);
        handle_query(&path, "signer", query->signer);
        handle_query(&path, "after", query->after);
        handle_query_limit(&path, query->limit);
    }
    const char *text = buf_str(&path);
    return handle_get(handle, text ? text : "", ret, error);
}

enum esign_rc esign_validate(struct esign *handle, const struct esign_validation *validation,
                             struct esign_result **ret, struct esign_error *error)
{
    struct buf body = buf_new(ESIGN_REQUEST_MAX);

    body_open(&body, NULL);
    body_base64(&body, "signature", bytes_of(validation->signature, validation->signature_len));
    body_record(&body, &validation->record);
    body_close(&body);
    return handle_post(handle, "/v1/validations", &body, ret, error);
}
