/* From a request's bytes to a handler: the rows that the API consists of, and the checks that stand
 * before every handler.
 *
 * What a row demands (kind of peer, right, state, components, largest body, members, query) is
 * enforced here and never by the handler, in this order: path, method, peer, state, query, key for
 * repetition, body, members, components.  Source: 21 CFR 11.10(d), (g), (h); design section 5. */
#pragma once

#include "base/json.h"
#include "base/secret.h"

#include <sys/types.h>

enum {
    API_ID_MAX = 64,            /* bytes of an identifier: {id} in a path, user_id, peer's id */
    API_QUERY_MAX = 8,          /* parameters of one request */
    API_QUERY_VALUE_MAX = 256,  /* bytes of a decoded value */
    API_TARGET_MAX = 4096,      /* bytes of path and query as sent */
    API_KEY_MAX = 128,          /* bytes of an Idempotency-Key: printable ASCII */
    API_BODY_SMALL = 64 * 1024, /* the most that a body with secrets may hold */
    API_REPLY_MAX = 16 * 1024 * 1024
};

/* Who calls, told by the kernel's credentials of the connection and the register. */
enum api_peer_kind {
    API_PEER_APPLICATION = 1,
    API_PEER_TERMINAL = 2,
    API_PEER_ROOT = 4 /* root or the daemon's own user: initialisation */
};

struct api_peer {
    enum api_peer_kind kind;
    char id[API_ID_MAX + 1]; /* id of the application or terminal; "root" */
    uid_t uid;
    gid_t gid;
};

enum api_state {
    API_STATE_UNINITIALISED = 1,
    API_STATE_READY = 2,
    API_STATE_RESTORED = 4, /* the store was put back, officers must accept it */
    API_STATE_OFFICERS = 6, /* what officers need for that is answered in both */
    API_STATE_ANY = 7
};

enum api_components {
    API_COMPONENTS_NONE,     /* a member "components" is refused as unknown */
    API_COMPONENTS_REQUIRED, /* without: ESIGN_E_COMPONENTS_REQUIRED */
    API_COMPONENTS_SIGNING   /* as far as they are given: which are needed depends on the session */
};

/* A parameter after the question mark; numbers are decimal without sign or leading zero. */
enum api_query_type { API_QUERY_ID, API_QUERY_LINE, API_QUERY_NUMBER };

struct api_query_field {
    const char *name;
    enum api_query_type type;
    uint64_t max; /* bytes of a text (0: API_QUERY_VALUE_MAX), largest number (0: 2^53-1) */
};

struct api_query_value {
    const struct api_query_field *field;
    char text[API_QUERY_VALUE_MAX + 1];
    int64_t number;
};

struct api_query {
    struct api_query_value values[API_QUERY_MAX];
    size_t count;
};

/* What a handler sees.  Everything is borrowed for the duration of the call. */
struct api_request {
    const char *method, *path; /* path as sent, without the query */
    struct api_peer peer;
    const char *id; /* what {id} of the pattern stands for: decoded, text_is_id; or NULL */
    json_t *body;   /* checked by the row's fields, "components" taken out; NULL for a GET; strings
                       are overwritten after the handler returns */
    char user_id[API_ID_MAX + 1]; /* components.user_id: text_is_id; empty if there is none */
    struct secret *password;      /* components.password; NULL if there is none */
    struct secret *room;          /* the transport's, where password is put; NULL: it has none */
    struct api_query query;
    const char *key;        /* Idempotency-Key, 1 to API_KEY_MAX bytes; NULL: none was sent */
    int64_t received_at_ms; /* UTC, when the request's first line had arrived */
    int64_t deadline_at_ms; /* monotonic */
    void *service;
};

/* What a handler fills: json, or text with its content type.  All zero: 200 with {}. */
struct api_reply {
    int status;               /* 0: 200 */
    json_t *json;             /* owned by the reply */
    struct buf text;          /* instead of json, if content_type is set; owned by the reply */
    const char *content_type; /* of text; static */
};

/* On anything but ESIGN_OK the reply's content is dropped and the fault is sent as problem+json. */
typedef enum esign_rc (*api_handler)(struct api_request *request, struct api_reply *reply,
                                     struct fault *f);

struct api_route {
    const char *method;  /* "GET" or "POST" */
    const char *pattern; /* "/v1/tickets/{id}/authorise" */
    api_handler handle;
    unsigned peers;    /* enum api_peer_kind, or-ed: who may call */
    unsigned state;    /* enum api_state, or-ed: in which states of the service */
    const char *right; /* demanded of an application, or NULL; terminals need none */
    size_t body_max;   /* bytes; 0: no body (a POST with 0 takes none, or {}) */
    enum api_components components;
    const struct json_field *fields; /* of the body, without "components" */
    size_t field_count;
    const struct api_query_field *query;
    size_t query_count;
    bool takes_key;      /* an Idempotency-Key is kept; elsewhere it is refused */
    const char *summary; /* one sentence for openapi.yaml and the man page */
};

/* The table and what it is asked against; lives as long as the listener. */
struct api_router {
    const struct api_route *routes;
    size_t route_count;
    void *service; /* given to handlers and to the questions below */
    bool (*ready)(void *service);
    bool (*restored)(void *service); /* asked if it is not ready; NULL: no */
    /* Whether the peer is (still) registered and, for an application, has the right (NULL: none is
     * needed).  Asked for every request.  ESIGN_E_PEER_DENIED, ESIGN_E_AUTHZ. */
    enum esign_rc (*permit)(void *service, const struct api_peer *peer, const char *right,
                            struct fault *f);
    /* Told of a registered caller who may not do this; may be NULL.  Source: 21 CFR 11.10(g). */
    void (*denied)(void *service, const struct api_peer *peer, const struct api_route *route,
                   const struct fault *f);
};

/* The value of a parameter that the row allows, or NULL if it was not sent. */
const char *api_query_text(const struct api_query *query, const char *name);
/* The number, or fallback. */
int64_t api_query_number(const struct api_query *query, const char *name, int64_t fallback);

/* Take a string member of object as a secret and overwrite it there: for passwords outside
 * "components".  path: as f->field names it.  ESIGN_E_PROTO: missing, no string, empty or too long;
 * ESIGN_E_INTERNAL: no memory.  ret: owned by the caller. */
enum esign_rc api_take_secret(json_t *object, const char *name, const char *path,
                              struct secret **ret, struct fault *f) MUST_CHECK;

/* One request as the transport has it: the row that it is for is looked up before its body is
 * read. */
struct api_call {
    const char *method;
    const char *target;       /* path and query as sent, nothing decoded */
    const char *content_type; /* NULL: none was sent */
    const char *key;          /* Idempotency-Key as sent, checked by api_admit; NULL: none */
    struct api_peer peer;
    struct secret *room; /* as in struct api_request: kept by the transport between requests */
    int64_t received_at_ms, deadline_at_ms; /* as in struct api_request */
    const struct api_route *route;          /* set by api_admit */
    char id[API_ID_MAX + 1];                /* set by api_admit; empty: the pattern has none */
    struct api_query query;                 /* set by api_admit */
};

/* What the transport sends. */
struct api_answer {
    int status;
    const char *content_type; /* static */
    struct buf body;          /* owned; buf_done() it */
    int retry_after_s;        /* value of the header Retry-After, 0: none */
    const char *allow;        /* value of the header Allow for a 405, or NULL; static */
};

/* Before the body: find the row and check everything that needs no body.  call: method to
 * deadline_at_ms are set.  On ESIGN_OK call->route->body_max is the limit of the body.  Otherwise
 * the answer is complete and the body is not wanted.
 * Source: 21 CFR 11.10(d). */
enum esign_rc api_admit(const struct api_router *router, struct api_call *call,
                        struct api_answer *ret, struct fault *f) MUST_CHECK;

/* After the body: decode it, run the handler, encode its reply or fault.  body: the transport's; it
 * is wiped as soon as it is decoded, and released unless it is of locked memory, which the
 * transport may use again.  Blocks as long as the handler. */
void api_dispatch(const struct api_router *router, const struct api_call *call, struct buf *body,
                  struct api_answer *ret);

/* The answer for a fault that arose in the transport (header guard, body over the limit). */
void api_answer_fault(const struct fault *f, struct api_answer *ret);

/* Whether path (without query, as sent) fits the pattern; ret_id: API_ID_MAX+1 bytes, what {id}
 * stands for, decoded; empty if the pattern has none. */
bool api_pattern_fits(const char *pattern, struct bytes path, char *ret_id);

/* Parse a query (without the question mark) by a row's fields: unknown, repeated and malformed
 * parameters are refused by name.  ESIGN_E_PROTO, ESIGN_E_TOO_LARGE. */
enum esign_rc api_query_parse(struct bytes text, const struct api_query_field *fields,
                              size_t field_count, struct api_query *ret,
                              struct fault *f) MUST_CHECK;

/* Decode %XX: strict (two hexadecimal digits, no %00), valid UTF-8 without control characters.
 * plus: '+' stands for a space.  ret: size bytes, NUL-terminated.  ESIGN_E_PROTO,
 * ESIGN_E_TOO_LARGE. */
enum esign_rc api_percent_decode(struct bytes text, bool plus, char *ret, size_t size) MUST_CHECK;
