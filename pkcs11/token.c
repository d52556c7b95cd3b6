#include "pkcs11/op.h"

#include "base/cleanup.h"
#include "base/reader.h"
#include "base/worker/call.h"

#include <assert.h>

enum { TOKEN_NAME_MAX = 33, TOKEN_TEXT_MAX = 48 };

struct token {
    char name[TOKEN_NAME_MAX];
    struct worker_pool *pool;
};

static const char *const token_wraps[] = {[TOKEN_WRAP_KWP] = "aes-kwp",
                                          [TOKEN_WRAP_PAD] = "aes-key-wrap-pad",
                                          [TOKEN_WRAP_PLAIN] = "aes-key-wrap",
                                          [TOKEN_WRAP_CBC] = "aes-cbc-pad"};

enum token_wrap token_wrap_by_name(const char *name)
{
    for (int i = TOKEN_WRAP_KWP; i <= TOKEN_WRAP_CBC; i++)
        if (strcmp(token_wraps[i], name) == 0)
            return (enum token_wrap)i;
    return (enum token_wrap)0;
}

const char *token_wrap_name(enum token_wrap w)
{
    return w >= TOKEN_WRAP_KWP && w <= TOKEN_WRAP_CBC ? token_wraps[w] : NULL;
}

enum esign_rc token_open(const char *name, const char *path, unsigned lanes, struct token **ret,
                         struct fault *f)
{
    char text[TOKEN_TEXT_MAX];
    struct token *t = calloc(1, sizeof(*t));

    if (!t)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a token");
    (void)snprintf(t->name, sizeof(t->name), "%s", name); /* the configuration allows 32 bytes */
    (void)snprintf(text, sizeof(text), "token %s", t->name);
    enum esign_rc rc = worker_pool_new(text, path, lanes, &t->pool, f);
    if (rc != ESIGN_OK) {
        token_close(t);
        return rc;
    }
    *ret = t;
    return ESIGN_OK;
}

void token_close(struct token *t)
{
    if (!t)
        return;
    worker_pool_free(t->pool);
    free(t);
}

const char *token_name(const struct token *t)
{
    return t->name;
}

static enum esign_rc token_call(struct token *t, enum token_op op, const struct buf *body,
                                int64_t deadline_at_ms, struct buf *reply, struct fault *f)
{
    assert(buf_ok(body)); /* all bodies here are small and made by us */
    return worker_call(t->pool, (uint16_t)op, buf_bytes(body), NULL, 0, deadline_at_ms, reply, f);
}

/* What is lost is unavailable for who doesn't try again. */
static enum esign_rc token_tell(enum esign_rc rc, struct fault *f)
{
    if (rc == ESIGN_E_HSM && f && strcmp(f->reason, "lost") == 0)
        (void)snprintf(f->reason, sizeof(f->reason), "unavailable");
    return rc;
}

enum esign_rc token_info(struct token *t, int64_t deadline_at_ms, struct token_info *ret,
                         struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(1);
    CLEANUP(buf_done) struct buf reply = buf_new(sizeof(*ret) + 64);
    struct token_info info;

    enum esign_rc rc = token_call(t, TOKEN_OP_INFO, &body, deadline_at_ms, &reply, f);
    if (rc != ESIGN_OK)
        return token_tell(rc, f);
    struct reader r = reader_of(buf_bytes(&reply));
    reader_str(&r, info.label, sizeof(info.label));
    reader_str(&r, info.serial, sizeof(info.serial));
    reader_str(&r, info.manufacturer, sizeof(info.manufacturer));
    reader_str(&r, info.model, sizeof(info.model));
    reader_str(&r, info.firmware, sizeof(info.firmware));
    info.room = reader_u32(&r);
    if (!reader_done(&r))
        return fault_reason(f, ESIGN_E_HSM, "worker", "token %s: malformed answer", t->name);
    *ret = info;
    return ESIGN_OK;
}

/* A call whose answer is one run of bytes that must not be empty; put into ret, cleared before. */
static enum esign_rc token_call_value(struct token *t, enum token_op op, const struct buf *body,
                                      int64_t deadline_at_ms, size_t max, struct buf *ret,
                                      struct fault *f)
{
    CLEANUP(buf_done) struct buf reply = buf_new(max);

    enum esign_rc rc = token_call(t, op, body, deadline_at_ms, &reply, f);
    if (rc != ESIGN_OK)
        return rc;
    if (reply.len == 0)
        return fault_reason(f, ESIGN_E_HSM, "worker", "token %s: empty answer", t->name);
    buf_clear(ret);
    buf_put(ret, buf_bytes(&reply));
    return buf_ok(ret)
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_TOO_LARGE, "token %s: no room for the answer", t->name);
}

enum esign_rc token_offers(struct token *t, enum token_algorithm algorithm, int64_t deadline_at_ms,
                           struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(1);
    CLEANUP(buf_done) struct buf reply = buf_new(1);

    buf_put_u8(&body, (uint8_t)algorithm);
    return token_tell(token_call(t, TOKEN_OP_OFFER, &body, deadline_at_ms, &reply, f), f);
}

enum esign_rc token_generate(struct token *t, enum token_algorithm algorithm,
                             const uint8_t key_id[TOKEN_KEY_ID_LEN], const char *label,
                             int64_t deadline_at_ms, struct buf *ret_spki, struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(1 + TOKEN_KEY_ID_LEN + 4 + TOKEN_LABEL_MAX);

    if (strlen(label) > TOKEN_LABEL_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "a key's label has at most %d bytes",
                         TOKEN_LABEL_MAX);
    buf_put_u8(&body, (uint8_t)algorithm);
    buf_put(&body, bytes_of(key_id, TOKEN_KEY_ID_LEN));
    buf_put_blob(&body, bytes_of_str(label));
    return token_tell(
        token_call_value(t, TOKEN_OP_GENERATE, &body, deadline_at_ms, TOKEN_SPKI_MAX, ret_spki, f),
        f);
}

enum esign_rc token_public_key(struct token *t, const uint8_t key_id[TOKEN_KEY_ID_LEN],
                               int64_t deadline_at_ms, struct buf *ret_spki, struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(TOKEN_KEY_ID_LEN);

    buf_put(&body, bytes_of(key_id, TOKEN_KEY_ID_LEN));
    return token_tell(token_call_value(t, TOKEN_OP_PUBLIC_KEY, &body, deadline_at_ms,
                                       TOKEN_SPKI_MAX, ret_spki, f),
                      f);
}

enum esign_rc token_try(struct token *t, const uint8_t key_id[TOKEN_KEY_ID_LEN],
                        struct bytes digest, int64_t deadline_at_ms, struct buf *ret_value,
                        struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(TOKEN_KEY_ID_LEN + 4 + TOKEN_DIGEST_MAX);

    if (digest.len > TOKEN_DIGEST_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "a digest has at most %d bytes", TOKEN_DIGEST_MAX);
    buf_put(&body, bytes_of(key_id, TOKEN_KEY_ID_LEN));
    buf_put_blob(&body, digest);
    return token_call_value(t, TOKEN_OP_SIGN, &body, deadline_at_ms, TOKEN_SIGNATURE_MAX, ret_value,
                            f);
}

enum esign_rc token_sign(struct token *t, const uint8_t key_id[TOKEN_KEY_ID_LEN],
                         struct bytes digest, int64_t deadline_at_ms, struct buf *ret_value,
                         struct fault *f)
{
    return token_tell(token_try(t, key_id, digest, deadline_at_ms, ret_value, f), f);
}

enum esign_rc token_renew(struct token *t, uint32_t age_ms, int64_t deadline_at_ms, struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(sizeof(age_ms));
    CLEANUP(buf_done) struct buf reply = buf_new(1);

    buf_put_u32(&body, age_ms);
    return token_call(t, TOKEN_OP_RENEW, &body, deadline_at_ms, &reply, f);
}

static enum esign_rc token_malformed(const struct token *t, struct fault *f)
{
    return fault_reason(f, ESIGN_E_HSM, "worker", "token %s: malformed answer", t->name);
}

enum esign_rc token_make_kek(struct token *t, const uint8_t key_id[TOKEN_KEY_ID_LEN],
                             const char *label, enum token_algorithm algorithm,
                             int64_t deadline_at_ms, struct token_kek *ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(1 + TOKEN_KEY_ID_LEN + 4 + TOKEN_LABEL_MAX);
    CLEANUP(buf_done) struct buf reply = buf_new(2);

    if (strlen(label) > TOKEN_LABEL_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "a key's label has at most %d bytes",
                         TOKEN_LABEL_MAX);
    buf_put_u8(&body, (uint8_t)algorithm);
    buf_put(&body, bytes_of(key_id, TOKEN_KEY_ID_LEN));
    buf_put_blob(&body, bytes_of_str(label));
    enum esign_rc rc = token_call(t, TOKEN_OP_MAKE_KEK, &body, deadline_at_ms, &reply, f);
    if (rc != ESIGN_OK)
        return token_tell(rc, f);
    if (reply.len != 2 || !token_wrap_name((enum token_wrap)reply.data[0]) || reply.data[1] > 1)
        return token_malformed(t, f);
    *ret = (struct token_kek){(enum token_wrap)reply.data[0], reply.data[1] == 1};
    return ESIGN_OK;
}

/* What requests about a wrapped key begin with. */
static void token_put_wrapper(struct buf *body, const struct token_wrapper *wrapper,
                              enum token_algorithm algorithm)
{
    buf_put_u8(body, (uint8_t)wrapper->wrap);
    buf_put(body, bytes_of(wrapper->kek_id, TOKEN_KEY_ID_LEN));
    buf_put_u8(body, (uint8_t)algorithm);
}

enum esign_rc token_generate_wrapped(struct token *t, const struct token_wrapper *wrapper,
                                     enum token_algorithm algorithm, int64_t deadline_at_ms,
                                     struct buf *ret_spki, struct buf *ret_wrapped, struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(2 + TOKEN_KEY_ID_LEN);
    CLEANUP(buf_done) struct buf reply = buf_new_locked(8 + TOKEN_SPKI_MAX + TOKEN_WRAPPED_MAX);

    token_put_wrapper(&body, wrapper, algorithm);
    enum esign_rc rc = token_call(t, TOKEN_OP_GENERATE_WRAPPED, &body, deadline_at_ms, &reply, f);
    if (rc != ESIGN_OK)
        return token_tell(rc, f);
    struct reader r = reader_of(buf_bytes(&reply));
    struct bytes spki = reader_blob(&r, TOKEN_SPKI_MAX);
    struct bytes wrapped = reader_blob(&r, TOKEN_WRAPPED_MAX);
    if (!reader_done(&r) || spki.len == 0 || wrapped.len == 0)
        return token_malformed(t, f);
    buf_clear(ret_spki);
    buf_put(ret_spki, spki);
    buf_clear(ret_wrapped);
    buf_put(ret_wrapped, wrapped);
    return buf_ok(ret_spki) && buf_ok(ret_wrapped)
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a wrapped key");
}

enum esign_rc token_try_wrapped(struct token *t, const struct token_wrapper *wrapper,
                                enum token_algorithm algorithm, struct bytes wrapped,
                                struct bytes spki, struct bytes digest, int64_t deadline_at_ms,
                                struct buf *ret_value, struct fault *f)
{
    CLEANUP(buf_done)
    struct buf body = buf_new_locked(2 + TOKEN_KEY_ID_LEN + 3 * 4 + TOKEN_WRAPPED_MAX +
                                     TOKEN_SPKI_MAX + TOKEN_DIGEST_MAX);

    token_put_wrapper(&body, wrapper, algorithm);
    buf_put_blob(&body, wrapped);
    buf_put_blob(&body, spki);
    buf_put_blob(&body, digest);
    if (!buf_ok(&body))
        return fault_set(f, ESIGN_E_TOO_LARGE, "a wrapped key is too long, or no memory for it");
    return token_call_value(t, TOKEN_OP_SIGN_WRAPPED, &body, deadline_at_ms, TOKEN_SIGNATURE_MAX,
                            ret_value, f);
}
