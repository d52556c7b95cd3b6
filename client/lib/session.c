#include "session.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "body.h"
#include "error.h"
#include "handle.h"
#include "result.h"

enum { SESSION_HANDLE_MAX = 256, SESSION_TERMINAL_MAX = 128 };

/* Lives in pages of its own that are locked and left out of cores: who has the handle needs one
 * component less. */
struct esign_session {
    struct esign *handle; /* borrowed */
    char terminal[SESSION_TERMINAL_MAX];
    char name[SESSION_HANDLE_MAX];
};

static void session_free(struct esign_session *session)
{
    if (!session)
        return;
    explicit_bzero(session, sizeof(*session));
    (void)munmap(session, sizeof(*session)); /* unlocks, too; fails for no mapping of ours */
}

DEFINE_CLEANUP(struct esign_session *, session_free)
DEFINE_CLEANUP(struct esign_result *, esign_result_free)

static enum esign_rc session_new(struct esign *handle, const char *terminal,
                                 struct esign_session **ret, struct esign_error *error)
{
    error_clear(error);
    if (terminal && strlen(terminal) >= SESSION_TERMINAL_MAX)
        return error_set(error, ESIGN_E_PROTO, "", "the terminal has at most %d bytes",
                         SESSION_TERMINAL_MAX - 1);
    void *memory = mmap(NULL, sizeof(struct esign_session), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return error_set(error, ESIGN_E_INTERNAL, "memory", "there is no memory");
    CLEANUP(session_free_p) struct esign_session *session = memory;
    if (mlock(session, sizeof(*session)) != 0 ||
        madvise(session, sizeof(*session), MADV_DONTDUMP) != 0)
        return error_set(error, ESIGN_E_INTERNAL, "memory",
                         "memory can't be locked: see ulimit -l (RLIMIT_MEMLOCK)");
    session->handle = handle;
    (void)snprintf(session->terminal, sizeof(session->terminal), "%s", terminal ? terminal : "");
    *ret = TAKE(session);
    return ESIGN_OK;
}

void session_body(struct buf *body, const struct esign_session *session)
{
    if (!session)
        return;
    body_string(body, "session", session->name);
    body_string(body, "terminal", session->terminal[0] ? session->terminal : NULL);
}

enum esign_rc esign_session_open(struct esign *handle, const struct esign_opening *opening,
                                 struct esign_session **ret, struct esign_result **ret_opened,
                                 struct esign_error *error)
{
    CLEANUP(session_free_p) struct esign_session *session = NULL;
    CLEANUP(esign_result_free_p) struct esign_result *opened = NULL;
    enum esign_rc rc = session_new(handle, opening->terminal, &session, error);

    if (rc != ESIGN_OK)
        return rc;
    struct buf body = buf_new(ESIGN_REQUEST_MAX);
    body_open(&body, NULL);
    body_components(&body, &opening->components);
    body_string(&body, "terminal", opening->terminal);
    body_string(&body, "presence", opening->presence);
    body_close(&body);
    rc = handle_post(handle, "/v1/sessions", &body, &opened, error);
    if (rc != ESIGN_OK)
        return rc;
    if (!result_take_string(opened, "session", session->name, sizeof(session->name)))
        return error_set(error, ESIGN_E_PROTO, "reply", "the reply names no session");
    *ret = TAKE(session);
    if (ret_opened)
        *ret_opened = TAKE(opened);
    return ESIGN_OK;
}

enum esign_rc esign_session_keep(struct esign_session *session, struct esign_error *error)
{
    return handle_get(session->handle, "/v1/live", NULL, error);
}

enum esign_rc esign_session_close(struct esign_session *session, struct esign_error *error)
{
    CLEANUP(session_free_p) struct esign_session *own = session;

    error_clear(error);
    if (!own)
        return ESIGN_OK;
    struct buf body = buf_new(ESIGN_REQUEST_MAX);
    body_open(&body, NULL);
    session_body(&body, own);
    body_close(&body);
    return handle_post(own->handle, "/v1/sessions/close", &body, NULL, error);
}
