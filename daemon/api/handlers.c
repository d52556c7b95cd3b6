#include "api/handlers.h"

#include <string.h>

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

/* One item of a list. */
static json_t *handler_item(struct site *s, const json_t *row, handler_view view)
{
    json_t *body = json_object_get(row, "body");

    return view ? view(s, body) : json_incref(body);
}

enum esign_rc handler_list(const struct api_request *request, const char *kind, const char *member,
                           const char *value, handler_view view, struct api_reply *reply,
                           struct fault *f)
{
    struct site *s = handler_site(request);
    CLEANUP(json_decref_p) json_t *rows = NULL;
    CLEANUP(json_decref_p) json_t *items = json_array();
    size_t limit = (size_t)api_query_number(&request->query, "limit", HANDLER_LIST_DEFAULT);
    enum esign_rc rc = store_list(site_store(s), kind, member, value,
                                  api_query_text(&request->query, "after"), limit + 1, &rows, f);

    if (rc != ESIGN_OK)
        return rc;
    size_t count = json_array_size(rows) > limit ? limit : json_array_size(rows);
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(items, handler_item(s, json_array_get(rows, i), view)) != 0)
            return fault_set(f, ESIGN_E_INTERNAL, "no memory for a list");
    const char *next =
        json_array_size(rows) > limit ? json_str(json_array_get(rows, limit - 1), "id") : NULL;
    return handler_reply(reply, 200, json_pack("{s:O, s:s*}", "items", items, "next", next), f);
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
