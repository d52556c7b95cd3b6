#include "api/route.h"

#include "api/decode.h"
#include "api/reply.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"

/* The part of path up to the next slash; path moves behind it. */
static struct bytes route_segment(struct bytes *path)
{
    const uint8_t *slash = path->len ? memchr(path->data, '/', path->len) : NULL;
    size_t len = slash ? (size_t)(slash - path->data) : path->len;
    struct bytes segment = bytes_of(path->data, len);

    *path = slash ? bytes_of(slash + 1, path->len - len - 1) : (struct bytes){0};
    return segment;
}

bool api_pattern_fits(const char *pattern, struct bytes path, char *ret_id)
{
    struct bytes want = bytes_of_str(pattern);
    char id[API_ID_MAX + 1] = "";

    if (path.len == 0 || path.data[0] != '/' || path.data[path.len - 1] == '/')
        return false;
    while (want.len > 0 || path.len > 0) {
        struct bytes expected = route_segment(&want), segment = route_segment(&path);
        if (expected.len > 0 && expected.data[0] == '{') {
            if (api_percent_decode(segment, false, id, sizeof(id)) != ESIGN_OK ||
                !text_is_id(id, API_ID_MAX))
                return false;
        } else if (!bytes_equal(expected, segment)) {
            return false;
        }
    }
    memcpy(ret_id, id, sizeof(id));
    return true;
}

static struct bytes route_path(const char *target)
{
    return bytes_of(target, strcspn(target, "?"));
}

static const char *route_allow(unsigned methods)
{
    static const char *const texts[] = {"", "GET", "POST", "GET, POST"};

    return texts[methods];
}

/* The row for a call; a fault with its HTTP status otherwise. */
static enum esign_rc route_find(const struct api_router *router, struct api_call *call,
                                struct api_answer *ret, struct fault *f)
{
    struct bytes path = route_path(call->target);
    unsigned methods = 0; /* bit 0: GET, bit 1: POST */

    for (size_t i = 0; i < router->route_count; i++) {
        const struct api_route *route = &router->routes[i];
        if (!api_pattern_fits(route->pattern, path, call->id))
            continue;
        if (strcmp(route->method, call->method) == 0) {
            call->route = route;
            return ESIGN_OK;
        }
        methods |= strcmp(route->method, "GET") == 0 ? 1 : 2;
    }
    if (methods == 0) {
        (void)fault_set(f, ESIGN_E_NOT_FOUND, "there is no such path"); /* returned below */
        api_reply_fault(f, 0, ret);
        return ESIGN_E_NOT_FOUND;
    }
    (void)fault_set(f, ESIGN_E_UNSUPPORTED, "this path takes %s", route_allow(methods));
    api_reply_fault(f, 405, ret);
    ret->allow = route_allow(methods);
    return ESIGN_E_UNSUPPORTED;
}

static enum esign_rc route_check_peer(const struct api_router *router, const struct api_call *call,
                                      struct fault *f)
{
    const struct api_route *route = call->route;
    bool is_application = call->peer.kind == API_PEER_APPLICATION;

    if (!(route->peers & (unsigned)call->peer.kind)) {
        if (is_application && (route->peers & API_PEER_TERMINAL))
            return fault_set(f, ESIGN_E_TERMINAL, "this is done by a person at a terminal");
        return fault_set(f, ESIGN_E_AUTHZ, "this is not for a caller of this kind");
    }
    return router->permit(router->service, &call->peer, is_application ? route->right : NULL, f);
}

/* What is no denial but a failure of the service is in its log only. */
static void route_tell_denied(const struct api_router *router, const struct api_call *call,
                              enum esign_rc rc, struct fault *f)
{
    f->rc = rc;
    if (router->denied &&
        (rc == ESIGN_E_AUTHZ || rc == ESIGN_E_TERMINAL || rc == ESIGN_E_PEER_DENIED))
        router->denied(router->service, &call->peer, call->route, f);
}

static enum esign_rc route_check_state(const struct api_router *router,
                                       const struct api_route *route, struct fault *f)
{
    enum api_state state =
        router->ready(router->service) ? API_STATE_READY : API_STATE_UNINITIALISED;

    if (state != API_STATE_READY && router->restored && router->restored(router->service))
        state = API_STATE_RESTORED;
    if (route->state & (unsigned)state)
        return ESIGN_OK;
    if (state == API_STATE_RESTORED)
        return fault_reason(f, ESIGN_E_STOPPED, "restored",
                            "the store was put back; two officers must accept it first");
    if (state == API_STATE_READY)
        return fault_reason(f, ESIGN_E_CONFLICT, "ready", "the service is initialised already");
    return fault_reason(f, ESIGN_E_CONFLICT, "uninitialised",
                        "the service is not initialised; run esign init");
}

static enum esign_rc route_parse_query(struct api_call *call, struct fault *f)
{
    const char *query = strchr(call->target, '?');

    return api_query_parse(query ? bytes_of_str(query + 1) : (struct bytes){0}, call->route->query,
                           call->route->query_count, &call->query, f);
}

/* Where a key is not kept the caller must not think that a repetition is safe. */
static enum esign_rc route_check_key(const struct api_call *call, struct fault *f)
{
    const char *at = call->key;

    if (!at)
        return ESIGN_OK;
    if (!call->route->takes_key)
        return fault_field(f, ESIGN_E_PROTO, "Idempotency-Key", "this request takes no key");
    while (*at >= ' ' && *at <= '~')
        at++;
    if (*at || at == call->key || at - call->key > API_KEY_MAX)
        return fault_field(f, ESIGN_E_PROTO, "Idempotency-Key",
                           "a key has 1 to %d printable ASCII characters", API_KEY_MAX);
    return ESIGN_OK;
}

enum esign_rc api_admit(const struct api_router *router, struct api_call *call,
                        struct api_answer *ret, struct fault *f)
{
    enum esign_rc rc = route_find(router, call, ret, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = route_check_peer(router, call, f);
    if (rc != ESIGN_OK)
        route_tell_denied(router, call, rc, f);
    if (rc == ESIGN_OK)
        rc = route_check_state(router, call->route, f);
    if (rc == ESIGN_OK)
        rc = route_parse_query(call, f);
    if (rc == ESIGN_OK)
        rc = route_check_key(call, f);
    if (rc != ESIGN_OK) {
        f->rc = rc; /* what was returned counts, also where the fault was not filled */
        api_reply_fault(f, 0, ret);
    }
    return rc;
}

/* "application/json", with or without charset=utf-8. */
static bool route_is_json(const char *content_type)
{
    static const char type[] = "application/json";

    if (!content_type || strncasecmp(content_type, type, sizeof(type) - 1) != 0)
        return false;
    const char *rest = content_type + sizeof(type) - 1;
    if (!*rest)
        return true;
    rest += strspn(rest, " ");
    if (*rest++ != ';')
        return false;
    rest += strspn(rest, " ");
    return strcasecmp(rest, "charset=utf-8") == 0;
}

static enum esign_rc route_run(const struct api_router *router, const struct api_call *call,
                               struct buf *body, struct api_reply *reply, struct fault *f)
{
    const struct api_route *route = call->route;
    CLEANUP(api_decode_done)
    struct api_request request = {.method = route->method,
                                  .peer = call->peer,
                                  .room = call->room,
                                  .id = *call->id ? call->id : NULL,
                                  .query = call->query,
                                  .key = call->key,
                                  .received_at_ms = call->received_at_ms,
                                  .deadline_at_ms = call->deadline_at_ms,
                                  .service = router->service};
    struct bytes path = route_path(call->target);
    char text[API_TARGET_MAX + 1];

    if (path.len >= sizeof(text))
        return fault_set(f, ESIGN_E_TOO_LARGE, "the path is too long");
    memcpy(text, path.data, path.len);
    text[path.len] = '\0';
    request.path = text;
    if (route->body_max > 0) {
        enum esign_rc rc = api_decode_body(route, buf_bytes(body), &request, f);
        if (body->locked)
            buf_clear(body);
        else
            buf_done(body);
        if (rc != ESIGN_OK)
            return rc;
    }
    if (clock_mono_ms(clock_system()) >= call->deadline_at_ms)
        return fault_set(f, ESIGN_E_DEADLINE, "the request took too long to arrive");
    return route->handle(&request, reply, f);
}

static void route_log(const struct api_call *call, const struct fault *f)
{
    if (fault_http(f->rc) >= 500)
        log_warn("request failed method=%s path=%s code=%s cause=%lu detail=%s",
                 call->route->method, call->route->pattern, fault_name(f->rc), f->cause, f->detail);
    else
        log_debug("request refused method=%s path=%s code=%s", call->route->method,
                  call->route->pattern, fault_name(f->rc));
}

void api_dispatch(const struct api_router *router, const struct api_call *call, struct buf *body,
                  struct api_answer *ret)
{
    CLEANUP(api_reply_done) struct api_reply reply = {0};
    struct fault f = {0};

    if (body->len > 0 && !route_is_json(call->content_type)) {
        (void)fault_set(&f, ESIGN_E_UNSUPPORTED, "a body is sent as application/json");
        api_reply_fault(&f, 415, ret);
        return;
    }
    enum esign_rc rc = route_run(router, call, body, &reply, &f);
    if (rc == ESIGN_OK)
        rc = api_reply_encode(&reply, ret, &f);
    if (rc == ESIGN_OK)
        return;
    f.rc = rc; /* what was returned counts, also where the fault was not filled */
    /* where a person acts, or root, the handler has entered it */
    if (call->route->components == API_COMPONENTS_NONE &&
        (call->route->peers & API_PEER_APPLICATION))
        route_tell_denied(router, call, rc, &f);
    route_log(call, &f);
    api_reply_fault(&f, 0, ret);
}
