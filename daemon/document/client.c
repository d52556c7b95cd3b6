/* Asking esign-document, as a service or as a child. */
#include "document/document_internal.h"

#include "base/cleanup.h"
#include "base/worker/call.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { CHILD_FD = 3 };

struct document {
    struct worker_pool *pool;
    pid_t child; /* 0: a service */
};

enum esign_rc document_open(const char *path, unsigned lanes, struct document **ret,
                            struct fault *f)
{
    CLEANUP(free_p) struct document *d = calloc(1, sizeof *d);
    if (!d)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a service");
    enum esign_rc rc = worker_pool_new("document", path, lanes, &d->pool, f);
    if (rc)
        return rc;
    *ret = TAKE(d);
    return ESIGN_OK;
}

/* Start program with --once and that socket as descriptor 3; nothing of our environment is needed
 * there.  Returns the pid, or 0 with errno in ret_error. */
static pid_t spawn_child(const char *program, int socket_fd, int *ret_error)
{
    char *const argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "--once", NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;

    *ret_error = posix_spawn_file_actions_init(&actions);
    if (*ret_error)
        return 0;
    *ret_error = posix_spawn_file_actions_adddup2(&actions, socket_fd, CHILD_FD);
    if (!*ret_error)
        *ret_error = posix_spawn(&pid, program, &actions, NULL, argv, environment);
    (void)posix_spawn_file_actions_destroy(&actions); /* never fails for an initialised object */
    return *ret_error ? 0 : pid;
}

enum esign_rc document_spawn(const char *program, struct document **ret, struct fault *f)
{
    int pair[2], error = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no socket for a child");
    CLEANUP(close_p) int own = pair[0];
    CLEANUP(close_p) int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, CHILD_FD + 1);
    (void)close(pair[1]); /* the copy is used: dup2 onto itself would leave FD_CLOEXEC set */
    CLEANUP(free_p) struct document *d = calloc(1, sizeof *d);
    if (theirs < 0 || !d)
        return fault_set(f, ESIGN_E_INTERNAL, "no room for a child");
    pid_t pid = spawn_child(program, theirs, &error);
    if (!pid) {
        fault_reason(f, ESIGN_E_HSM, "worker", "%.150s can't be started: %s", program,
                     strerror(error));
        return ESIGN_E_HSM;
    }
    enum esign_rc rc = worker_pool_adopt("document", TAKE_FD(own), &d->pool, f);
    if (rc) {
        (void)kill(pid, SIGKILL); /* our child, not yet waited for */
        (void)waitpid(pid, NULL, 0);
        return rc;
    }
    d->child = pid;
    *ret = TAKE(d);
    return ESIGN_OK;
}

void document_close(struct document *d)
{
    if (!d)
        return;
    worker_pool_free(d->pool);
    if (d->child > 0) {
        (void)kill(d->child, SIGKILL); /* our child, not yet waited for; its answer is here */
        while (waitpid(d->child, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    free(d);
}

enum esign_rc document_ping(struct document *d, int64_t deadline_at_ms, struct fault *f)
{
    return worker_ping(d->pool, deadline_at_ms, f);
}

static enum esign_rc check_sizes(const struct document_signature *s, struct fault *f)
{
    if (s->cms.len > DOCUMENT_SIGNATURE_MAX)
        return fault_field(f, ESIGN_E_TOO_LARGE, "signature", "a signature has at most %d bytes",
                           DOCUMENT_SIGNATURE_MAX);
    if (s->anchor_count > DOCUMENT_ANCHORS_MAX)
        return fault_field(f, ESIGN_E_TOO_LARGE, "anchors", "there may be at most %d anchors",
                           DOCUMENT_ANCHORS_MAX);
    for (size_t i = 0; i < s->anchor_count; i++)
        if (s->anchors[i].len > DOCUMENT_ANCHOR_MAX)
            return fault_field(f, ESIGN_E_TOO_LARGE, "anchors", "an anchor has at most %d bytes",
                               DOCUMENT_ANCHOR_MAX);
    return ESIGN_OK;
}

/* One operation about an object and its anchors. */
static enum esign_rc ask(struct document *d, uint16_t op, const struct document_signature *s,
                         int64_t deadline_at_ms, json_t **ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(FRAME_BODY_MAX);
    CLEANUP(buf_done) struct buf reply = buf_new(DOCUMENT_FACTS_MAX);

    document_put_request(&body, s);
    if (!buf_ok(&body))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a request");
    enum esign_rc rc =
        worker_call(d->pool, op, buf_bytes(&body), NULL, 0, deadline_at_ms, &reply, f);
    if (rc)
        return rc;
    return json_parse_object(buf_bytes(&reply), ret, f);
}

enum esign_rc document_facts(struct document *d, const struct document_signature *s,
                             int64_t deadline_at_ms, json_t **ret, struct fault *f)
{
    enum esign_rc rc = check_sizes(s, f);

    return rc ? rc : ask(d, DOCUMENT_OP_FACTS, s, deadline_at_ms, ret, f);
}

enum esign_rc document_certificate_facts(struct document *d, const struct document_certificate *c,
                                         int64_t deadline_at_ms, json_t **ret, struct fault *f)
{
    const struct document_signature s = {
        .cms = c->der, .anchors = c->anchors, .anchor_count = c->anchor_count, .at_ms = c->at_ms};

    if (c->der.len > DOCUMENT_ANCHOR_MAX)
        return fault_field(f, ESIGN_E_TOO_LARGE, "certificate",
                           "a certificate has at most %d bytes", DOCUMENT_ANCHOR_MAX);
    enum esign_rc rc = check_sizes(&s, f);
    return rc ? rc : ask(d, DOCUMENT_OP_CERTIFICATE, &s, deadline_at_ms, ret, f);
}
