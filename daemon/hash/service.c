#include "hash/service.h"

#include <sodium.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/reader.h"
#include "hash/op.h"

_Static_assert(HASH_PHC_MAX >= crypto_pwhash_STRBYTES, "a PHC string fits");

static enum esign_rc service_make(const struct hash_service *service, struct bytes secret,
                                  char ret[HASH_PHC_MAX], struct fault *f)
{
    char phc[crypto_pwhash_STRBYTES];

    if (crypto_pwhash_str_alg(phc, (const char *)secret.data, secret.len, service->iterations,
                              service->memory, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return fault_set(f, ESIGN_E_BUSY, "no memory for a password hash (hash.memory_kib)");
    memcpy(ret, phc, sizeof(phc));
    return ESIGN_OK;
}

enum esign_rc hash_service_start(void *ctx, bool may_login, struct fault *f)
{
    struct hash_service *service = ctx;
    uint8_t secret[32];

    (void)may_login; /* there is nothing to log in to */
    bytes_random(secret, sizeof(secret));
    return service_make(service, bytes_of(secret, sizeof(secret)), service->dummy, f);
}

static enum esign_rc service_reply_make(const struct hash_service *service, struct bytes secret,
                                        struct buf *reply, struct fault *f)
{
    char phc[HASH_PHC_MAX] = "";
    enum esign_rc rc = service_make(service, secret, phc, f);

    if (rc == ESIGN_OK)
        buf_put_blob(reply, bytes_of_str(phc));
    return rc;
}

/* An empty PHC string stands for an unknown code: the dummy is tried, at the same cost. */
static void service_reply_verify(const struct hash_service *service, struct bytes secret,
                                 const char *phc, struct buf *reply)
{
    const char *against = *phc ? phc : service->dummy;
    int differs = crypto_pwhash_str_verify(against, (const char *)secret.data, secret.len);

    buf_put_u8(reply, differs == 0 && *phc ? 1 : 0);
}

enum esign_rc hash_service_serve(void *ctx, const struct worker_request *request, struct buf *reply,
                                 struct fault *f)
{
    const struct hash_service *service = ctx;
    struct reader r = reader_of(request->frame->body);
    struct bytes secret = reader_blob(&r, SECRET_MAX);
    char phc[HASH_PHC_MAX] = "";

    if (request->frame->op == HASH_OP_VERIFY)
        reader_str(&r, phc, sizeof(phc));
    if (!reader_done(&r))
        return fault_set(f, ESIGN_E_PROTO, "not a request to esign-hash");
    switch ((enum hash_op)request->frame->op) {
    case HASH_OP_MAKE:
        return service_reply_make(service, secret, reply, f);
    case HASH_OP_VERIFY:
        service_reply_verify(service, secret, phc, reply);
        return ESIGN_OK;
    }
    return fault_set(f, ESIGN_E_PROTO, "esign-hash has no operation %u", request->frame->op);
}

int hash_service_check(void *ctx)
{
    (void)ctx;
    return -1;
}
