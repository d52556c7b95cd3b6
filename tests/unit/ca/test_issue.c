/* Certificates: what OpenSSL reads in them, and what they can't hold. */
#include "req.h"

#include "cms/soft_token.h"

#include "base/cleanup.h"
#include "cms/certificate.h"

#include <openssl/x509v3.h>

static void assert_subject(X509 *cert, int nid, const char *expected)
{
    const X509_NAME *name = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(name, nid, -1);
    if (!expected) {
        assert_int_equal(at, -1);
        return;
    }
    assert_true(at >= 0);
    assert_int_equal(X509_NAME_get_index_by_NID(name, nid, at), -1);
    const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    assert_int_equal(ASN1_STRING_length(text), strlen(expected));
    assert_memory_equal(ASN1_STRING_get0_data(text), expected, strlen(expected));
}

static void check_world(enum token_algorithm algorithm)
{
    struct soft_world w;
    CLEANUP(X509_free_p) X509 *ca = NULL;
    CLEANUP(X509_free_p) X509 *signer = NULL;
    soft_world_init(&w, algorithm);
    assert_int_equal(cms_read_certificate(buf_bytes(&w.ca_cert), &ca, NULL), ESIGN_OK);
    assert_int_equal(cms_read_certificate(buf_bytes(&w.signer_cert), &signer, NULL), ESIGN_OK);

    assert_int_equal(X509_verify(ca, X509_get0_pubkey(ca)), 1);
    assert_int_equal(X509_verify(signer, X509_get0_pubkey(ca)), 1);
    assert_int_equal(X509_check_issued(ca, signer), X509_V_OK);
    assert_int_equal(X509_get_version(signer), X509_VERSION_3);
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_check_ca(signer), 0);
    assert_int_equal(X509_get_pathlen(ca), 0);
    assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_int_equal(X509_get_key_usage(signer), KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION);
    assert_int_equal(
        ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(signer), X509_get0_subject_key_id(ca)), 0);
    assert_subject(ca, NID_commonName, "Test signing CA");
    assert_subject(ca, NID_serialNumber, NULL);
    assert_subject(signer, NID_commonName, "Jana Doe");
    assert_subject(signer, NID_serialNumber, "jdoe");
    assert_subject(signer, NID_userId, "S-0001");
    assert_subject(signer, NID_organizationName, "Test site");
    const ASN1_INTEGER *serial = X509_get0_serialNumber(signer);
    assert_int_equal(ASN1_STRING_length(serial), 16);
    assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER); /* positive */
    assert_int_not_equal(ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(ca)), 0);
    soft_world_done(&w);
}

static void test_ca_issue__p256__as_profile_says(void **state)
{
    REQ("11.100(a)", "design 6");
    (void)state;
    check_world(TOKEN_P256);
}

static void test_ca_issue__p384__as_profile_says(void **state)
{
    REQ("design 6");
    (void)state;
    check_world(TOKEN_P384);
}

static void test_ca_issue__rsa3072__as_profile_says(void **state)
{
    REQ("design 6");
    (void)state;
    check_world(TOKEN_RSA3072);
}

struct bench {
    struct token *token;
    struct buf spki;
    struct ca_key key;
    struct ca_certificate right;
};

static void bench_init(struct bench *b)
{
    b->token = soft_token_new(TOKEN_P256);
    b->spki = buf_new(TOKEN_SPKI_MAX);
    soft_token_spki(b->token, &b->spki);
    b->key =
        (struct ca_key){.token = b->token, .algorithm = TOKEN_P256, .spki = buf_bytes(&b->spki)};
    b->right = (struct ca_certificate){.subject_spki = buf_bytes(&b->spki),
                                       .common_name = "CA",
                                       .not_before_ms = 1000,
                                       .not_after_ms = 2000,
                                       .is_ca = true};
}

static void bench_done(struct bench *b)
{
    soft_token_free(b->token);
    buf_done(&b->spki);
}

static void test_ca_issue__unusable_members__refused_by_name(void **state)
{
    REQ("11.50(a)(1)");
    (void)state;
    struct bench b;
    bench_init(&b);
    static const char long_name[] =
        "01234567890123456789012345678901234567890123456789012345678901234";
    struct ca_certificate rows[6];
    static const char *const fields[] = {"printed_name", "printed_name", "printed_name",
                                         "user_id",      "not_after",    "organisation"};
    for (size_t i = 0; i < 6; i++)
        rows[i] = b.right;
    rows[0].common_name = long_name;
    rows[1].common_name = "";
    rows[2].common_name = "Jana\u202eDoe";
    rows[3].is_ca = false;
    rows[3].common_name = "Jana Doe";
    rows[4].not_after_ms = 1000;
    rows[5].organisation = "a\nb";
    for (size_t i = 0; i < 6; i++) {
        struct fault f = {0};
        CLEANUP(buf_done) struct buf out = buf_new(CA_CERT_MAX);
        assert_int_equal(ca_issue(&b.key, (struct bytes){0}, &rows[i], 0, &out, &f), ESIGN_E_PROTO);
        assert_string_equal(f.field, fields[i]);
        assert_int_equal(out.len, 0);
    }
    bench_done(&b);
}

static void test_ca_issue__64_characters_of_any_script__issued(void **state)
{
    REQ("11.50(a)(1)");
    (void)state;
    struct bench b;
    bench_init(&b);
    char name[64 * 3 + 1] = "";
    for (size_t i = 0; i < 64; i++)
        memcpy(name + 3 * i, "\xe4\xb8\x80", 4);
    b.right.common_name = name;
    CLEANUP(buf_done) struct buf out = buf_new(CA_CERT_MAX);
    CLEANUP(X509_free_p) X509 *cert = NULL;
    assert_int_equal(ca_issue(&b.key, (struct bytes){0}, &b.right, 0, &out, NULL), ESIGN_OK);
    assert_int_equal(cms_read_certificate(buf_bytes(&out), &cert, NULL), ESIGN_OK);
    assert_subject(cert, NID_commonName, name);
    bench_done(&b);
}

static void test_ca_issue__wrong_value_from_token__refused(void **state)
{
    REQ("11.10(a)");
    (void)state;
    struct bench b;
    struct fault f = {0};
    bench_init(&b);
    soft_token_spoil(b.token);
    CLEANUP(buf_done) struct buf out = buf_new(CA_CERT_MAX);
    assert_int_equal(ca_issue(&b.key, (struct bytes){0}, &b.right, 0, &out, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "value");
    assert_int_equal(out.len, 0);
    bench_done(&b);
}

static void test_ca_issue__unreadable_keys__internal(void **state)
{
    REQ("design 8");
    (void)state;
    struct bench b;
    bench_init(&b);
    CLEANUP(buf_done) struct buf out = buf_new(CA_CERT_MAX);
    assert_int_equal(ca_issue(&b.key, bytes_of("x", 1), &b.right, 0, &out, NULL), ESIGN_E_INTERNAL);
    b.right.subject_spki = bytes_of("x", 1);
    assert_int_equal(ca_issue(&b.key, (struct bytes){0}, &b.right, 0, &out, NULL),
                     ESIGN_E_INTERNAL);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ca_issue__p256__as_profile_says),
        cmocka_unit_test(test_ca_issue__p384__as_profile_says),
        cmocka_unit_test(test_ca_issue__rsa3072__as_profile_says),
        cmocka_unit_test(test_ca_issue__unusable_members__refused_by_name),
        cmocka_unit_test(test_ca_issue__64_characters_of_any_script__issued),
        cmocka_unit_test(test_ca_issue__wrong_value_from_token__refused),
        cmocka_unit_test(test_ca_issue__unreadable_keys__internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
