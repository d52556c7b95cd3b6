#include "transport.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "error.h"

enum { TRANSPORT_TIMEOUT_MS = 60000, TRANSPORT_URL_MAX = 4096, TRANSPORT_KEY_MAX = 256 };

struct transport {
    pthread_mutex_t lock; /* around the handle: one exchange at a time */
    CURL *curl;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    unsigned timeout_ms;
};

static void transport_start_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* a failure shows in curl_easy_init() */
}

void transport_free(struct transport *transport)
{
    if (!transport)
        return;
    curl_easy_cleanup(transport->curl);
    (void)pthread_mutex_destroy(&transport->lock); /* not locked: no call may be running */
    free(transport);
}

DEFINE_CLEANUP(struct transport *, transport_free)

/* libcurl's copy of the reply's piece is wiped as soon as it is ours. */
static size_t transport_write(char *data, size_t size, size_t count, void *ctx)
{
    struct transport_reply *reply = ctx;

    buf_put(&reply->body, bytes_of(data, size * count));
    explicit_bzero(data, size * count);
    return buf_ok(&reply->body) ? size * count : 0;
}

/* libcurl copies a body into its own buffer and frees that without wiping; it shows the buffer here
 * after its bytes are sent. */
static int transport_trace(CURL *curl, curl_infotype type, char *data, size_t len, void *ctx)
{
    (void)curl; /* part of libcurl's interface, as is ctx */
    (void)ctx;
    if (type == CURLINFO_DATA_OUT)
        explicit_bzero(data, len);
    return 0;
}

/* The options that stay the same for all exchanges of a handle. */
static bool transport_setup(CURL *curl, const char *path)
{
    return curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, transport_write) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, transport_trace) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L) == CURLE_OK;
}

enum esign_rc transport_new(const char *path, struct transport **ret, struct esign_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CLEANUP(transport_free_p) struct transport *transport = calloc(1, sizeof(*transport));

    if (!transport || pthread_mutex_init(&transport->lock, NULL) != 0)
        return error_set(error, ESIGN_E_INTERNAL, "memory", "there is no memory");
    int len = snprintf(transport->path, sizeof(transport->path), "%s", path);
    if (len <= 0 || (size_t)len >= sizeof(transport->path))
        return error_set(error, ESIGN_E_PROTO, "", "the path of a socket has 1 to %zu bytes",
                         sizeof(transport->path) - 1);
    (void)pthread_once(&once, transport_start_curl); /* cannot fail with a valid control */
    transport->curl = curl_easy_init();
    if (!transport->curl || !transport_setup(transport->curl, transport->path))
        return error_set(error, ESIGN_E_INTERNAL, "memory", "libcurl can't be started");
    transport->timeout_ms = TRANSPORT_TIMEOUT_MS;
    *ret = TAKE(transport);
    return ESIGN_OK;
}

void transport_set_timeout(struct transport *transport, unsigned timeout_ms)
{
    (void)pthread_mutex_lock(&transport->lock); /* cannot fail: a valid, not recursive lock */
    transport->timeout_ms = timeout_ms;
    (void)pthread_mutex_unlock(&transport->lock);
}

/* Why the socket could not be connected to; each cause has somebody else to help. */
static enum esign_rc transport_unconnected(const struct transport *transport,
                                           struct esign_error *error)
{
    long cause = 0;

    (void)curl_easy_getinfo(transport->curl, CURLINFO_OS_ERRNO, &cause); /* 0 if it fails */
    switch (cause) {
    case ENOENT:
    case ENOTDIR:
        return error_set(error, ESIGN_E_BUSY, "no_socket",
                         "there is no socket %s: esignd is not running, or has another socket",
                         transport->path);
    case EACCES:
    case EPERM:
        return error_set(error, ESIGN_E_PEER_DENIED, "permission",
                         "this user may not open %s: it is not in the socket's group",
                         transport->path);
    case ECONNREFUSED:
        return error_set(error, ESIGN_E_BUSY, "refused",
                         "nothing listens at %s any more: esignd has stopped", transport->path);
    case EAGAIN:
        return error_set(error, ESIGN_E_BUSY, "full", "too many callers wait at %s already",
                         transport->path);
    default:
        return error_set(error, ESIGN_E_BUSY, "unreachable",
                         "%s can't be connected to (error %ld of the system)", transport->path,
                         cause);
    }
}

/* What libcurl's result means to the caller. */
static enum esign_rc transport_fault(CURLcode code, const struct transport *transport,
                                     const struct transport_reply *reply, struct esign_error *error)
{
    switch ((int)code) {
    case CURLE_COULDNT_CONNECT:
        return transport_unconnected(transport, error);
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(error, ESIGN_E_DEADLINE, "no_answer",
                         "esignd did not answer within %u ms; what became of the request is not "
                         "known",
                         transport->timeout_ms);
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return error_set(error, ESIGN_E_PEER_DENIED, "closed",
                         "esignd closed the connection without an answer: this user is not "
                         "registered as application or terminal, or esignd stopped");
    case CURLE_WRITE_ERROR:
        if (!buf_ok(&reply->body))
            return error_set(error, ESIGN_E_TOO_LARGE, "reply",
                             "the reply is larger than %d bytes; ask for less at once",
                             ESIGN_REPLY_MAX);
        break;
    case CURLE_OUT_OF_MEMORY:
        return error_set(error, ESIGN_E_INTERNAL, "memory", "there is no memory");
    default:
        break;
    }
    return error_set(error, ESIGN_E_PROTO, "reply", "the reply was not understood: %s",
                     curl_easy_strerror(code));
}

/* Append to a list of headers; text NULL: nothing. */
static bool transport_add_header(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = text ? curl_slist_append(*list, text) : *list;

    if (!longer)
        return false;
    *list = longer;
    return true;
}

static bool transport_set_headers(const struct transport_request *request,
                                  struct curl_slist **headers)
{
    char key[TRANSPORT_KEY_MAX];

    if (!request->post)
        return transport_add_header(headers, "Expect:");
    int len = request->key ? snprintf(key, sizeof(key), "Idempotency-Key: %s", request->key) : 0;
    return len >= 0 && (size_t)len < sizeof(key) && transport_add_header(headers, "Expect:") &&
           transport_add_header(headers, "Content-Type: application/json") &&
           transport_add_header(headers, request->key ? key : NULL);
}

static bool transport_prepare(const struct transport *transport,
                              const struct transport_request *request, struct curl_slist **headers,
                              struct transport_reply *reply)
{
    CURL *curl = transport->curl;
    char url[TRANSPORT_URL_MAX];
    int len = snprintf(url, sizeof(url), "http://esignd%s", request->path);

    long own = request->post ? 1L : 0L; /* see transport_exchange() in the header */
    bool ok = len > 0 && (size_t)len < sizeof(url) && transport_set_headers(request, headers) &&
              curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)transport->timeout_ms) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, own) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, own) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply) == CURLE_OK;
    if (!request->post)
        return ok && curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    const void *body = request->body.len ? (const void *)request->body.data : "";
    return ok && curl_easy_setopt(curl, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body) == CURLE_OK;
}

static enum esign_rc transport_perform(struct transport *transport,
                                       const struct transport_request *request,
                                       struct transport_reply *reply, struct esign_error *error)
{
    struct curl_slist *headers = NULL;
    bool ready = transport_prepare(transport, request, &headers, reply);
    CURLcode code = ready ? curl_easy_perform(transport->curl) : CURLE_OUT_OF_MEMORY;

    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return transport_fault(code, transport, reply, error);
    const char *type = NULL;
    (void)curl_easy_getinfo(transport->curl, CURLINFO_CONTENT_TYPE, &type); /* NULL if it fails */
    (void)curl_easy_getinfo(transport->curl, CURLINFO_RESPONSE_CODE, &reply->status);
    reply->is_json = type &&
                     (strncmp(type, "application/json", 16) == 0 ||
                      strncmp(type, "application/problem+json", 24) == 0) &&
                     strncmp(type, "application/jsonl", 17) != 0;
    return ESIGN_OK;
}

enum esign_rc transport_exchange(struct transport *transport,
                                 const struct transport_request *request,
                                 struct transport_reply *reply, struct esign_error *error)
{
    (void)pthread_mutex_lock(&transport->lock); /* cannot fail: a valid, not recursive lock */
    enum esign_rc rc = transport_perform(transport, request, reply, error);
    (void)pthread_mutex_unlock(&transport->lock);
    return rc;
}
