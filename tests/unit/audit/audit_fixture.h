/* The frozen files of tests/fixtures/audit, and a log key made for the test. */
#pragma once

#include "req.h"

#include "audit/audit.h"
#include "base/cleanup.h"
#include "base/encode.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <string.h>

#define FIXTURE_ORIGIN "esignd.example.com/fixture"

/* The bytes of a fixture file. */
static inline struct buf fixture_file(const char *name)
{
    char path[512];
    struct buf out = buf_new(1 << 20);
    (void)snprintf(path, sizeof path, "%s/%s", ESIGN_FIXTURES, name);
    CLEANUP(fclose_p) FILE *file = fopen(path, "re");
    assert_non_null(file);
    uint8_t piece[4096];
    size_t len;
    while ((len = fread(piece, 1, sizeof piece, file)) > 0)
        buf_put(&out, bytes_of(piece, len));
    assert_true(buf_ok(&out));
    return out;
}

/* Line number (from 0) of a file's content, without its newline. */
static inline struct bytes fixture_line(const struct buf *file, size_t number)
{
    const uint8_t *at = file->data;
    const uint8_t *end = file->data + file->len;
    for (;; number--) {
        const uint8_t *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        assert_non_null(newline);
        if (number == 0)
            return bytes_of(at, (size_t)(newline - at));
        at = newline + 1;
    }
}

/* The DER SubjectPublicKeyInfo of the fixtures' log key. */
static inline struct buf fixture_spki(void)
{
    CLEANUP(buf_done) struct buf pem = fixture_file("log.spki.pem");
    struct buf out = buf_new(256);
    unsigned char *der = NULL;
    CLEANUP(BIO_free_all_p) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    assert_non_null(key);
    int len = i2d_PUBKEY(key, &der);
    assert_true(len > 0);
    buf_put(&out, bytes_of(der, (size_t)len));
    OPENSSL_free(der);
    return out;
}

/* A log key of the test's own. */
struct test_key {
    EVP_PKEY *key;
    struct buf spki;
    struct audit_signer signer;
    int signed_count;
    bool wrong; /* sign something else */
};

static inline enum esign_rc test_key_sign(void *ctx, struct bytes digest, struct buf *ret_value,
                                          struct fault *f)
{
    struct test_key *k = ctx;
    uint8_t value[128];
    uint8_t other[SHA256_LEN] = {1};
    size_t len = sizeof value;
    (void)f;
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k->key, NULL);
    assert_int_equal(EVP_PKEY_sign_init(c), 1);
    assert_int_equal(EVP_PKEY_sign(c, value, &len, k->wrong ? other : digest.data, digest.len), 1);
    buf_put(ret_value, bytes_of(value, len));
    k->signed_count++;
    return ESIGN_OK;
}

static inline void test_key_init(struct test_key *k)
{
    unsigned char *der = NULL;
    *k = (struct test_key){.key = EVP_EC_gen("P-256"), .spki = buf_new(256)};
    assert_non_null(k->key);
    int len = i2d_PUBKEY(k->key, &der);
    assert_true(len > 0);
    buf_put(&k->spki, bytes_of(der, (size_t)len));
    OPENSSL_free(der);
    k->signer = (struct audit_signer){test_key_sign, k, buf_bytes(&k->spki)};
}

static inline void test_key_done(struct test_key *k)
{
    EVP_PKEY_free(k->key);
    buf_done(&k->spki);
}
