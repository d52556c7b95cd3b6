/* A listener on a socket in a temporary folder with a few rows, and a client that sends raw bytes.
 */
#pragma once

#include "req.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "api/decode.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "listen/listen.h"

enum { FIXTURE_WAIT_MS = 20000 }; /* for what must happen; a test fails after it */

struct fixture {
    char dir[32], path[64];
    struct listen_options options;
    struct api_router router;
    struct listen *listen;
    _Atomic(enum api_peer_kind) kind;                    /* who the next callers are; 0: nobody */
    atomic_uint decided, reports, handled, served_every; /* served_every: only each n-th caller */
    atomic_ullong refused;
    sem_t entered, release; /* of /v1/wait */
};

static inline int64_t fixture_now(void)
{
    return clock_mono_ms(clock_system());
}

static inline void fixture_wait(sem_t *semaphore)
{
    struct timespec until;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += FIXTURE_WAIT_MS / 1000;
    while (sem_timedwait(semaphore, &until) != 0)
        assert_int_equal(errno, EINTR);
}

/* The rows. */

static enum esign_rc fixture_echo(struct api_request *request, struct api_reply *reply,
                                  struct fault *f)
{
    struct fixture *fx = request->service;

    (void)f;
    atomic_fetch_add(&fx->handled, 1);
    reply->json =
        json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "path", request->path, "peer", request->peer.id,
                  "id", request->id, "text", json_str(request->body, "text"), "key", request->key);
    return ESIGN_OK;
}

/* With components: whether the password is as long as it should be. */
static enum esign_rc fixture_login(struct api_request *request, struct api_reply *reply,
                                   struct fault *f)
{
    struct fixture *fx = request->service;

    atomic_fetch_add(&fx->handled, 1);
    if (!request->password || secret_bytes(request->password).len != 32)
        return fault_set(f, ESIGN_E_AUTH_FAILED, "not a password of this test");
    reply->json = json_pack("{s:s}", "user_id", request->user_id);
    return ESIGN_OK;
}

static enum esign_rc fixture_waiting(struct api_request *request, struct api_reply *reply,
                                     struct fault *f)
{
    struct fixture *fx = request->service;

    (void)reply;
    (void)f;
    atomic_fetch_add(&fx->handled, 1);
    assert_int_equal(sem_post(&fx->entered), 0);
    fixture_wait(&fx->release);
    return ESIGN_OK;
}

static enum esign_rc fixture_late(struct api_request *request, struct api_reply *reply,
                                  struct fault *f)
{
    (void)reply;
    while (fixture_now() < request->deadline_at_ms + 300)
        (void)poll(NULL, 0, 10);
    return fault_set(f, ESIGN_E_DEADLINE, "too late");
}

static enum esign_rc fixture_large(struct api_request *request, struct api_reply *reply,
                                   struct fault *f)
{
    (void)request;
    (void)f;
    reply->content_type = "application/jsonl";
    reply->text = buf_new(4 * 1024 * 1024);
    for (int i = 0; i < 100000; i++)
        buf_put_fmt(&reply->text, "{\"line\":%06d}\n", i);
    return ESIGN_OK;
}

static const struct json_field fixture_text[] = {{"text", JSON_FIELD_STR, true, 900}};
#define FIXTURE_ALL  API_PEER_APPLICATION | API_PEER_TERMINAL | API_PEER_ROOT, API_STATE_ANY, NULL
#define FIXTURE_NONE NULL, 0, NULL, 0, false, "for tests"
static const struct api_route fixture_routes[] = {
    {"GET", "/v1/status", fixture_echo, FIXTURE_ALL, 0, API_COMPONENTS_NONE, FIXTURE_NONE},
    {"GET", "/v1/items/{id}", fixture_echo, FIXTURE_ALL, 0, API_COMPONENTS_NONE, FIXTURE_NONE},
    {"GET", "/v1/wait", fixture_waiting, FIXTURE_ALL, 0, API_COMPONENTS_NONE, FIXTURE_NONE},
    {"GET", "/v1/late", fixture_late, FIXTURE_ALL, 0, API_COMPONENTS_NONE, FIXTURE_NONE},
    {"GET", "/v1/large", fixture_large, FIXTURE_ALL, 0, API_COMPONENTS_NONE, FIXTURE_NONE},
    {"POST", "/v1/echo", fixture_echo, FIXTURE_ALL, 1000, API_COMPONENTS_NONE, fixture_text, 1,
     NULL, 0, true, "for tests"},
    {"POST", "/v1/login", fixture_login, FIXTURE_ALL, API_BODY_SMALL, API_COMPONENTS_REQUIRED,
     FIXTURE_NONE},
};

static inline bool fixture_ready(void *service)
{
    (void)service;
    return true;
}

static inline enum esign_rc fixture_permit(void *service, const struct api_peer *peer,
                                           const char *right, struct fault *f)
{
    (void)service;
    (void)peer;
    (void)right;
    (void)f;
    return ESIGN_OK;
}

static inline bool fixture_decide(void *ctx, const struct listen_credentials *who,
                                  struct api_peer *ret)
{
    struct fixture *fx = ctx;
    unsigned count = atomic_fetch_add(&fx->decided, 1) + 1, every = atomic_load(&fx->served_every);

    if (atomic_load(&fx->kind) == 0 || (every > 0 && count % every != 0))
        return false;
    if (who->uid != getuid() || who->gid != getgid())
        return false;
    *ret = (struct api_peer){
        .kind = atomic_load(&fx->kind), .id = "toy", .uid = who->uid, .gid = who->gid};
    return true;
}

static inline void fixture_refused(void *ctx, uid_t uid, gid_t gid, uint64_t count)
{
    struct fixture *fx = ctx;

    if (uid == getuid() && gid == getgid())
        atomic_fetch_add(&fx->refused, count);
    atomic_fetch_add(&fx->reports, 1);
}

/* options: fd, router, decide, refused and ctx are set here. */
static inline struct fixture *fixture_start(struct listen_options options)
{
    struct fixture *fx = calloc(1, sizeof(*fx));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fault f = {0};

    assert_non_null(fx);
    memcpy(fx->dir, "/tmp/esign-listen-XXXXXX", 25);
    assert_non_null(mkdtemp(fx->dir));
    (void)snprintf(fx->path, sizeof(fx->path), "%s/socket", fx->dir);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", fx->path);
    assert_int_equal(sem_init(&fx->entered, 0, 0), 0);
    assert_int_equal(sem_init(&fx->release, 0, 0), 0);
    atomic_store(&fx->kind, API_PEER_APPLICATION);
    fx->router =
        (struct api_router){.routes = fixture_routes,
                            .route_count = sizeof(fixture_routes) / sizeof(fixture_routes[0]),
                            .service = fx,
                            .ready = fixture_ready,
                            .permit = fixture_permit};
    fx->options = options;
    fx->options.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fx->options.router = &fx->router;
    fx->options.decide = fixture_decide;
    fx->options.refused = fixture_refused;
    fx->options.ctx = fx;
    assert_int_equal(bind(fx->options.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fx->options.fd, 128), 0);
    assert_int_equal(secret_start(&f), ESIGN_OK); /* as the service does */
    assert_int_equal(listen_start(&fx->options, &fx->listen, &f), ESIGN_OK);
    return fx;
}

static inline void fixture_stop(struct fixture *fx)
{
    listen_stop(fx->listen, FIXTURE_WAIT_MS);
    assert_int_equal(close(fx->options.fd), 0);
    assert_int_equal(unlink(fx->path), 0);
    assert_int_equal(rmdir(fx->dir), 0);
    (void)sem_destroy(&fx->entered);
    (void)sem_destroy(&fx->release);
    free(fx);
}

static const struct listen_options fixture_usual = {
    .max_connections = 16, .request_deadline_ms = 10000, .idle_ms = 10000};

/* The client. */

struct client_reply {
    int status; /* 0: closed without an answer */
    char head[4096];
    char *body; /* NUL-terminated; freed by client_reply_done */
    size_t len;
};

static inline void client_reply_done(struct client_reply *reply)
{
    free(reply->body);
    *reply = (struct client_reply){0};
}

static inline int client_connect(const struct fixture *fx)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", fx->path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* false: the other end has closed. */
static inline bool client_send(int fd, const void *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent < 0)
            return false;
        data = (const char *)data + sent;
        len -= (size_t)sent;
    }
    return true;
}

static inline bool client_receive(int fd, void *data, size_t len)
{
    for (size_t got = 0; got < len;) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&pfd, 1, FIXTURE_WAIT_MS), 1);
        ssize_t n = recv(fd, (char *)data + got, len - got, 0);
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static inline size_t client_length(const char *head)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");

    return at ? (size_t)strtoul(at + 17, NULL, 10) : 0;
}

/* One reply, without reading beyond it.  has_body: not after HEAD. */
static inline struct client_reply client_read(int fd, bool has_body)
{
    struct client_reply reply = {0};
    size_t len = 0;

    while (len + 1 < sizeof(reply.head) && client_receive(fd, reply.head + len, 1)) {
        reply.head[++len] = '\0';
        if (len >= 4 && strcmp(reply.head + len - 4, "\r\n\r\n") == 0)
            break;
    }
    if (len < 12 || strncmp(reply.head, "HTTP/1.", 7) != 0)
        return reply;
    reply.status = atoi(reply.head + 9);
    if (reply.status == 100)
        return client_read(fd, has_body);
    reply.len = has_body ? client_length(reply.head) : 0;
    reply.body = calloc(1, reply.len + 1);
    assert_non_null(reply.body);
    if (!client_receive(fd, reply.body, reply.len))
        reply.len = 0;
    return reply;
}

/* A connection of its own, one request, one reply. */
static inline struct client_reply client_ask(const struct fixture *fx, const void *data, size_t len)
{
    int fd = client_connect(fx);

    (void)client_send(fd, data, len); /* a refusal may come before everything is sent */
    struct client_reply reply = client_read(fd, true);
    assert_int_equal(close(fd), 0);
    return reply;
}

static inline int client_status(const struct fixture *fx, const char *request)
{
    struct client_reply reply = client_ask(fx, request, strlen(request));
    int status = reply.status;

    client_reply_done(&reply);
    return status;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: esignd\r\n\r\n"
