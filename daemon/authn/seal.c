#include "authn/seal.h"

#include "base/cleanup.h"
#include "base/encode.h"

enum {
    SEAL_FORMAT = 1,
    SEAL_NONCE_LEN = 12,
    SEAL_TAG_LEN = 16,
    SEAL_ABOUT_MAX = 1024,
    SEAL_WRAPPED_MAX = 4096
};

DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)

enum esign_rc seal_about_row(const json_t *row, const char *signer_id, const char *key,
                             int64_t generation, struct buf *spki, struct seal_about *ret,
                             struct fault *f)
{
    const char *kek = json_str(row, "kek"), *wrap = json_str(row, "wrap");
    const char *base64 = json_str(row, "spki");

    buf_clear(spki);
    if (!kek || !wrap || !base64 || decode_base64(base64, strlen(base64), spki) != ESIGN_OK)
        return fault_set(f, ESIGN_E_INTERNAL, "the key's row is not one of custody K2");
    *ret = (struct seal_about){signer_id, key, kek, wrap, buf_bytes(spki), generation};
    return ESIGN_OK;
}

/* The associated data: canonical JSON. */
static enum esign_rc seal_about_text(const struct seal_about *about, struct buf *ret,
                                     struct fault *f)
{
    uint8_t hash[SHA256_LEN];
    char spki[2 * SHA256_LEN + 1];

    bytes_sha256(about->spki, (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), spki);
    CLEANUP(json_decref_p)
    json_t *text = json_pack("{s:s, s:i, s:I, s:s, s:s, s:s, s:s, s:s}", "custody", "K2", "format",
                             SEAL_FORMAT, "generation", (json_int_t)about->generation, "kek",
                             about->kek, "key", about->key, "signer_id", about->signer_id,
                             "spki_sha256", spki, "wrap", about->wrap);
    return text && json_canonical(text, ret) == ESIGN_OK
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a blob");
}

static enum esign_rc seal_failed(struct fault *f)
{
    return fault_set(f, ESIGN_E_INTERNAL, "AES-256-GCM failed");
}

/* AES-256-GCM set up with key, nonce and associated data. */
static bool seal_begin(EVP_CIPHER_CTX *c, const struct secret *sealing, const uint8_t *nonce,
                       struct bytes about, bool encrypt)
{
    int len = 0;

    return EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, secret_bytes(sealing).data, nonce,
                             encrypt) == 1 &&
           EVP_CipherUpdate(c, NULL, &len, about.data, (int)about.len) == 1;
}

enum esign_rc seal_close(const struct secret *sealing, const struct seal_about *about,
                         struct bytes wrapped, json_t **ret, struct fault *f)
{
    CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    CLEANUP(buf_done) struct buf text = buf_new(SEAL_ABOUT_MAX);
    CLEANUP(buf_done) struct buf box = buf_new(SEAL_NONCE_LEN + SEAL_WRAPPED_MAX + SEAL_TAG_LEN);
    CLEANUP(buf_done) struct buf base64 = buf_new(2 * SEAL_WRAPPED_MAX);
    uint8_t nonce[SEAL_NONCE_LEN];
    int len = 0;
    enum esign_rc rc = seal_about_text(about, &text, f);

    if (rc != ESIGN_OK)
        return rc;
    bytes_random(nonce, sizeof(nonce));
    buf_put(&box, bytes_of(nonce, sizeof(nonce)));
    uint8_t *room = buf_reserve(&box, wrapped.len + SEAL_TAG_LEN);
    if (!c || !room)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a blob");
    if (!seal_begin(c, sealing, nonce, buf_bytes(&text), true) ||
        EVP_CipherUpdate(c, room, &len, wrapped.data, (int)wrapped.len) != 1 ||
        EVP_CipherFinal_ex(c, room + len, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, SEAL_TAG_LEN, room + wrapped.len) != 1)
        return seal_failed(f);
    encode_base64(buf_bytes(&box), &base64);
    *ret = json_pack("{s:s, s:i, s:I, s:s, s:s}", "box", buf_str(&base64), "format", SEAL_FORMAT,
                     "generation", (json_int_t)about->generation, "key", about->key, "signer_id",
                     about->signer_id);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a blob");
}

static enum esign_rc seal_edited(struct fault *f)
{
    return fault_reason(f, ESIGN_E_CRED_STATE, "blob-edited",
                        "the signer's sealed key is not what was sealed; a new key is needed");
}

/* What the blob says of itself; a lie is found by the associated data. */
static enum esign_rc seal_check(const struct seal_about *about, const json_t *sealed,
                                struct fault *f)
{
    const char *signer_id = json_str(sealed, "signer_id"), *key = json_str(sealed, "key");

    if (!signer_id || !key || json_int(sealed, "format", 0) != SEAL_FORMAT)
        return seal_edited(f);
    if (strcmp(signer_id, about->signer_id) != 0 || strcmp(key, about->key) != 0)
        return fault_reason(f, ESIGN_E_CRED_STATE, "blob-other",
                            "the sealed key is not of this signer's key");
    if (json_int(sealed, "generation", 0) != about->generation)
        return fault_reason(f, ESIGN_E_CRED_STATE, "blob-old",
                            "the sealed key is one from before the password was changed");
    return ESIGN_OK;
}

enum esign_rc seal_open(const struct secret *sealing, const struct seal_about *about,
                        const json_t *sealed, struct buf *ret_wrapped, struct fault *f)
{
    CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    CLEANUP(buf_done) struct buf text = buf_new(SEAL_ABOUT_MAX);
    CLEANUP(buf_done) struct buf box = buf_new(SEAL_NONCE_LEN + SEAL_WRAPPED_MAX + SEAL_TAG_LEN);
    const char *base64 = json_str(sealed, "box");
    uint8_t last[SEAL_TAG_LEN];
    int len = 0;
    enum esign_rc rc = seal_check(about, sealed, f);

    if (rc == ESIGN_OK)
        rc = seal_about_text(about, &text, f);
    if (rc != ESIGN_OK)
        return rc;
    if (!base64 || decode_base64(base64, strlen(base64), &box) != ESIGN_OK ||
        box.len <= SEAL_NONCE_LEN + SEAL_TAG_LEN)
        return seal_edited(f);
    size_t wrapped_len = box.len - SEAL_NONCE_LEN - SEAL_TAG_LEN;
    uint8_t *room = buf_reserve(ret_wrapped, wrapped_len), *at = box.data + SEAL_NONCE_LEN;
    if (!c || !room)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a wrapped key");
    if (!seal_begin(c, sealing, box.data, buf_bytes(&text), false) ||
        EVP_CipherUpdate(c, room, &len, at, (int)wrapped_len) != 1 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, SEAL_TAG_LEN, at + wrapped_len) != 1)
        return seal_failed(f);
    if (EVP_CipherFinal_ex(c, last, &len) == 1)
        return ESIGN_OK;
    buf_clear(ret_wrapped);
    return seal_edited(f);
}
