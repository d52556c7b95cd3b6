#include "sign/idempotency.h"

#include <stdio.h>
#include <string.h>

#include "authn/components.h"
#include "authn/session.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "site/site.h"

enum { KEY_BODY_MAX = 4 * 1024 * 1024 }; /* more than any body that takes a key */

/* Whose key: that of an application, or of a person's own user at a terminal. */
static enum esign_rc key_name(const struct sign_key_claim *c, char ret[2 * SHA256_LEN + 1],
                              struct fault *f)
{
    CLEANUP(buf_done) struct buf name = buf_new(1024);
    uint8_t hash[SHA256_LEN];

    buf_put_blob(&name, bytes_of_str(c->application ? "application" : "terminal"));
    buf_put_blob(&name, bytes_of_str(c->application ? c->application : c->terminal));
    if (!c->application)
        buf_put_fmt(&name, "%lld", (long long)c->uid);
    buf_put_blob(&name, bytes_of_str(c->key));
    if (!buf_ok(&name))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    bytes_sha256(buf_bytes(&name), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), ret);
    return ESIGN_OK;
}

/* What is asked for, without who proves it how: components and session differ from one try to the
 * next. */
static enum esign_rc key_fingerprint(const struct sign_key_claim *c, char ret[2 * SHA256_LEN + 1],
                                     struct fault *f)
{
    CLEANUP(json_decref_p) json_t *body = c->body ? json_copy((json_t *)(uintptr_t)c->body) : NULL;
    CLEANUP(buf_done) struct buf head = buf_new(8192);
    CLEANUP(buf_done) struct buf text = buf_new(KEY_BODY_MAX);
    uint8_t hash[SHA256_LEN];

    buf_put_blob(&head, bytes_of_str(c->method));
    buf_put_blob(&head, bytes_of_str(c->path));
    if (!body || !buf_ok(&head))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a request's fingerprint");
    (void)json_object_del(body, "session"); /* fails where there is none */
    enum esign_rc rc = json_canonical(body, &text);
    if (rc != ESIGN_OK)
        return fault_set(f, rc, "the body can't be kept under a key");
    bytes_sha256(buf_bytes(&head), buf_bytes(&text), hash);
    encode_hex(bytes_of(hash, sizeof(hash)), ret);
    return ESIGN_OK;
}

/* Whether the signature is that of the person who asks: who is named, or whose session is given. */
static bool key_is_signer(const struct sign_key_claim *c, const json_t *made)
{
    const char *session = json_str(c->body, "session"), *signer = json_str(made, "user_id");
    char asked[65], signed_by[65], hash[SESSION_HANDLE_LEN + 1];

    if (c->user_id && *c->user_id) {
        authn_user_key(c->user_id, asked);
        authn_user_key(signer, signed_by);
        return strcmp(asked, signed_by) == 0;
    }
    if (!session)
        return true;
    authn_session_hash(session, hash);
    return strcmp(hash, json_str(made, "envelope.session")) == 0;
}

/* What a row in force stands for. */
static enum esign_rc key_find_made(struct store *store, const struct sign_key_claim *c,
                                   const json_t *row, struct sign_key *key,
                                   struct sign_key_found *ret, struct fault *f)
{
    const char *kind = json_str(row, "kind"), *id = json_str(row, "id");
    CLEANUP(json_decref_p) json_t *made = NULL;
    int64_t seq = -1;

    if (strcmp(json_str(row, "fingerprint"), key->fingerprint) != 0)
        return fault_reason(f, ESIGN_E_CONFLICT, "idempotency_key",
                            "this Idempotency-Key was used for another request");
    enum esign_rc rc = store_get(store, kind, id, &made, &seq, f);
    if (rc == ESIGN_E_NOT_FOUND) {
        (void)snprintf(key->void_id, sizeof(key->void_id), "%s", id);
        return ESIGN_OK;
    }
    if (rc != ESIGN_OK)
        return rc;
    bool is_ticket = strcmp(kind, "ticket") == 0;
    if (!is_ticket && !key_is_signer(c, made))
        return fault_reason(f, ESIGN_E_CONFLICT, "idempotency_key",
                            "another person has signed under this Idempotency-Key");
    *ret = (struct sign_key_found){TAKE(made), seq, is_ticket};
    return ESIGN_OK;
}

static enum esign_rc key_find(struct store *store, const struct sign_key_claim *c,
                              struct sign_key *key, struct sign_key_found *ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    enum esign_rc rc = store_get(store, "idempotency", key->turn.name, &row, &key->seq, f);

    key->taken_at_ms = clock_now_ms(store_clock(store));
    if (rc == ESIGN_E_NOT_FOUND) {
        key->seq = -1;
        return ESIGN_OK;
    }
    if (rc != ESIGN_OK)
        return rc;
    int64_t age_ms = key->taken_at_ms - json_int(row, "created_ms", 0);
    return age_ms < SIGN_KEY_KEPT_MS ? key_find_made(store, c, row, key, ret, f) : ESIGN_OK;
}

enum esign_rc sign_key_take(struct store *store, struct turns *turns,
                            const struct sign_key_claim *c, struct sign_key *ret_key,
                            struct sign_key_found *ret, struct fault *f)
{
    char name[2 * SHA256_LEN + 1];

    if (!c->key)
        return ESIGN_OK;
    enum esign_rc rc = key_name(c, name, f);
    if (rc == ESIGN_OK)
        rc = key_fingerprint(c, ret_key->fingerprint, f);
    if (rc == ESIGN_OK)
        rc = turn_take(turns, name, c->deadline_at_ms, &ret_key->turn, f);
    return rc == ESIGN_OK ? key_find(store, c, ret_key, ret, f) : rc;
}

void sign_key_into(struct sign_key *key, const char *kind, const char *id,
                   struct store_change *change)
{
    if (!key || !key->turn.turns)
        return;
    json_decref(key->row);
    key->row = json_pack("{s:s, s:s, s:s, s:I}", "fingerprint", key->fingerprint, "kind", kind,
                         "id", id, "created_ms", (json_int_t)key->taken_at_ms);
    site_put(change, "idempotency", key->turn.name, key->row);
    site_guard(change, "idempotency", key->turn.name, key->seq);
    if (*key->void_id)
        site_guard(change, kind, key->void_id, -1);
}

void sign_key_found_done(struct sign_key_found *found)
{
    json_decref(TAKE(found->body));
}

void sign_key_done(struct sign_key *key)
{
    json_decref(TAKE(key->row));
    turn_end(&key->turn);
}
