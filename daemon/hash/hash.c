#include "hash/op.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/reader.h"
#include "base/worker/call.h"

struct hash {
    struct worker_pool *pool;
};

enum { HASH_BODY_MAX = SECRET_MAX + HASH_PHC_MAX + 16 };

enum esign_rc hash_open(const char *path, unsigned lanes, struct hash **ret, struct fault *f)
{
    struct hash *h = calloc(1, sizeof(*h));

    if (!h)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for esign-hash");
    enum esign_rc rc = worker_pool_new("hash", path, lanes, &h->pool, f);
    if (rc != ESIGN_OK) {
        hash_close(h);
        return rc;
    }
    *ret = h;
    return ESIGN_OK;
}

void hash_close(struct hash *h)
{
    if (!h)
        return;
    worker_pool_free(h->pool);
    free(h);
}

/* One call; body and reply are wiped, they carry the secret. */
static enum esign_rc hash_call(struct hash *h, enum hash_op op, const struct secret *s,
                               const char *phc, int64_t deadline_at_ms, struct buf *reply,
                               struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(HASH_BODY_MAX);

    buf_put_blob(&body, secret_bytes(s));
    if (phc)
        buf_put_blob(&body, bytes_of_str(phc));
    if (!buf_ok(&body))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for esign-hash");
    return worker_call(h->pool, (uint16_t)op, buf_bytes(&body), NULL, 0, deadline_at_ms, reply, f);
}

enum esign_rc hash_make(struct hash *h, const struct secret *s, int64_t deadline_at_ms,
                        char ret[HASH_PHC_MAX], struct fault *f)
{
    CLEANUP(buf_done) struct buf reply = buf_new(HASH_BODY_MAX);
    char phc[HASH_PHC_MAX];
    enum esign_rc rc = hash_call(h, HASH_OP_MAKE, s, NULL, deadline_at_ms, &reply, f);

    if (rc != ESIGN_OK)
        return rc;
    struct reader r = reader_of(buf_bytes(&reply));
    reader_str(&r, phc, sizeof(phc));
    if (!reader_done(&r))
        return fault_reason(f, ESIGN_E_HSM, "value", "esign-hash gave no usable hash");
    memcpy(ret, phc, sizeof(phc));
    return ESIGN_OK;
}

enum esign_rc hash_verify(struct hash *h, const char *phc, const struct secret *s,
                          int64_t deadline_at_ms, bool *ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf reply = buf_new(HASH_BODY_MAX);
    enum esign_rc rc = hash_call(h, HASH_OP_VERIFY, s, phc ? phc : "", deadline_at_ms, &reply, f);

    if (rc != ESIGN_OK)
        return rc;
    struct reader r = reader_of(buf_bytes(&reply));
    uint8_t right = reader_u8(&r);
    if (!reader_done(&r) || right > 1)
        return fault_reason(f, ESIGN_E_HSM, "value", "esign-hash gave no usable answer");
    *ret = right == 1 && phc != NULL;
    return ESIGN_OK;
}
