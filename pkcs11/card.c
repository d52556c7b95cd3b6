#include "pkcs11/card_op.h"

#include "base/cleanup.h"
#include "base/reader.h"
#include "base/worker/child.h"

extern char **environ; /* POSIX; the module may need what the person has set for it */

struct card {
    struct worker_child child;
};

enum esign_rc card_open(const char *program, const char *module, struct card **ret, struct fault *f)
{
    char *const argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "--card",
                          (char *)(uintptr_t)module, NULL}; /* spawn only reads them */
    struct card *c = calloc(1, sizeof(*c));

    if (!c)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a card");
    enum esign_rc rc = worker_child_start("card", argv, environ, &c->child, f);
    if (rc != ESIGN_OK) {
        free(c);
        return rc;
    }
    *ret = c;
    return ESIGN_OK;
}

void card_close(struct card *c)
{
    if (!c)
        return;
    worker_child_end(&c->child);
    free(c);
}

/* One call.  A child that does not answer is killed at once, with whatever hangs in it. */
static enum esign_rc card_call(struct card *c, enum card_op op, const struct buf *body,
                               int64_t deadline_at_ms, struct buf *reply, struct fault *f)
{
    if (!c->child.pool)
        return fault_reason(f, ESIGN_E_HSM, "worker", "the card's module has ended");
    if (!buf_ok(body))
        return fault_set(f, ESIGN_E_INTERNAL, "no locked memory is left");
    enum esign_rc rc = worker_call(c->child.pool, (uint16_t)op, buf_bytes(body), NULL, 0,
                                   deadline_at_ms, reply, f);
    if (rc != ESIGN_E_DEADLINE)
        return rc;
    worker_child_end(&c->child);
    return fault_reason(f, rc, "card", "the card does not answer");
}

enum esign_rc card_find(struct card *c, struct bytes spki, int64_t deadline_at_ms,
                        struct card_state *ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(TOKEN_SPKI_MAX + 8);
    CLEANUP(buf_done) struct buf reply = buf_new(256);
    struct card_state state = {0};

    buf_put_blob(&body, spki);
    enum esign_rc rc = card_call(c, CARD_OP_FIND, &body, deadline_at_ms, &reply, f);
    if (rc != ESIGN_OK)
        return rc;
    struct reader r = reader_of(buf_bytes(&reply));
    reader_str(&r, state.label, sizeof(state.label));
    reader_str(&r, state.serial, sizeof(state.serial));
    unsigned flags = reader_u8(&r);
    if (!reader_done(&r))
        return fault_reason(f, ESIGN_E_HSM, "worker", "the card's module answers nonsense");
    state.pin_low = flags & CARD_PIN_LOW;
    state.pin_final = flags & CARD_PIN_FINAL;
    state.pin_locked = flags & CARD_PIN_LOCKED;
    state.pin_pad = flags & CARD_PIN_PAD;
    state.pin_asked = flags & CARD_PIN_ASKED;
    *ret = state;
    return ESIGN_OK;
}

enum esign_rc card_sign(struct card *c, struct bytes spki, struct bytes digest,
                        const struct secret *pin, int64_t deadline_at_ms, struct buf *ret_value,
                        struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new_locked(TOKEN_SPKI_MAX + SECRET_MAX + 128);

    buf_put_blob(&body, spki);
    buf_put_blob(&body, digest);
    buf_put_blob(&body, pin ? secret_bytes(pin) : (struct bytes){0});
    return card_call(c, CARD_OP_SIGN, &body, deadline_at_ms, ret_value, f);
}
