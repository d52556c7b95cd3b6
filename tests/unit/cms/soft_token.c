/* A token made of OpenSSL keys in this process. */
#include "cms/soft_token.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"

#include <assert.h>
#include <openssl/rsa.h>

struct token {
    EVP_PKEY *key;
    bool spoilt;
};

struct token *soft_token_new(enum token_algorithm algorithm)
{
    struct token *t = calloc(1, sizeof *t);
    assert(t);
    switch (algorithm) {
    case TOKEN_P256:
        t->key = EVP_EC_gen("P-256");
        break;
    case TOKEN_P384:
        t->key = EVP_EC_gen("P-384");
        break;
    case TOKEN_RSA2048:
        t->key = EVP_RSA_gen(2048);
        break;
    case TOKEN_RSA3072:
        t->key = EVP_RSA_gen(3072);
        break;
    case TOKEN_RSA4096:
        t->key = EVP_RSA_gen(4096);
        break;
    }
    assert(t->key);
    return t;
}

void soft_token_free(struct token *t)
{
    EVP_PKEY_free(t->key);
    free(t);
}

void soft_token_spki(const struct token *t, struct buf *ret)
{
    int len = i2d_PUBKEY(t->key, NULL);
    unsigned char *room = buf_reserve(ret, (size_t)len);
    assert(room && i2d_PUBKEY(t->key, &room) == len);
}

void soft_token_spoil(struct token *t)
{
    t->spoilt = true;
}

enum esign_rc token_sign(struct token *t, const uint8_t key_id[TOKEN_KEY_ID_LEN],
                         struct bytes digest, int64_t deadline_at_ms, struct buf *ret_value,
                         struct fault *f)
{
    (void)key_id; /* it has one key */
    (void)deadline_at_ms;
    (void)f;
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(t->key, NULL);
    unsigned char value[TOKEN_SIGNATURE_MAX], spoilt[64];
    size_t len = sizeof value;

    assert(digest.len <= sizeof spoilt);
    memcpy(spoilt, digest.data, digest.len);
    spoilt[0] ^= t->spoilt;
    assert(ctx && EVP_PKEY_sign_init(ctx) == 1);
    assert(!EVP_PKEY_is_a(t->key, "RSA") ||
           EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1);
    assert(EVP_PKEY_CTX_set_signature_md(ctx, digest.len == 48 ? EVP_sha384() : EVP_sha256()) == 1);
    assert(EVP_PKEY_sign(ctx, value, &len, spoilt, digest.len) == 1);
    buf_put(ret_value, bytes_of(value, len));
    return ESIGN_OK;
}

static void issue(const struct soft_world *w, struct token *subject, bool is_ca,
                  struct bytes issuer_cert, struct buf *ret)
{
    struct token *issuer = w->ca;
    CLEANUP(buf_done) struct buf issuer_spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf subject_spki = buf_new(TOKEN_SPKI_MAX);
    soft_token_spki(issuer, &issuer_spki);
    soft_token_spki(subject, &subject_spki);
    const struct ca_key key = {
        .token = issuer, .algorithm = w->algorithm, .spki = buf_bytes(&issuer_spki)};
    const struct ca_certificate certificate = {
        .subject_spki = buf_bytes(&subject_spki),
        .common_name = is_ca ? "Test signing CA" : "Jana Doe",
        .user_id = is_ca ? NULL : "jdoe",
        .signer_id = is_ca ? NULL : "S-0001",
        .organisation = "Test site",
        .not_before_ms = (w->signed_at_s - 86400) * 1000,
        .not_after_ms = (w->signed_at_s + 3 * 31536000LL) * 1000,
        .is_ca = is_ca,
    };
    struct fault f = {0};
    *ret = buf_new(CA_CERT_MAX);
    if (ca_issue(&key, issuer_cert, &certificate, 0, ret, &f)) {
        fprintf(stderr, "ca_issue: %s\n", f.detail);
        abort();
    }
}

void soft_world_init(struct soft_world *w, enum token_algorithm algorithm)
{
    soft_world_init_at(w, algorithm, SOFT_SIGNED_AT_S);
}

void soft_world_init_at(struct soft_world *w, enum token_algorithm algorithm, int64_t signed_at_s)
{
    *w = (struct soft_world){.algorithm = algorithm, .signed_at_s = signed_at_s};
    w->ca = soft_token_new(algorithm);
    w->signer = soft_token_new(algorithm);
    issue(w, w->ca, true, (struct bytes){0}, &w->ca_cert);
    issue(w, w->signer, false, buf_bytes(&w->ca_cert), &w->signer_cert);
}

void soft_world_done(struct soft_world *w)
{
    soft_token_free(w->ca);
    soft_token_free(w->signer);
    buf_done(&w->ca_cert);
    buf_done(&w->signer_cert);
}

static const char *chosen(const char *choice, const char *otherwise)
{
    return choice ? choice : otherwise;
}

void soft_envelope(const struct soft_world *w, struct bytes record,
                   const struct soft_choice *choice, struct buf *ret)
{
    if (choice->envelope) {
        buf_put_str(ret, choice->envelope);
        return;
    }
    uint8_t digest[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    bytes_sha256(record, (struct bytes){0}, digest);
    encode_hex(bytes_of(digest, sizeof digest), hex);
    char utc[CLOCK_TEXT];
    clock_format_utc(w->signed_at_s * 1000 + 123, utc);
    const char *zeros = "0000000000000000000000000000000000000000000000000000000000000000";
    CLEANUP(json_decref_p)
    json_t *envelope = json_pack(
        "{s:s, s:{s:s,s:i}, s:{s:i,s:s}, s:[s,s], s:s, s:s, s:s, s:i, s:s,"
        " s:{s:s,s:i,s:s,s:s,s:s}, s:s, s:i, s:{s:s,s:s,s:i}, s:{s:s,s:i}, s:[], s:s, s:s, s:s}",
        "application", "mes", "audit_head", "root", zeros, "size", 41, "clock", "error_ms", 3,
        "state", "synchronised", "components", "id", "password", "custody", "K1", "daemon", "0.1.0",
        "entry", "direct", "format", 1, "key", "000102030405060708090a0b0c0d0e0f", "meaning",
        "code", "approved", "version", 1, "text",
        chosen(choice->meaning_text, "I approve this record."), "text_hash",
        "40b8d6a658313fb07a0d2aee14352e6a7b1ddba5c0c721aab86da575ed7c01d7", "language", "en",
        "mode", "one-shot", "ordinal", 1, "plan", "id", "single", "step", "sign", "version", 1,
        "policy", "id", "default", "version", 1, "previous", "role", "approver", "session", "",
        "signature_id", "G-0001");
    assert(envelope);
    json_object_set_new(envelope, "record",
                        json_pack("{s:b,s:s,s:s,s:s,s:i,s:s,s:s,s:s}", "digest_only", 0, "hash",
                                  chosen(choice->record_hash, hex), "hash_algorithm", "sha-256",
                                  "id", chosen(choice->record_id, "B-2026-0042"), "length",
                                  (int)record.len, "media_type", "application/xml", "type", "batch",
                                  "version", chosen(choice->record_version, "1")));
    json_object_set_new(envelope, "signer",
                        json_pack("{s:s,s:s,s:s,s:s}", "printed_name",
                                  chosen(choice->printed_name, "Jana Doe"), "signer_id", "S-0001",
                                  "title", "Head of Production", "user_id",
                                  chosen(choice->user_id, "jdoe")));
    json_object_set_new(envelope, "statement", json_pack("{s:s,s:i}", "code", "s1", "version", 1));
    json_object_set_new(envelope, "system", json_string(chosen(choice->system, "production")));
    json_object_set_new(envelope, "system_class", json_string("closed"));
    json_object_set_new(envelope, "terminal",
                        json_pack("{s:s,s:s}", "assurance", "declared", "id", "line-1"));
    json_object_set_new(envelope, "ticket", json_string("T-0001"));
    json_object_set_new(envelope, "time",
                        json_pack("{s:s,s:s,s:s}", "offset", "+01:00", "utc",
                                  chosen(choice->utc, "2026-11-22T13:03:07.123Z"), "zone",
                                  "Europe/Zurich"));
    assert(json_canonical(envelope, ret) == ESIGN_OK);
}

void soft_attributes(const struct soft_world *w, struct bytes record,
                     const struct soft_choice *choice, struct buf *ret)
{
    CLEANUP(buf_done) struct buf envelope = buf_new(CMS_ENVELOPE_MAX);
    uint8_t digest[SHA256_LEN];
    bytes_sha256(record, (struct bytes){0}, digest);
    soft_envelope(w, record, choice, &envelope);
    const struct cms_attributes attributes = {
        .record_digest = bytes_of(digest, sizeof digest),
        .signing_time_ms = w->signed_at_s * 1000 + 123,
        .signer_cert = buf_bytes(&w->signer_cert),
        .algorithm = w->algorithm,
        .commitment_oid = "1.2.840.113549.1.9.16.6.5",
        .claimed_role = "approver",
        .envelope = buf_bytes(&envelope),
    };
    assert(cms_signed_attributes(&attributes, ret, NULL) == ESIGN_OK);
}

void soft_sign(const struct soft_world *w, struct bytes record, const struct soft_choice *choice,
               struct buf *ret)
{
    CLEANUP(buf_done) struct buf attributes = buf_new(CMS_SIGNED_MAX);
    CLEANUP(buf_done) struct buf digest = buf_new(SHA256_LEN);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    const uint8_t key_id[TOKEN_KEY_ID_LEN] = {0};
    const struct bytes chain[] = {buf_bytes(&w->ca_cert)};

    soft_attributes(w, record, choice, &attributes);
    assert(cms_dtbs_digest(buf_bytes(&attributes), w->algorithm, &digest, NULL) == ESIGN_OK);
    assert(token_sign(w->signer, key_id, buf_bytes(&digest), 0, &value, NULL) == ESIGN_OK);
    assert(cms_signed_data(choice->attributes ? *choice->attributes : buf_bytes(&attributes),
                           w->algorithm, buf_bytes(&value), buf_bytes(&w->signer_cert), chain,
                           choice->no_chain ? 0 : 1, ret, NULL) == ESIGN_OK);
}
