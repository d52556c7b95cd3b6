#include "hash/service.h"

#include "base/reader.h"
#include "hash/keyed.h"
#include "hash/op.h"
#include "sandbox/sandbox.h"

#include <sodium.h>

_Static_assert(HASH_PHC_MAX >= crypto_pwhash_argon2id_STRBYTES, "room for a PHC string");

struct hash_service hash_service_of(const struct config *config)
{
    return (struct hash_service){
        .passes = (unsigned long long)config_int(config, "hash.iterations"),
        .memory = (size_t)config_int(config, "hash.memory_kib") * 1024,
    };
}

/* Argon2id of a secret; the only failure is a lack of memory. */
static enum esign_rc service_hash(const struct hash_service *h, struct bytes secret,
                                  char ret[HASH_PHC_MAX], struct fault *f)
{
    if (crypto_pwhash_argon2id_str(ret, (const char *)secret.data, secret.len, h->passes,
                                   h->memory) != 0)
        return fault_set(f, ESIGN_E_BUSY, "no memory for a password hash");
    return ESIGN_OK;
}

/* The dummy of this worker: at the configured cost, so that an unknown id takes as long. */
static enum esign_rc service_start(void *ctx, const struct worker_start *how, struct fault *f)
{
    struct hash_service *h = ctx;
    uint8_t random[32];

    (void)how; /* only tokens have PINs */
    enum esign_rc rc = secret_start(f);
    if (rc == ESIGN_OK)
        rc = sandbox_confine_hash(f);
    if (rc != ESIGN_OK)
        return rc;
    bytes_random(random, sizeof(random));
    rc = service_hash(h, bytes_of(random, sizeof(random)), h->dummy, f);
    secret_wipe(random, sizeof(random));
    return rc;
}

static enum esign_rc service_malformed(struct fault *f)
{
    return fault_set(f, ESIGN_E_PROTO, "malformed body");
}

static enum esign_rc service_make(const struct hash_service *h, struct reader *r, struct buf *reply,
                                  struct fault *f)
{
    struct bytes secret = reader_blob(r, SECRET_MAX);
    char phc[HASH_PHC_MAX];

    if (!reader_done(r))
        return service_malformed(f);
    enum esign_rc rc = service_hash(h, secret, phc, f);
    if (rc == ESIGN_OK)
        buf_put_str(reply, phc);
    return rc;
}

static enum esign_rc service_make_key(const struct hash_service *h, struct reader *r,
                                      struct buf *reply, struct fault *f)
{
    struct bytes secret = reader_blob(r, SECRET_MAX);
    char phc[HASH_PHC_MAX];
    uint8_t key[HASH_KEY_LEN];

    if (!reader_done(r))
        return service_malformed(f);
    enum esign_rc rc = keyed_make(secret, h->passes, h->memory, phc, key, f);
    if (rc == ESIGN_OK) {
        buf_put_blob(reply, bytes_of_str(phc));
        buf_put(reply, bytes_of(key, sizeof(key)));
    }
    secret_wipe(key, sizeof(key));
    return rc;
}

static enum esign_rc service_verify_keyed(const char *phc, struct bytes secret, struct buf *reply,
                                          struct fault *f)
{
    uint8_t key[HASH_KEY_LEN];
    bool belongs = false;

    enum esign_rc rc = keyed_verify(phc, secret, &belongs, key, f);
    if (rc == ESIGN_OK)
        buf_put_u8(reply, belongs);
    if (rc == ESIGN_OK && belongs)
        buf_put(reply, bytes_of(key, sizeof(key)));
    secret_wipe(key, sizeof(key));
    return rc;
}

static enum esign_rc service_verify(const struct hash_service *h, struct reader *r,
                                    struct buf *reply, struct fault *f)
{
    char phc[HASH_PHC_MAX];

    reader_str(r, phc, sizeof(phc));
    struct bytes secret = reader_blob(r, SECRET_MAX);
    if (!reader_done(r))
        return service_malformed(f);
    if (keyed_is(phc))
        return service_verify_keyed(phc, secret, reply, f);
    bool known = phc[0] != '\0';
    if (known && strncmp(phc, crypto_pwhash_argon2id_STRPREFIX,
                         strlen(crypto_pwhash_argon2id_STRPREFIX)) != 0)
        return fault_set(f, ESIGN_E_PROTO, "not an Argon2id hash");
    bool belongs = crypto_pwhash_argon2id_str_verify(known ? phc : h->dummy,
                                                     (const char *)secret.data, secret.len) == 0;
    buf_put_u8(reply, known && belongs);
    return ESIGN_OK;
}

static enum esign_rc service_serve(void *ctx, const struct worker_request *request,
                                   struct buf *reply, struct fault *f)
{
    const struct hash_service *h = ctx;
    struct reader r = reader_of(request->frame->body); /* wiped by the skeleton afterwards */

    if (request->frame->op == HASH_OP_MAKE)
        return service_make(h, &r, reply, f);
    if (request->frame->op == HASH_OP_MAKE_KEY)
        return service_make_key(h, &r, reply, f);
    if (request->frame->op == HASH_OP_VERIFY)
        return service_verify(h, &r, reply, f);
    return fault_set(f, ESIGN_E_UNSUPPORTED, "unknown operation %u", request->frame->op);
}

struct worker_service hash_worker_service(struct hash_service *h, const struct config *config,
                                          uid_t caller)
{
    return (struct worker_service){
        .name = "hash",
        .workers = (unsigned)config_int(config, "hash.workers"),
        .grace_ms = HASH_GRACE_MS,
        .has_secrets = true,
        .caller_uid = caller,
        .start = service_start,
        .serve = service_serve,
        .ctx = h,
    };
}
