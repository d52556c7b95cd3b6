#include "api/handlers.h"

#include <stdio.h>
#include <string.h>

#include "authn/caller.h"
#include "base/cleanup.h"
#include "base/encode.h"

const char *handler_application(const struct api_request *request)
{
    return request->peer.kind == API_PEER_APPLICATION ? request->peer.id : NULL;
}

const char *handler_terminal(const struct api_request *request)
{
    return request->peer.kind == API_PEER_APPLICATION ? NULL : request->peer.id;
}

enum esign_rc handler_place(const struct api_request *request, struct session_place *ret,
                            struct fault *f)
{
    const char *named = json_str(request->body, "terminal");

    if (named && !handler_application(request))
        return fault_field(f, ESIGN_E_PROTO, "terminal",
                           "only an application names a terminal; this one is known");
    if (named && !text_is_id(named, API_ID_MAX))
        return fault_field(f, ESIGN_E_PROTO, "terminal",
                           "a terminal is named by letters, digits and . _ -");
    *ret = (struct session_place){handler_application(request),
                                  named ? named : handler_terminal(request), request->peer.uid};
    return ESIGN_OK;
}

enum esign_rc handler_entry(const struct api_request *request, struct fault *f)
{
    const char *application = handler_application(request);

    return application
               ? authn_caller_right(site_store(handler_site(request)), application, "entry_app", f)
               : ESIGN_OK;
}

struct register_origin handler_origin(const struct api_request *request)
{
    return (struct register_origin){handler_application(request), handler_terminal(request),
                                    request->deadline_at_ms};
}

enum esign_rc handler_reply(struct api_reply *reply, int status, json_t *value, struct fault *f)
{
    if (!value)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    reply->status = status;
    reply->json = value;
    return ESIGN_OK;
}

enum esign_rc handler_repetition(const struct api_request *request, int status,
                                 struct sign_key *ret_key, struct api_reply *reply, struct fault *f)
{
    struct site *s = handler_site(request);
    CLEANUP(sign_key_found_done) struct sign_key_found found = {0};
    const struct sign_key_claim claim = {.key = request->key,
                                         .application = handler_application(request),
                                         .terminal = handler_terminal(request),
                                         .uid = request->peer.uid,
                                         .method = request->method,
                                         .path = request->path,
                                         .body = request->body,
                                         .user_id = request->user_id,
                                         .deadline_at_ms = request->deadline_at_ms};
    enum esign_rc rc = sign_key_take(site_store(s), site_turns(s), &claim, ret_key, &found, f);

    if (rc != ESIGN_OK || !found.body)
        return rc;
    if (found.is_ticket)
        return handler_reply(reply, status, sign_ticket_view(s, found.body), f);
    if (json_object_set_new(found.body, "entry_seq", json_integer(found.seq)) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    return handler_reply(reply, status, sign_signature_view(found.body), f);
}

enum esign_rc handler_officer(const struct api_request *request, const char *role,
                              const char *role2, struct authn_person *ret, struct fault *f)
{
    const struct register_origin origin = handler_origin(request);

    return register_officer(handler_site(request), &origin, request->user_id, request->password,
                            role, role2, ret, f);
}

enum esign_rc handler_settle(const struct api_request *request, const struct authn_person *person,
                             const char *action, const char *object, enum esign_rc rc,
                             struct fault *f)
{
    const struct register_origin origin = handler_origin(request);

    if (rc == ESIGN_OK)
        return rc;
    return register_refused(handler_site(request), &origin, person, action, object, f);
}

/* A page of a list while it is filled. */
struct handler_page {
    json_t *items;             /* owned */
    char last[API_ID_MAX + 1]; /* id of the newest row that was looked at */
    size_t limit;
    bool more; /* there are rows after the last */
};

static void handler_page_done(struct handler_page *page)
{
    json_decref(page->items);
}

/* Rows in the order of the store until the page is full. */
static enum esign_rc handler_fill(const struct api_request *request,
                                  const struct handler_list *list, const json_t *rows,
                                  struct handler_page *page, struct fault *f)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        json_t *body = json_object_get(row, "body");
        if (json_array_size(page->items) == page->limit) {
            page->more = true;
            return ESIGN_OK;
        }
        (void)snprintf(page->last, sizeof(page->last), "%s", json_str(row, "id"));
        if (list->keep && !list->keep(request, body))
            continue;
        json_t *shown = list->view ? list->view(handler_site(request), body) : json_incref(body);
        if (json_array_append_new(page->items, shown) != 0)
            return fault_set(f, ESIGN_E_INTERNAL, "no memory for a list");
    }
    return ESIGN_OK;
}

enum esign_rc handler_list(const struct api_request *request, const struct handler_list *list,
                           struct api_reply *reply, struct fault *f)
{
    const char *after = api_query_text(&request->query, "after");
    CLEANUP(handler_page_done)
    struct handler_page page = {
        .items = json_array(),
        .limit = (size_t)api_query_number(&request->query, "limit", HANDLER_LIST_DEFAULT)};

    (void)snprintf(page.last, sizeof(page.last), "%s", after ? after : "");
    if (page.limit == 0)
        return fault_field(f, ESIGN_E_PROTO, "limit", "the limit is 1 to %d", HANDLER_LIST_MAX);
    for (bool end = false; !end && !page.more;) {
        if (clock_mono_ms(site_clock(handler_site(request))) >= request->deadline_at_ms)
            return fault_set(f, ESIGN_E_DEADLINE, "the list is too long to be searched in time");
        CLEANUP(json_decref_p) json_t *rows = NULL;
        enum esign_rc rc =
            store_list(site_store(handler_site(request)), list->kind, list->member, list->value,
                       page.last[0] ? page.last : NULL, HANDLER_LIST_MAX + 1, &rows, f);
        end = json_array_size(rows) <= HANDLER_LIST_MAX;
        if (rc == ESIGN_OK)
            rc = handler_fill(request, list, rows, &page, f);
        if (rc != ESIGN_OK)
            return rc;
    }
    return handler_reply(
        reply, 200,
        json_pack("{s:O, s:s*}", "items", page.items, "next", page.more ? page.last : NULL), f);
}

json_t *handler_pem(struct bytes der)
{
    CLEANUP(buf_done) struct buf base64 = buf_new(2 * SITE_CERT_MAX);
    CLEANUP(buf_done) struct buf pem = buf_new(3 * SITE_CERT_MAX);

    encode_base64(der, &base64);
    buf_put_str(&pem, "-----BEGIN CERTIFICATE-----\n");
    for (size_t at = 0; at < base64.len; at += 64) {
        buf_put(&pem, bytes_of(base64.data + at, base64.len - at < 64 ? base64.len - at : 64));
        buf_put_str(&pem, "\n");
    }
    buf_put_str(&pem, "-----END CERTIFICATE-----\n");
    const char *text = buf_str(&pem);
    return text ? json_string(text) : NULL;
}

static enum esign_rc handler_hash_content(const char *content, struct buf *ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf bytes = buf_new(SIGN_RECORD_MAX);
    uint8_t hash[SHA256_LEN];
    enum esign_rc rc = decode_base64(content, strlen(content), &bytes);

    if (rc != ESIGN_OK)
        return fault_field(f, rc, "record.content",
                           "the content must be base64 of at most %d bytes", SIGN_RECORD_MAX);
    bytes_sha256(buf_bytes(&bytes), (struct bytes){0}, hash);
    buf_put(ret, bytes_of(hash, sizeof(hash)));
    return ESIGN_OK;
}

enum esign_rc handler_record_digest(const json_t *record, struct buf *ret, struct fault *f)
{
    const char *content = json_str(record, "content"), *hex = json_str(record, "sha256");

    buf_clear(ret);
    if (content && hex)
        return fault_field(f, ESIGN_E_PROTO, "record.sha256",
                           "give the content or its hash, not both");
    if (content)
        return handler_hash_content(content, ret, f);
    if (!hex)
        return ESIGN_OK;
    uint8_t *room = buf_reserve(ret, SHA256_LEN);
    if (!room || decode_hex(hex, room, SHA256_LEN) != ESIGN_OK)
        return fault_field(f, ESIGN_E_PROTO, "record.sha256",
                           "the hash must be 64 hexadecimal digits");
    return ESIGN_OK;
}

void handler_secrets_done(struct handler_secrets *s)
{
    secret_free(s->receipt);
    secret_free(s->half);
    secret_free(s->password);
}

enum esign_rc handler_take_secrets(struct api_request *request, struct handler_secrets *ret,
                                   struct fault *f)
{
    CLEANUP(handler_secrets_done) struct handler_secrets secrets = {0};
    enum esign_rc rc = api_take_secret(request->body, "receipt", "receipt", &secrets.receipt, f);

    if (rc == ESIGN_OK)
        rc = api_take_secret(request->body, "secret", "secret", &secrets.half, f);
    if (rc == ESIGN_OK)
        rc = api_take_secret(request->body, "password", "password", &secrets.password, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret = secrets;
    secrets = (struct handler_secrets){0};
    return ESIGN_OK;
}
