/* Keys out of certificates: the same as OpenSSL's, or none. */
#include "req.h"

#include "cms/certificate.h"
#include "cms/key.h"
#include "cms/soft_token.h"

static const enum token_algorithm ALGORITHMS[] = {TOKEN_P256, TOKEN_P384, TOKEN_RSA3072};

static void test_cms_read_key__each_algorithm__as_openssl_reads_it(void **state)
{
    REQ("11.70");
    (void)state;
    for (size_t i = 0; i < sizeof ALGORITHMS / sizeof *ALGORITHMS; i++) {
        struct soft_world w;
        soft_world_init(&w, ALGORITHMS[i]);
        CLEANUP(X509_free_p) X509 *cert = NULL;
        CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = NULL;
        assert_int_equal(cms_read_certificate(buf_bytes(&w.signer_cert), &cert, NULL), ESIGN_OK);
        assert_int_equal(cms_read_key(buf_bytes(&w.signer_cert), &key, NULL), ESIGN_OK);
        assert_int_equal(EVP_PKEY_eq(key, X509_get0_pubkey(cert)), 1);
        soft_world_done(&w);
    }
}

static void test_cms_read_key__cut_or_followed__refused(void **state)
{
    REQ("11.70");
    (void)state;
    struct soft_world w;
    soft_world_init(&w, TOKEN_P256);
    EVP_PKEY *key = NULL;
    struct fault f = {0};
    for (size_t len = 0; len < w.signer_cert.len; len++)
        assert_int_equal(cms_read_key(bytes_of(w.signer_cert.data, len), &key, &f),
                         ESIGN_E_INTERNAL);
    buf_put_u8(&w.signer_cert, 0);
    assert_int_equal(cms_read_key(buf_bytes(&w.signer_cert), &key, &f), ESIGN_E_INTERNAL);
    assert_null(key);
    soft_world_done(&w);
}

/* A changed byte gives no key, the same key, or the key that OpenSSL reads there too. */
static void test_cms_read_key__a_byte_changed__never_a_key_of_its_own(void **state)
{
    REQ("11.70");
    (void)state;
    struct soft_world w;
    soft_world_init(&w, TOKEN_P256);
    size_t refused = 0;
    for (size_t i = 0; i < w.signer_cert.len; i++) {
        CLEANUP(X509_free_p) X509 *cert = NULL;
        CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = NULL;
        w.signer_cert.data[i] ^= 0x01;
        bool mine = cms_read_key(buf_bytes(&w.signer_cert), &key, NULL) == ESIGN_OK;
        bool theirs = cms_read_certificate(buf_bytes(&w.signer_cert), &cert, NULL) == ESIGN_OK;
        w.signer_cert.data[i] ^= 0x01;
        refused += !mine;
        if (mine && theirs)
            assert_int_equal(EVP_PKEY_eq(key, X509_get0_pubkey(cert)), 1);
    }
    assert_true(refused > 64); /* at least every change of the point */
    soft_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cms_read_key__each_algorithm__as_openssl_reads_it),
        cmocka_unit_test(test_cms_read_key__cut_or_followed__refused),
        cmocka_unit_test(test_cms_read_key__a_byte_changed__never_a_key_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
