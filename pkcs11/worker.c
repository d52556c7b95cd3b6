#include "pkcs11/worker.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "pkcs11/serve.h"
#include "pkcs11/turn.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>

enum { WORKER_TURN_MS = WORKER_START_MS / 2 };

struct pkcs11_worker {
    const struct config *config;
    size_t index; /* of the token */
    struct pkcs11_turn *turn;
    struct pkcs11_desk desk;
    int64_t opened_at_ms; /* the desk's session: when its opening began */
    bool ready, refused;
    struct fault fault; /* what is answered while not ready */
    int64_t end_at_ms;  /* when a new process shall try; 0: never */
    int exit_code;      /* -1: go on */
};

static int64_t worker_now(void)
{
    return clock_mono_ms(clock_system());
}

enum esign_rc pkcs11_worker_drop_capabilities(struct fault *f)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capset, &header, none) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno,
                           "capabilities can't be dropped");
    return ESIGN_OK;
}

/* The PIN is not sent again, neither by this worker nor by another. */
static void worker_refuse_pin(struct pkcs11_worker *w)
{
    pkcs11_turn_refuse_pin(w->turn);
    w->exit_code = WORKER_EXIT_NO_PIN;
}

/* The token can't be used now: answer so for a while, then let a new process look again. */
static void worker_settle(struct pkcs11_worker *w)
{
    bool pin = strcmp(w->fault.reason, "pin") == 0;

    if (pkcs11_turn_note_trouble(w->turn, w->fault.detail))
        log_warn("token is not usable token=%s reason=%s: %s",
                 config_token_str(w->config, w->index, "name"), w->fault.reason, w->fault.detail);
    w->end_at_ms = worker_now() + (pin ? PKCS11_RETRY_PIN_MS : PKCS11_RETRY_MS);
    if (w->refused)
        worker_refuse_pin(w);
}

/* From nothing to ready, or to the fault that is answered from then on. */
static void worker_open(struct pkcs11_worker *w, bool may_login)
{
    may_login = may_login && !pkcs11_turn_pin_refused(w->turn);
    w->opened_at_ms = worker_now();
    enum esign_rc rc = pkcs11_session_open(w->config, w->index, w->turn, may_login,
                                           &w->desk.session, &w->refused, &w->fault);
    if (rc == ESIGN_OK)
        rc = pkcs11_session_check(&w->desk.session, &w->fault);
    w->ready = rc == ESIGN_OK;
    if (!w->ready)
        worker_settle(w);
    else if (pkcs11_turn_note_trouble(w->turn, NULL))
        log_info("token is usable again token=%s", config_token_str(w->config, w->index, "name"));
}

static unsigned worker_configured(const struct pkcs11_worker *w)
{
    return (unsigned)config_token_int(w->config, w->index, "workers");
}

/* Note for how many workers the token has room.  A worker that got no session beside others that
 * have one is not needed; alone it goes on trying. */
static void worker_note_room(struct pkcs11_worker *w, unsigned others)
{
    const char *name = config_token_str(w->config, w->index, "name");
    unsigned said = pkcs11_session_most(&w->desk.session), all = worker_configured(w);

    if (w->ready) {
        if (pkcs11_turn_set_room(w->turn, said, 0) && said > 0 && said < all)
            log_warn("the token has room for %u of %u workers token=%s", said, all, name);
    } else if (w->fault.cause == CKR_SESSION_COUNT && others > 0) {
        (void)pkcs11_turn_set_room(w->turn, pkcs11_turn_room_said(w->turn), others);
        w->exit_code = WORKER_EXIT_SPARE;
    }
}

static unsigned worker_limit(void *ctx)
{
    struct pkcs11_worker *w = ctx;

    return pkcs11_turn_room_said(w->turn);
}

static enum esign_rc worker_start(void *ctx, const struct worker_start *how, struct fault *f)
{
    struct pkcs11_worker *w = ctx;

    enum esign_rc rc = secret_start(f);
    if (rc == ESIGN_OK)
        rc = pkcs11_worker_drop_capabilities(f);
    if (rc != ESIGN_OK)
        return rc;
    if (pkcs11_turn_take(w->turn, worker_now() + WORKER_TURN_MS, &w->fault) == ESIGN_OK) {
        worker_open(w, how->may_login);
        worker_note_room(w, how->ready);
        pkcs11_turn_end(w->turn);
    } else {
        (void)fault_reason(&w->fault, ESIGN_E_HSM, "unavailable",
                           "another worker has been opening the token for too long");
        worker_settle(w);
    }
    if (!how->may_login)
        w->end_at_ms = 0; /* only an operator's restart changes this */
    return ESIGN_OK;
}

/* Start over with the module, to see what other processes have made meanwhile: tpm2-pkcs11 never
 * shows it to a running process, nor does SoftHSM once it failed to write to a read-only
 * token.object.  The PIN that is sent has been accepted from this process before. */
static enum esign_rc worker_reopen(struct pkcs11_worker *w, struct fault *f)
{
    pkcs11_session_close(&w->desk.session);
    w->desk.keys = (struct pkcs11_keys){0};
    worker_open(w, true);
    if (w->ready)
        return ESIGN_OK;
    *f = w->fault;
    return f->rc;
}

static void worker_stop(void *ctx)
{
    struct pkcs11_worker *w = ctx;

    pkcs11_session_close(&w->desk.session);
}

static int worker_check(void *ctx)
{
    struct pkcs11_worker *w = ctx;

    if (w->exit_code < 0 && w->end_at_ms > 0 && worker_now() >= w->end_at_ms)
        w->exit_code = WORKER_EXIT_DONE;
    return w->exit_code;
}

/* Run an operation in a new session, in this worker's turn. */
static enum esign_rc worker_run_fresh(struct pkcs11_worker *w, const struct pkcs11_operation *op,
                                      const struct worker_request *request, struct buf *reply,
                                      struct fault *f)
{
    struct reader r = reader_of(request->frame->body);

    enum esign_rc rc = pkcs11_turn_take(w->turn, request->deadline_at_ms, f);
    if (rc != ESIGN_OK)
        return rc;
    rc = worker_reopen(w, f);
    if (rc == ESIGN_OK)
        rc = op->run(&w->desk, &r, reply, f);
    pkcs11_turn_end(w->turn);
    return rc;
}

/* Run an operation; in a new session if the present one is too old, once more in one if its key was
 * not found. */
static enum esign_rc worker_run_op(struct pkcs11_worker *w, const struct pkcs11_operation *op,
                                   const struct worker_request *request, struct buf *reply,
                                   struct fault *f)
{
    enum esign_rc rc = ESIGN_E_NOT_FOUND;

    if (!op->fresh && w->opened_at_ms >= pkcs11_turn_renewed(w->turn)) {
        struct reader r = reader_of(request->frame->body);
        rc = op->run(&w->desk, &r, reply, f);
    }
    if (rc == ESIGN_E_NOT_FOUND)
        rc = worker_run_fresh(w, op, request, reply, f);
    if (rc == ESIGN_E_NOT_FOUND && op->op != TOKEN_OP_PUBLIC_KEY)
        rc = fault_reason(f, ESIGN_E_HSM, "key", "the token doesn't show the key");
    return rc;
}

/* Whoever lost a session, or got a wrong value, some time ago wants newer sessions. */
static enum esign_rc worker_renew(struct pkcs11_worker *w, const struct worker_request *request,
                                  struct fault *f)
{
    struct reader r = reader_of(request->frame->body);
    uint32_t age_ms = reader_u32(&r);

    if (!reader_done(&r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    pkcs11_turn_renew(w->turn, worker_now() - age_ms);
    return ESIGN_OK;
}

/* A ready worker lost the token in this call: a new process is needed, and the caller may try again
 * at once.  One that could not open it anew has settled and says so for a while. */
static void worker_lose(struct pkcs11_worker *w, struct fault *f)
{
    log_warn("token is lost token=%s: %s", config_token_str(w->config, w->index, "name"),
             f->detail);
    w->exit_code = WORKER_EXIT_FAILED;
    (void)snprintf(f->reason, sizeof(f->reason), "lost"); /* as token.c knows it */
}

static enum esign_rc worker_serve(void *ctx, const struct worker_request *request,
                                  struct buf *reply, struct fault *f)
{
    struct pkcs11_worker *w = ctx;

    if (request->frame->op == TOKEN_OP_RENEW)
        return worker_renew(w, request, f);
    if (!w->ready) {
        *f = w->fault;
        return f->rc;
    }
    const struct pkcs11_operation *op = pkcs11_operation_find(request->frame->op);
    if (!op)
        return fault_set(f, ESIGN_E_UNSUPPORTED, "unknown operation %u", request->frame->op);
    w->desk.room = pkcs11_turn_room(w->turn);
    w->desk.session.pin_refused = pkcs11_turn_pin_refused(w->turn); /* another's too */
    enum esign_rc rc = worker_run_op(w, op, request, reply, f);
    if (rc == ESIGN_E_HSM && strcmp(f->reason, "unavailable") == 0 && w->ready)
        worker_lose(w, f);
    if (w->desk.session.pin_refused && !pkcs11_turn_pin_refused(w->turn))
        worker_refuse_pin(w);
    return rc;
}

enum esign_rc pkcs11_worker_new(const struct config *config, size_t index,
                                struct pkcs11_worker **ret, struct fault *f)
{
    struct pkcs11_worker *w = calloc(1, sizeof(*w));

    if (!w)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a worker");
    w->config = config;
    w->index = index;
    w->exit_code = -1;
    enum esign_rc rc = pkcs11_turn_new(&w->turn, f);
    if (rc != ESIGN_OK) {
        pkcs11_worker_free(w);
        return rc;
    }
    *ret = w;
    return ESIGN_OK;
}

void pkcs11_worker_free(struct pkcs11_worker *worker)
{
    if (!worker)
        return;
    pkcs11_turn_free(worker->turn);
    free(worker);
}

struct worker_service pkcs11_worker_service(struct pkcs11_worker *worker, uid_t caller)
{
    return (struct worker_service){
        .name = config_token_str(worker->config, worker->index, "name"),
        .workers = worker_configured(worker),
        .grace_ms = PKCS11_GRACE_MS,
        .serial_start = true,
        .has_secrets = true, /* wrapped keys */
        .caller_uid = caller,
        .start = worker_start,
        .serve = worker_serve,
        .check = worker_check,
        .limit = worker_limit,
        .stop = worker_stop,
        .ctx = worker,
    };
}
