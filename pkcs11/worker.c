#include "pkcs11/worker.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/reader.h"
#include "base/secret.h"
#include "pkcs11/op.h"
#include "pkcs11/sign.h"
#include "pkcs11/turn.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>

enum { WORKER_TURN_MS = WORKER_START_MS / 2 };

struct pkcs11_worker {
    const struct config *config;
    size_t index; /* of the token */
    struct pkcs11_turn *turn;
    struct pkcs11_session session;
    struct pkcs11_keys keys;
    bool ready, refused;
    struct fault fault; /* what is answered while not ready */
    int64_t end_at_ms;  /* when a new process shall try; 0: never */
    int exit_code;      /* -1: go on */
};

static int64_t worker_now(void)
{
    return clock_mono_ms(clock_system());
}

/* A worker needs no capability.  Where it is started as root this also keeps SoftHSM from writing
 * to a read-only token.object. */
static enum esign_rc worker_drop_capabilities(struct fault *f)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capset, &header, none) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno,
                           "capabilities can't be dropped");
    return ESIGN_OK;
}

/* The token can't be used now: answer so for a while, then let a new process look again. */
static void worker_settle(struct pkcs11_worker *w)
{
    bool pin = strcmp(w->fault.reason, "pin") == 0;

    log_warn("token is not usable token=%s reason=%s: %s",
             config_token_str(w->config, w->index, "name"), w->fault.reason, w->fault.detail);
    w->end_at_ms = worker_now() + (pin ? PKCS11_RETRY_PIN_MS : PKCS11_RETRY_MS);
    if (w->refused)
        w->exit_code = WORKER_EXIT_NO_PIN;
}

/* From nothing to ready, or to the fault that is answered from then on. */
static void worker_open(struct pkcs11_worker *w, bool may_login)
{
    enum esign_rc rc =
        pkcs11_session_open(w->config, w->index, may_login, &w->session, &w->refused, &w->fault);
    if (rc == ESIGN_OK)
        rc = pkcs11_session_check(&w->session, &w->fault);
    w->ready = rc == ESIGN_OK;
    if (!w->ready)
        worker_settle(w);
}

static enum esign_rc worker_start(void *ctx, bool may_login, struct fault *f)
{
    struct pkcs11_worker *w = ctx;

    enum esign_rc rc = secret_start(f);
    if (rc == ESIGN_OK)
        rc = worker_drop_capabilities(f);
    if (rc != ESIGN_OK)
        return rc;
    if (pkcs11_turn_take(w->turn, worker_now() + WORKER_TURN_MS, &w->fault) == ESIGN_OK) {
        worker_open(w, may_login);
        pkcs11_turn_end(w->turn);
    } else {
        worker_settle(w);
    }
    if (!may_login)
        w->end_at_ms = 0; /* only an operator's restart changes this */
    return ESIGN_OK;
}

/* Start over with the module, to see what other processes have made meanwhile: tpm2-pkcs11 never
 * shows it to a running process, nor does SoftHSM once it failed to write to a read-only
 * token.object.  The PIN that is sent has been accepted from this process before. */
static enum esign_rc worker_reopen(struct pkcs11_worker *w, struct fault *f)
{
    pkcs11_session_close(&w->session);
    w->keys = (struct pkcs11_keys){0};
    worker_open(w, true);
    if (w->ready)
        return ESIGN_OK;
    *f = w->fault;
    return f->rc;
}

static void worker_stop(void *ctx)
{
    struct pkcs11_worker *w = ctx;

    pkcs11_session_close(&w->session);
}

static int worker_check(void *ctx)
{
    struct pkcs11_worker *w = ctx;

    if (w->exit_code < 0 && w->end_at_ms > 0 && worker_now() >= w->end_at_ms)
        w->exit_code = WORKER_EXIT_DONE;
    return w->exit_code;
}

static void worker_put_text(struct buf *out, const unsigned char *padded, size_t len)
{
    char text[64];

    pkcs11_unpad(padded, len, text);
    buf_put_blob(out, bytes_of_str(text));
}

static enum esign_rc worker_info(struct pkcs11_worker *w, struct reader *r, struct buf *reply,
                                 struct fault *f)
{
    const CK_TOKEN_INFO *info = &w->session.info;
    char firmware[16];

    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    enum esign_rc rc = pkcs11_session_check(&w->session, f);
    if (rc != ESIGN_OK)
        return rc;
    worker_put_text(reply, info->label, sizeof(info->label));
    worker_put_text(reply, info->serialNumber, sizeof(info->serialNumber));
    worker_put_text(reply, info->manufacturerID, sizeof(info->manufacturerID));
    worker_put_text(reply, info->model, sizeof(info->model));
    (void)snprintf(firmware, sizeof(firmware), "%u.%u", info->firmwareVersion.major,
                   info->firmwareVersion.minor); /* two bytes always fit */
    buf_put_blob(reply, bytes_of_str(firmware));
    return ESIGN_OK;
}

static enum esign_rc worker_generate(struct pkcs11_worker *w, struct reader *r, struct buf *reply,
                                     struct fault *f)
{
    char label[TOKEN_LABEL_MAX + 1];
    struct pkcs11_key_order order = {.label = label};

    enum token_algorithm algorithm = (enum token_algorithm)reader_u8(r);
    struct bytes id = reader_take(r, TOKEN_KEY_ID_LEN);
    reader_str(r, label, sizeof(label));
    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    memcpy(order.id, id.data, TOKEN_KEY_ID_LEN);
    order.mechanism = pkcs11_mechanism_by_algorithm(algorithm);
    if (!order.mechanism)
        return fault_set(f, ESIGN_E_UNSUPPORTED, "unknown key algorithm %d", (int)algorithm);
    return pkcs11_key_generate(&w->session, &order, reply, f);
}

static enum esign_rc worker_public_key(struct pkcs11_worker *w, struct reader *r, struct buf *reply,
                                       struct fault *f)
{
    struct bytes id = reader_take(r, TOKEN_KEY_ID_LEN);

    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    return pkcs11_key_public(&w->session, id.data, reply, f);
}

static enum esign_rc worker_sign(struct pkcs11_worker *w, struct reader *r, struct buf *reply,
                                 struct fault *f)
{
    struct bytes id = reader_take(r, TOKEN_KEY_ID_LEN);
    struct bytes digest = reader_blob(r, TOKEN_DIGEST_MAX);

    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    return pkcs11_sign(&w->session, &w->keys, id.data, digest, reply, f);
}

/* fresh: done in a session that has just been opened, so that an id in use is seen. */
static const struct worker_op {
    enum token_op op;
    bool fresh;
    enum esign_rc (*run)(struct pkcs11_worker *w, struct reader *r, struct buf *reply,
                         struct fault *f);
} worker_ops[] = {
    {TOKEN_OP_INFO, false, worker_info},
    {TOKEN_OP_GENERATE, true, worker_generate},
    {TOKEN_OP_PUBLIC_KEY, false, worker_public_key},
    {TOKEN_OP_SIGN, false, worker_sign},
};

/* Run an operation in a new session, in this worker's turn. */
static enum esign_rc worker_run_fresh(struct pkcs11_worker *w, const struct worker_op *op,
                                      const struct worker_request *request, struct buf *reply,
                                      struct fault *f)
{
    struct reader r = reader_of(request->frame->body);

    enum esign_rc rc = pkcs11_turn_take(w->turn, request->deadline_at_ms, f);
    if (rc != ESIGN_OK)
        return rc;
    rc = worker_reopen(w, f);
    if (rc == ESIGN_OK)
        rc = op->run(w, &r, reply, f);
    pkcs11_turn_end(w->turn);
    return rc;
}

/* Run an operation, once more with a new session if its key was not found. */
static enum esign_rc worker_run_op(struct pkcs11_worker *w, const struct worker_op *op,
                                   const struct worker_request *request, struct buf *reply,
                                   struct fault *f)
{
    enum esign_rc rc = ESIGN_E_NOT_FOUND;

    if (!op->fresh) {
        struct reader r = reader_of(request->frame->body);
        rc = op->run(w, &r, reply, f);
    }
    if (rc == ESIGN_E_NOT_FOUND)
        rc = worker_run_fresh(w, op, request, reply, f);
    if (rc == ESIGN_E_NOT_FOUND && op->op == TOKEN_OP_SIGN)
        rc = fault_reason(f, ESIGN_E_HSM, "key", "the token doesn't show the signer's key");
    return rc;
}

static enum esign_rc worker_serve(void *ctx, const struct worker_request *request,
                                  struct buf *reply, struct fault *f)
{
    struct pkcs11_worker *w = ctx;

    if (!w->ready) {
        *f = w->fault;
        return f->rc;
    }
    for (size_t i = 0; i < sizeof(worker_ops) / sizeof(worker_ops[0]); i++) {
        if (worker_ops[i].op != request->frame->op)
            continue;
        enum esign_rc rc = worker_run_op(w, &worker_ops[i], request, reply, f);
        if (rc == ESIGN_E_HSM && strcmp(f->reason, "unavailable") == 0 && w->exit_code < 0)
            w->exit_code = WORKER_EXIT_FAILED; /* a lost token needs a new process */
        return rc;
    }
    return fault_set(f, ESIGN_E_UNSUPPORTED, "unknown operation %u", request->frame->op);
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
        .workers = (unsigned)config_token_int(worker->config, worker->index, "workers"),
        .grace_ms = PKCS11_GRACE_MS,
        .serial_start = true,
        .caller_uid = caller,
        .start = worker_start,
        .serve = worker_serve,
        .check = worker_check,
        .stop = worker_stop,
        .ctx = worker,
    };
}
