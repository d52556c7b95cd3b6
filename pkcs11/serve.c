#include "pkcs11/serve.h"

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

static enum esign_rc serve_generate(struct pkcs11_desk *desk, struct reader *r, struct buf *reply,
                                    struct fault *f)
{
    char label[TOKEN_LABEL_MAX + 1];
    struct pkcs11_key_order order = {.label = label};

    enum esign_rc rc = serve_algorithm(r, &order.mechanism, f);
    struct bytes id = reader_take(r, TOKEN_KEY_ID_LEN);
    reader_str(r, label, sizeof(label));
    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    memcpy(order.id, id.data, TOKEN_KEY_ID_LEN);
    if (rc == ESIGN_OK)
        rc = pkcs11_offer_check(&desk->session, order.mechanism, f);
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

static const struct pkcs11_operation serve_operations[] = {
    {TOKEN_OP_INFO, false, serve_info},
    {TOKEN_OP_GENERATE, true, serve_generate},
    {TOKEN_OP_PUBLIC_KEY, false, serve_public_key},
    {TOKEN_OP_SIGN, false, serve_sign},
    {TOKEN_OP_OFFER, false, serve_offer},
};

const struct pkcs11_operation *pkcs11_operation_find(unsigned op)
{
    for (size_t i = 0; i < sizeof(serve_operations) / sizeof(serve_operations[0]); i++)
        if (serve_operations[i].op == op)
            return &serve_operations[i];
    return NULL;
}
