#include "handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "error.h"
#include "result.h"
#include "transport.h"

enum {
    HANDLE_ID_MAX = 200,
    HANDLE_OK_FROM = 200,
    HANDLE_OK_TO = 299,
    HANDLE_KEY_MAX = 128 /* the daemon's limit; the library may put something behind a key */
};

struct esign {
    struct transport *transport;
};

void esign_close(struct esign *handle)
{
    if (!handle)
        return;
    transport_free(handle->transport);
    free(handle);
}

DEFINE_CLEANUP(struct esign *, esign_close)

enum esign_rc esign_open(const char *path, struct esign **ret, struct esign_error *error)
{
    error_clear(error);
    CLEANUP(esign_close_p) struct esign *handle = calloc(1, sizeof(*handle));
    if (!handle)
        return error_set(error, ESIGN_E_INTERNAL, "memory", "there is no memory");
    enum esign_rc rc = transport_new(path ? path : ESIGN_SOCKET_DEFAULT, &handle->transport, error);
    if (rc != ESIGN_OK)
        return rc;
    *ret = TAKE(handle);
    return ESIGN_OK;
}

void esign_set_timeout(struct esign *handle, unsigned timeout_ms)
{
    transport_set_timeout(handle->transport, timeout_ms > 0 ? timeout_ms : 1);
}

/* Result or error of a finished exchange. */
static enum esign_rc handle_answer(struct transport_reply *reply, struct esign_result **ret,
                                   struct esign_error *error)
{
    if (reply->status < HANDLE_OK_FROM || reply->status > HANDLE_OK_TO)
        return error_from_problem(error, buf_bytes(&reply->body), reply->status);
    if (!ret)
        return ESIGN_OK;
    enum esign_rc rc = result_new(&reply->body, reply->is_json, ret);
    if (rc == ESIGN_E_PROTO)
        return error_set(error, rc, "reply", "the reply is not a JSON object");
    if (rc != ESIGN_OK)
        return error_set(error, rc, "memory", "there is no memory");
    return ESIGN_OK;
}

static enum esign_rc handle_exchange(struct esign *handle, const struct transport_request *request,
                                     struct esign_result **ret, struct esign_error *error)
{
    struct transport_reply reply = {.body = buf_new(ESIGN_REPLY_MAX)};
    enum esign_rc rc = transport_exchange(handle->transport, request, &reply, error);

    if (rc == ESIGN_OK)
        rc = handle_answer(&reply, ret, error);
    buf_done(&reply.body);
    return rc;
}

/* A path that cannot smuggle a second line into the request. */
static bool handle_path_usable(const char *path)
{
    if (strncmp(path, "/v1/", 4) != 0 || strlen(path) >= HANDLE_PATH_MAX)
        return false;
    for (; *path; path++)
        if (*path <= ' ' || *path > '~')
            return false;
    return true;
}

static bool handle_key_usable(const char *key)
{
    const char *at = key;

    while (*at >= ' ' && *at <= '~')
        at++;
    return !*at && at > key && at - key <= HANDLE_KEY_MAX;
}

static enum esign_rc handle_call(struct esign *handle, const struct transport_request *request,
                                 struct esign_result **ret, struct esign_error *error)
{
    error_clear(error);
    if (!handle_path_usable(request->path))
        return error_set(error, ESIGN_E_PROTO, "",
                         "the path is not usable: it begins with /v1/ and "
                         "is percent-encoded");
    if (request->key && !handle_key_usable(request->key))
        return error_set(error, ESIGN_E_PROTO, "",
                         "an Idempotency-Key has 1 to %d printable ASCII characters",
                         ESIGN_KEY_MAX);
    if (request->body.len > ESIGN_REQUEST_MAX)
        return error_set(error, ESIGN_E_TOO_LARGE, "request", "a request has at most %d bytes",
                         ESIGN_REQUEST_MAX);
    return handle_exchange(handle, request, ret, error);
}

enum esign_rc esign_call(struct esign *handle, const char *method, const char *path,
                         const char *body, size_t body_len, struct esign_result **ret,
                         struct esign_error *error)
{
    const struct transport_request request = {
        .path = path, .post = strcmp(method, "POST") == 0, .body = bytes_of(body, body_len)};

    error_clear(error);
    if (!request.post && (strcmp(method, "GET") != 0 || body_len > 0))
        return error_set(error, ESIGN_E_PROTO, "", "the method is GET without a body, or POST");
    return handle_call(handle, &request, ret, error);
}

enum esign_rc handle_get(struct esign *handle, const char *path, struct esign_result **ret,
                         struct esign_error *error)
{
    return esign_call(handle, "GET", path, NULL, 0, ret, error);
}

enum esign_rc handle_post_keyed(struct esign *handle, const struct handle_post *post,
                                struct esign_result **ret, struct esign_error *error)
{
    const struct transport_request request = {
        .path = post->path, .post = true, .body = buf_bytes(post->body), .key = post->key};

    error_clear(error);
    enum esign_rc rc = buf_ok(post->body)
                           ? handle_call(handle, &request, ret, error)
                           : error_set(error, ESIGN_E_TOO_LARGE, "request",
                                       "a request has at most %d bytes", ESIGN_REQUEST_MAX);
    buf_done(post->body);
    return rc;
}

enum esign_rc handle_post(struct esign *handle, const char *path, struct buf *body,
                          struct esign_result **ret, struct esign_error *error)
{
    const struct handle_post post = {.path = path, .body = body};

    return handle_post_keyed(handle, &post, ret, error);
}

enum esign_rc handle_path(const char *prefix, const char *id, const char *suffix, char *ret,
                          struct esign_error *error)
{
    error_clear(error);
    if (!id || !text_is_id(id, HANDLE_ID_MAX))
        return error_set(error, ESIGN_E_PROTO, "",
                         "an id has letters, digits, '.', '_' and '-' and begins with a letter or "
                         "digit");
    (void)snprintf(ret, HANDLE_PATH_MAX, "%s%s%s", prefix, id, suffix); /* all parts are short */
    return ESIGN_OK;
}

void handle_query(struct buf *path, const char *name, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    if (!value)
        return;
    buf_put_u8(path, path->len > 0 && memchr(path->data, '?', path->len) ? '&' : '?');
    buf_put_str(path, name);
    buf_put_u8(path, '=');
    for (; *value; value++) {
        if (strchr(plain, *value))
            buf_put_u8(path, (uint8_t)*value);
        else
            buf_put_fmt(path, "%%%02X", (unsigned)(unsigned char)*value);
    }
}

void handle_query_limit(struct buf *path, unsigned limit)
{
    if (limit == 0)
        return;
    buf_put_u8(path, path->len > 0 && memchr(path->data, '?', path->len) ? '&' : '?');
    buf_put_fmt(path, "limit=%u", limit);
}
