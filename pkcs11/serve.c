#include "pkcs11/serve.h"

#include "base/cleanup.h"
#include "pkcs11/kek.h"
#include "pkcs11/offer.h"
#include "pkcs11/sign.h"

#include <stdio.h>

static void serve_put_text(struct buf *out, const unsigned char *padded, size_t len)
{
    char text[64];

    pkcs11_unpad(padded, len, text);
    buf_put_blob(out, bytes_of_str(text));
}

static enum esign_rc serve_info(struct pkcs11_desk *desk, struct reader *r, struct buf *reply,
                                struct fault *f)
{
    const CK_TOKEN_INFO *info = &desk->session.info;
    char firmware[16];

    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    enum esign_rc rc = pkcs11_session_check(&desk->session, f);
    if (rc != ESIGN_OK)
        return rc;
    serve_put_text(reply, info->label, sizeof(info->label));
    serve_put_text(reply, info->serialNumber, sizeof(info->serialNumber));
    serve_put_text(reply, info->manufacturerID, sizeof(info->manufacturerID));
    serve_put_text(reply, info->model, sizeof(info->model));
    (void)snprintf(firmware, sizeof(firmware), "%u.%u", info->firmwareVersion.major,
                   info->firmwareVersion.minor); /* two bytes always fit */
    buf_put_blob(reply, bytes_of_str(firmware));
    buf_put_u32(reply, desk->room);
    return ESIGN_OK;
}

static enum esign_rc serve_algorithm(struct reader *r, const struct pkcs11_mechanism **ret,
                                     struct fault *f)
{
    enum token_algorithm algorithm = (enum token_algorithm)reader_u8(r);

    *ret = pkcs11_mechanism_by_algorithm(algorithm);
    return *ret ? ESIGN_OK
                : fault_set(f, ESIGN_E_UNSUPPORTED, "unknown key algorithm %d", (int)algorithm);
}

static enum esign_rc serve_offer(struct pkcs11_desk *desk, struct reader *r, struct buf *reply,
                                 struct fault *f)
{
    const struct pkcs11_mechanism *mechanism;

    (void)reply; /* that it is offered is the answer */
    enum esign_rc rc = serve_algorithm(r, &mechanism, f);
    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    return rc == ESIGN_OK ? pkcs11_offer_check(&desk->session, mechanism, f) : rc;
}

/* What an order of a key consists of: algorithm, id and label; the token must offer the first. */
static enum esign_rc serve_order(struct pkcs11_desk *desk, struct reader *r,
                                 const struct pkcs11_mechanism **ret, uint8_t id[TOKEN_KEY_ID_LEN],
                                 char label[TOKEN_LABEL_MAX + 1], struct fault *f)
{
    enum esign_rc rc = serve_algorithm(r, ret, f);
    struct bytes given = reader_take(r, TOKEN_KEY_ID_LEN);

    reader_str(r, label, TOKEN_LABEL_MAX + 1);
    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    memcpy(id, given.data, TOKEN_KEY_ID_LEN);
    return rc == ESIGN_OK ? pkcs11_offer_check(&desk->session, *ret, f) : rc;
}

static enum esign_rc serve_generate(struct pkcs11_desk *desk, struct reader *r, struct buf *reply,
                                    struct fault *f)
{
    char label[TOKEN_LABEL_MAX + 1];
    struct pkcs11_key_order order = {.label = label};
    enum esign_rc rc = serve_order(desk, r, &order.mechanism, order.id, label, f);

    return rc == ESIGN_OK ? pkcs11_key_generate(&desk->session, &order, reply, f) : rc;
}

static enum esign_rc serve_public_key(struct pkcs11_desk *desk, struct reader *r, struct buf *reply,
                                      struct fault *f)
{
    struct bytes id = reader_take(r, TOKEN_KEY_ID_LEN);

    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    return pkcs11_key_public(&desk->session, id.data, reply, f);
}

static enum esign_rc serve_sign(struct pkcs11_desk *desk, struct reader *r, struct buf *reply,
                                struct fault *f)
{
    struct bytes id = reader_take(r, TOKEN_KEY_ID_LEN);
    struct bytes digest = reader_blob(r, TOKEN_DIGEST_MAX);

    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    return pkcs11_sign(&desk->session, &desk->keys, id.data, digest, reply, f);
}

static enum esign_rc serve_make_kek(struct pkcs11_desk *desk, struct reader *r, struct buf *reply,
                                    struct fault *f)
{
    char label[TOKEN_LABEL_MAX + 1];
    struct pkcs11_kek_order order = {.label = label};
    struct token_kek kek;
    enum esign_rc rc = serve_order(desk, r, &order.mechanism, order.id, label, f);

    if (rc == ESIGN_OK)
        rc = pkcs11_kek_make(&desk->session, &order, &kek, f);
    if (rc != ESIGN_OK)
        return rc;
    buf_put_u8(reply, (uint8_t)kek.wrap);
    buf_put_u8(reply, kek.guarded);
    return ESIGN_OK;
}

/* What requests about a wrapped key begin with.  ret_kek_id: borrowed from r. */
struct serve_wrapped {
    struct pkcs11_wrapper wrapper;
    struct bytes kek_id;
    const struct pkcs11_mechanism *mechanism;
};

static struct serve_wrapped serve_read_wrapper(struct reader *r)
{
    struct serve_wrapped w = {.wrapper = {.wrap = (enum token_wrap)reader_u8(r)}};

    w.kek_id = reader_take(r, TOKEN_KEY_ID_LEN);
    w.mechanism = pkcs11_mechanism_by_algorithm((enum token_algorithm)reader_u8(r));
    return w;
}

/* The request is whole, and its wrapping key is there. */
static enum esign_rc serve_take_wrapper(struct pkcs11_desk *desk, const struct reader *r,
                                        struct serve_wrapped *w, struct fault *f)
{
    if (!reader_done(r) || !token_wrap_name(w->wrapper.wrap))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    if (!w->mechanism)
        return fault_set(f, ESIGN_E_UNSUPPORTED, "unknown key algorithm");
    return pkcs11_wrap_find(&desk->session, &desk->keys, w->kek_id.data, &w->wrapper.kek, f);
}

static enum esign_rc serve_generate_wrapped(struct pkcs11_desk *desk, struct reader *r,
                                            struct buf *reply, struct fault *f)
{
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf wrapped = buf_new_locked(TOKEN_WRAPPED_MAX);
    struct serve_wrapped w = serve_read_wrapper(r);
    enum esign_rc rc = serve_take_wrapper(desk, r, &w, f);

    if (rc == ESIGN_OK)
        rc = pkcs11_offer_check(&desk->session, w.mechanism, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_wrap_generate(&desk->session, &w.wrapper, w.mechanism, &spki, &wrapped, f);
    if (rc != ESIGN_OK)
        return rc;
    buf_put_blob(reply, buf_bytes(&spki));
    buf_put_blob(reply, buf_bytes(&wrapped));
    return ESIGN_OK;
}

static enum esign_rc serve_sign_wrapped(struct pkcs11_desk *desk, struct reader *r,
                                        struct buf *reply, struct fault *f)
{
    struct serve_wrapped w = serve_read_wrapper(r);
    struct pkcs11_wrapped wrapped = {.mechanism = w.mechanism};

    wrapped.blob = reader_blob(r, TOKEN_WRAPPED_MAX);
    wrapped.spki = reader_blob(r, TOKEN_SPKI_MAX);
    struct bytes digest = reader_blob(r, TOKEN_DIGEST_MAX);
    enum esign_rc rc = serve_take_wrapper(desk, r, &w, f);
    return rc == ESIGN_OK ? pkcs11_wrap_sign(&desk->session, &w.wrapper, &wrapped, digest, reply, f)
                          : rc;
}

static const struct pkcs11_operation serve_operations[] = {
    {TOKEN_OP_INFO, false, serve_info},
    {TOKEN_OP_GENERATE, true, serve_generate},
    {TOKEN_OP_PUBLIC_KEY, false, serve_public_key},
    {TOKEN_OP_SIGN, false, serve_sign},
    {TOKEN_OP_OFFER, false, serve_offer},
    {TOKEN_OP_MAKE_KEK, true, serve_make_kek},
    {TOKEN_OP_GENERATE_WRAPPED, false, serve_generate_wrapped},
    {TOKEN_OP_SIGN_WRAPPED, false, serve_sign_wrapped},
};

const struct pkcs11_operation *pkcs11_operation_find(unsigned op)
{
    for (size_t i = 0; i < sizeof(serve_operations) / sizeof(serve_operations[0]); i++)
        if (serve_operations[i].op == op)
            return &serve_operations[i];
    return NULL;
}
