/* Signatures with software keys: OpenSSL reads in them what was put in; wrong values are refused.
 */
#include "cms/keys.h"
#include "req.h"

#include "cms/soft_token.h"

#include "base/cleanup.h"
#include "cms/certificate.h"

/* The value is checked with a key that is made of the certificate, and with the kept one. */
static enum esign_rc check_kept(struct bytes cert, struct bytes digest, struct bytes value,
                                bool *ret, struct fault *f)
{
    struct cms_keys *keys = NULL;
    bool again = false;
    assert_int_equal(cms_keys_open(&keys, f), ESIGN_OK);
    enum esign_rc rc = cms_keys_check(keys, cert, digest, value, ret, f);
    assert_int_equal(cms_keys_check(keys, cert, digest, value, &again, NULL), rc);
    if (!rc)
        assert_int_equal(again, *ret);
    cms_keys_close(keys);
    return rc;
}

static const struct bytes record = {(const uint8_t *)"a batch record", 14};

/* OpenSSL's own verification of a detached signature, with CAdES checks. */
static bool openssl_accepts(const struct soft_world *w, struct bytes cms, struct bytes content)
{
    const unsigned char *at = cms.data;
    CLEANUP(CMS_ContentInfo_free_p) CMS_ContentInfo *info = NULL;
    CLEANUP(X509_STORE_free_p) X509_STORE *store = X509_STORE_new();
    CLEANUP(X509_free_p) X509 *anchor = NULL;
    CLEANUP(BIO_free_all_p) BIO *in = BIO_new_mem_buf(content.data, (int)content.len);

    info = d2i_CMS_ContentInfo(NULL, &at, (long)cms.len);
    assert_non_null(info);
    assert_int_equal(cms_read_certificate(buf_bytes(&w->ca_cert), &anchor, NULL), ESIGN_OK);
    assert_int_equal(X509_STORE_add_cert(store, anchor), 1);
    X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
    X509_VERIFY_PARAM_set_time(param, SOFT_SIGNED_AT_S);
    assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY), 1);
    return CMS_verify(info, NULL, store, in, NULL, CMS_BINARY | CMS_CADES) == 1;
}

static void check_algorithm(enum token_algorithm algorithm)
{
    struct soft_world w;
    const struct soft_choice choice = {0};
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    soft_world_init(&w, algorithm);
    soft_sign(&w, record, &choice, &cms);
    assert_true(openssl_accepts(&w, buf_bytes(&cms), record));
    assert_false(openssl_accepts(&w, buf_bytes(&cms), bytes_of("A batch record", 14)));
    soft_world_done(&w);
}

static void test_cms_certificate_end__ours_and_damaged__read_or_refused(void **state)
{
    REQ("requirements 2.4");
    struct soft_world w;
    int64_t end_ms = 7;

    (void)state;
    soft_world_init(&w, TOKEN_P256);
    assert_int_equal(cms_certificate_end(buf_bytes(&w.ca_cert), &end_ms, NULL), ESIGN_OK);
    assert_int_equal(end_ms, (SOFT_SIGNED_AT_S + 3 * 31536000LL) * 1000);
    end_ms = 7;
    for (size_t len = 0; len < w.ca_cert.len; len++) {
        const struct bytes cut = {w.ca_cert.data, len};
        assert_int_equal(cms_certificate_end(cut, &end_ms, NULL), ESIGN_E_INTERNAL);
        assert_int_equal(end_ms, 7);
    }
    soft_world_done(&w);
}

static void test_cms_signed_data__p256__openssl_accepts(void **state)
{
    REQ("11.70", "design 6");
    (void)state;
    check_algorithm(TOKEN_P256);
}

static void test_cms_signed_data__p384__openssl_accepts(void **state)
{
    REQ("11.70", "design 6");
    (void)state;
    check_algorithm(TOKEN_P384);
}

static void test_cms_signed_data__rsa3072__openssl_accepts(void **state)
{
    REQ("11.70", "design 6");
    (void)state;
    check_algorithm(TOKEN_RSA3072);
}

static void check_value(enum token_algorithm algorithm)
{
    struct soft_world w;
    uint8_t digest[SHA256_LEN] = {1};
    const uint8_t key_id[TOKEN_KEY_ID_LEN] = {0};
    bool good = false;
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    soft_world_init(&w, algorithm);
    const struct bytes cert = buf_bytes(&w.signer_cert), what = bytes_of(digest, sizeof digest);
    assert_int_equal(token_sign(w.signer, key_id, what, 0, &value, NULL), ESIGN_OK);
    assert_int_equal(check_kept(cert, what, buf_bytes(&value), &good, NULL), ESIGN_OK);
    assert_true(good);
    assert_int_equal(check_kept(buf_bytes(&w.ca_cert), what, buf_bytes(&value), &good, NULL),
                     ESIGN_OK);
    assert_false(good);
    good = true;
    assert_int_equal(check_kept(cert, what, bytes_of("junk", 4), &good, NULL), ESIGN_OK);
    assert_false(good);
    digest[0] = 2;
    good = true;
    assert_int_equal(check_kept(cert, what, buf_bytes(&value), &good, NULL), ESIGN_OK);
    assert_false(good);
    soft_world_done(&w);
}

static void test_cms_check_value__right_and_wrong__told(void **state)
{
    REQ("11.70");
    (void)state;
    check_value(TOKEN_P256);
    check_value(TOKEN_P384);
    check_value(TOKEN_RSA3072);
}

static void test_cms_check_value__odd_digest__unsupported(void **state)
{
    REQ("11.70");
    (void)state;
    struct soft_world w;
    bool good = true;
    soft_world_init(&w, TOKEN_P256);
    assert_int_equal(
        check_kept(buf_bytes(&w.ca_cert), bytes_of("x", 1), (struct bytes){0}, &good, NULL),
        ESIGN_E_UNSUPPORTED);
    assert_int_equal(
        check_kept((struct bytes){0}, bytes_of("x", 1), (struct bytes){0}, &good, NULL),
        ESIGN_E_INTERNAL);
    soft_world_done(&w);
}

static void test_cms_signed_attributes__wrong_values__refused(void **state)
{
    REQ("design 6");
    (void)state;
    struct soft_world w;
    soft_world_init(&w, TOKEN_P256);
    const uint8_t digest[SHA256_LEN] = {0};
    const struct cms_attributes right = {.record_digest = bytes_of(digest, sizeof digest),
                                         .signing_time_ms = 1,
                                         .signer_cert = buf_bytes(&w.signer_cert),
                                         .algorithm = TOKEN_P256,
                                         .envelope = bytes_of("{}", 2)};
    static uint8_t big[CMS_ENVELOPE_MAX + 1];
    struct cms_attributes rows[8];
    for (size_t i = 0; i < 8; i++)
        rows[i] = right;
    rows[0].record_digest.len = 31;
    rows[1].signing_time_ms = -1;
    rows[2].signer_cert = bytes_of("x", 1);
    rows[3].algorithm = 9;
    rows[4].commitment_oid = "1.2.";
    rows[5].claimed_role = "two\nlines";
    rows[6].envelope.len = 0;
    rows[7].envelope = bytes_of(big, sizeof big);
    static const enum esign_rc expected[] = {
        ESIGN_E_PROTO, ESIGN_E_PROTO, ESIGN_E_INTERNAL,  ESIGN_E_UNSUPPORTED,
        ESIGN_E_PROTO, ESIGN_E_PROTO, ESIGN_E_TOO_LARGE, ESIGN_E_TOO_LARGE};
    for (size_t i = 0; i < 8; i++) {
        struct fault f = {0};
        CLEANUP(buf_done) struct buf out = buf_new(CMS_SIGNED_MAX);
        assert_int_equal(cms_signed_attributes(&rows[i], &out, &f), expected[i]);
        assert_int_equal(f.rc, expected[i]);
    }
    CLEANUP(buf_done) struct buf out = buf_new(CMS_SIGNED_MAX);
    assert_int_equal(cms_signed_attributes(&right, &out, NULL), ESIGN_OK);
    soft_world_done(&w);
}

static void test_cms_signed_data__value_no_ecdsa__format(void **state)
{
    REQ("design 6");
    (void)state;
    struct soft_world w;
    soft_world_init(&w, TOKEN_P256);
    CLEANUP(buf_done) struct buf out = buf_new(CMS_SIGNED_MAX);
    assert_int_equal(cms_signed_data(bytes_of("\x31\x00", 2), TOKEN_P256, bytes_of("v", 1),
                                     buf_bytes(&w.signer_cert), NULL, 0, &out, NULL),
                     ESIGN_E_FORMAT);
    soft_world_done(&w);
}

static void test_cms_signed_data__too_many_certificates__refused(void **state)
{
    REQ("design 6");
    (void)state;
    struct bytes chain[CMS_CHAIN_MAX + 1] = {0};
    struct fault f = {0};
    CLEANUP(buf_done) struct buf out = buf_new(CMS_SIGNED_MAX);
    const struct bytes set = bytes_of("\x31\x00", 2), value = bytes_of("v", 1);
    assert_int_equal(cms_signed_data(set, TOKEN_P256, value, (struct bytes){0}, chain,
                                     CMS_CHAIN_MAX + 1, &out, &f),
                     ESIGN_E_TOO_LARGE);
    assert_int_equal(
        cms_signed_data((struct bytes){0}, TOKEN_P256, value, (struct bytes){0}, NULL, 0, &out, &f),
        ESIGN_E_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cms_certificate_end__ours_and_damaged__read_or_refused),
        cmocka_unit_test(test_cms_signed_data__p256__openssl_accepts),
        cmocka_unit_test(test_cms_signed_data__p384__openssl_accepts),
        cmocka_unit_test(test_cms_signed_data__rsa3072__openssl_accepts),
        cmocka_unit_test(test_cms_check_value__right_and_wrong__told),
        cmocka_unit_test(test_cms_check_value__odd_digest__unsupported),
        cmocka_unit_test(test_cms_signed_attributes__wrong_values__refused),
        cmocka_unit_test(test_cms_signed_data__value_no_ecdsa__format),
        cmocka_unit_test(test_cms_signed_data__too_many_certificates__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
