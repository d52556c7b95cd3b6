#include "hash/op.h"

#include "base/cleanup.h"
#include "base/reader.h"
#include "base/worker/call.h"

struct hash {
    struct worker_pool *pool;
};

enum esign_rc hash_open(const char *path, unsigned lanes, struct hash **ret, struct fault *f)
{
    struct hash *h = calloc(1, sizeof(*h));

    if (!h)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the password hasher");
    enum esign_rc rc = worker_pool_new("password hasher", path, lanes, &h->pool, f);
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

enum esign_rc hash_ping(struct hash *h, int64_t deadline_at_ms, struct fault *f)
{
    return worker_ping(h->pool, deadline_at_ms, f);
}

/* A body with room from the start, so that the secret is not copied about in growing. */
static enum esign_rc hash_body_new(const char *phc, const struct secret *s, struct buf *ret,
                                   struct fault *f)
{
    *ret = buf_new_locked(2 * sizeof(uint32_t) + HASH_PHC_MAX + SECRET_MAX);
    if (!buf_reserve(ret, ret->max))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a password");
    buf_clear(ret);
    if (phc)
        buf_put_blob(ret, bytes_of_str(phc));
    buf_put_blob(ret, secret_bytes(s));
    return buf_ok(ret) ? ESIGN_OK
                       : fault_set(f, ESIGN_E_TOO_LARGE, "the password's hash is too long");
}

static enum esign_rc hash_malformed(struct fault *f)
{
    return fault_reason(f, ESIGN_E_HSM, "worker", "the password hasher answered nonsense");
}

enum esign_rc hash_make(struct hash *h, const struct secret *s, int64_t deadline_at_ms,
                        char ret[HASH_PHC_MAX], struct fault *f)
{
    CLEANUP(buf_done) struct buf body = {0};
    CLEANUP(buf_done) struct buf reply = buf_new(HASH_PHC_MAX - 1);

    enum esign_rc rc = hash_body_new(NULL, s, &body, f);
    if (rc == ESIGN_OK)
        rc = worker_call(h->pool, HASH_OP_MAKE, buf_bytes(&body), NULL, 0, deadline_at_ms, &reply,
                         f);
    if (rc != ESIGN_OK)
        return rc;
    if (reply.len == 0 || memchr(reply.data, 0, reply.len))
        return hash_malformed(f);
    memcpy(ret, reply.data, reply.len);
    ret[reply.len] = '\0';
    return ESIGN_OK;
}

enum esign_rc hash_make_key(struct hash *h, const struct secret *s, int64_t deadline_at_ms,
                            char ret[HASH_PHC_MAX], struct secret **ret_key, struct fault *f)
{
    CLEANUP(buf_done) struct buf body = {0};
    CLEANUP(buf_done)
    struct buf reply = buf_new_locked(sizeof(uint32_t) + HASH_PHC_MAX + HASH_KEY_LEN);
    char phc[HASH_PHC_MAX];

    enum esign_rc rc = hash_body_new(NULL, s, &body, f);
    if (rc == ESIGN_OK)
        rc = worker_call(h->pool, HASH_OP_MAKE_KEY, buf_bytes(&body), NULL, 0, deadline_at_ms,
                         &reply, f);
    if (rc != ESIGN_OK)
        return rc;
    struct reader r = reader_of(buf_bytes(&reply));
    reader_str(&r, phc, sizeof(phc));
    struct bytes key = reader_take(&r, HASH_KEY_LEN);
    if (!reader_done(&r) || phc[0] == '\0')
        return hash_malformed(f);
    *ret_key = secret_new(key);
    if (!*ret_key)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    memcpy(ret, phc, sizeof(phc));
    return ESIGN_OK;
}

enum esign_rc hash_verify(struct hash *h, const char *phc, const struct secret *s,
                          int64_t deadline_at_ms, bool *ret, struct secret **ret_key,
                          struct fault *f)
{
    CLEANUP(buf_done) struct buf body = {0};
    CLEANUP(buf_done) struct buf reply = buf_new_locked(1 + HASH_KEY_LEN);
    struct secret *key = NULL;

    enum esign_rc rc = hash_body_new(phc ? phc : "", s, &body, f);
    if (rc == ESIGN_OK)
        rc = worker_call(h->pool, HASH_OP_VERIFY, buf_bytes(&body), NULL, 0, deadline_at_ms, &reply,
                         f);
    if (rc != ESIGN_OK)
        return rc;
    bool belongs = reply.len > 0 && reply.data[0] == 1, keyed = reply.len == 1 + HASH_KEY_LEN;
    if ((reply.len != 1 && !(keyed && belongs)) || reply.data[0] > 1)
        return hash_malformed(f);
    if (keyed && ret_key) {
        key = secret_new(bytes_of(reply.data + 1, HASH_KEY_LEN));
        if (!key)
            return fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    }
    if (ret_key)
        *ret_key = key;
    *ret = belongs;
    return ESIGN_OK;
}
