#include "pkcs11/mechanism.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "pkcs11/ckr.h"
#include "pkcs11/login.h"
#include "pkcs11/public.h"

#include "req.h"

static const enum token_algorithm all[] = {TOKEN_P256, TOKEN_P384, TOKEN_RSA2048, TOKEN_RSA3072,
                                           TOKEN_RSA4096};

static void test_pkcs11_mechanism__every_algorithm__found_by_its_key(void **state)
{
    REQ("design 6");
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const struct pkcs11_mechanism *row = pkcs11_mechanism_by_algorithm(all[i]);
        assert_non_null(row);
        assert_ptr_equal(
            pkcs11_mechanism_by_key(row->key_type, row->ec_params, row->modulus_bits / 8), row);
        assert_int_equal(token_algorithm_by_name(token_algorithm_name(all[i])), all[i]);
    }
    assert_null(pkcs11_mechanism_by_algorithm((enum token_algorithm)9));
    assert_null(pkcs11_mechanism_by_key(CKK_RSA, (struct bytes){0}, 128)); /* RSA-1024 */
    assert_null(pkcs11_mechanism_by_key(CKK_DSA, (struct bytes){0}, 384));
    assert_null(pkcs11_mechanism_by_key(CKK_EC, (struct bytes){0}, 384));
    assert_int_equal(token_algorithm_by_name("rsa1024"), 0);
    assert_null(token_algorithm_name((enum token_algorithm)9));
}

/* What is signed for a digest, compared with OpenSSL's own DigestInfo by a real key. */
static void test_pkcs11_mechanism_put_input__rsa__digest_info(void **state)
{
    REQ("design 6");
    (void)state;
    const struct pkcs11_mechanism *row = pkcs11_mechanism_by_algorithm(TOKEN_RSA3072);
    const uint8_t digest[32] = {1, 2, 3};
    CLEANUP(buf_done) struct buf input = buf_new(128);
    uint8_t value[512];
    size_t value_len = sizeof(value);
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = EVP_RSA_gen(2048);
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *raw = EVP_PKEY_CTX_new(key, NULL);
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *check = EVP_PKEY_CTX_new(key, NULL);

    pkcs11_mechanism_put_input(row, bytes_of(digest, 32), &input);
    assert_int_equal(EVP_PKEY_sign_init(raw), 1); /* PKCS#1 padding without DigestInfo */
    assert_int_equal(EVP_PKEY_sign(raw, value, &value_len, input.data, input.len), 1);
    assert_int_equal(EVP_PKEY_verify_init(check), 1);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(check, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_verify(check, value, value_len, digest, 32), 1);
}

static void test_pkcs11_mechanism_put_value__ecdsa__shortest_der(void **state)
{
    REQ("design 6");
    (void)state;
    const struct pkcs11_mechanism *row = pkcs11_mechanism_by_algorithm(TOKEN_P256);
    CLEANUP(buf_done) struct buf out = buf_new(128);
    uint8_t value[64] = {0};

    value[0] = 0x80; /* r: a leading zero byte is needed */
    value[63] = 0x7f;
    assert_int_equal(pkcs11_mechanism_put_value(row, bytes_of(value, 64), &out, NULL), ESIGN_OK);
    char text[257];
    encode_hex(buf_bytes(&out), text);
    assert_string_equal(text,
                        "3026022100800000000000000000000000000000000000000000000000000000000000"
                        "000002017f");
}

static void test_pkcs11_mechanism_put_value__not_a_signature__reason_value(void **state)
{
    REQ("design 3");
    (void)state;
    const struct pkcs11_mechanism *ec = pkcs11_mechanism_by_algorithm(TOKEN_P256);
    const struct pkcs11_mechanism *rsa = pkcs11_mechanism_by_algorithm(TOKEN_RSA3072);
    CLEANUP(buf_done) struct buf out = buf_new(1024);
    uint8_t value[512] = {1};

    for (size_t i = 0; i < 4; i++) {
        struct fault f = {0};
        const struct pkcs11_mechanism *row = i < 3 ? ec : rsa;
        size_t len = (size_t[]){63, 65, 64, 383}[i]; /* the third has s = 0 */
        assert_int_equal(pkcs11_mechanism_put_value(row, bytes_of(value, len), &out, &f),
                         ESIGN_E_HSM);
        assert_string_equal(f.reason, "value");
    }
}

/* The generator of P-256, once as DER and once bare: some tokens do not wrap it. */
static const char generator[] = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                                "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

static void test_pkcs11_public_ec__wrapped_or_bare__same_spki(void **state)
{
    REQ("design 6");
    (void)state;
    const struct pkcs11_mechanism *row = pkcs11_mechanism_by_algorithm(TOKEN_P256);
    CLEANUP(buf_done) struct buf one = buf_new(256);
    CLEANUP(buf_done) struct buf two = buf_new(256);
    uint8_t point[67] = {0x04, 65};

    assert_int_equal(decode_hex(generator, point + 2, 65), ESIGN_OK);
    assert_int_equal(pkcs11_public_ec(row, bytes_of(point, 67), &one, NULL), ESIGN_OK);
    assert_int_equal(pkcs11_public_ec(row, bytes_of(point + 2, 65), &two, NULL), ESIGN_OK);
    assert_true(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
    const uint8_t *at = one.data;
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)one.len);
    assert_non_null(key);
}

static void test_pkcs11_public_ec__not_on_the_curve__refused(void **state)
{
    REQ("design 6");
    (void)state;
    const struct pkcs11_mechanism *row = pkcs11_mechanism_by_algorithm(TOKEN_P256);
    CLEANUP(buf_done) struct buf out = buf_new(256);
    uint8_t point[65];

    assert_int_equal(decode_hex(generator, point, 65), ESIGN_OK);
    point[64] ^= 1;
    assert_int_equal(pkcs11_public_ec(row, bytes_of(point, 65), &out, NULL), ESIGN_E_HSM);
    for (size_t len = 0; len < 65; len++)
        assert_int_equal(pkcs11_public_ec(row, bytes_of(point, len), &out, NULL), ESIGN_E_HSM);
    assert_int_equal(pkcs11_public_rsa((struct bytes){0}, (struct bytes){0}, &out, NULL),
                     ESIGN_E_HSM);
}

static const struct {
    CK_RV rv;
    const char *name;
    enum pkcs11_ckr_class class;
    const char *reason;
} values[] = {
    {CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT", PKCS11_CKR_PIN, "pin"},
    {CKR_PIN_LOCKED, "CKR_PIN_LOCKED", PKCS11_CKR_PIN, "pin"},
    {CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID", PKCS11_CKR_STALE, "key"},
    {CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID", PKCS11_CKR_STALE, "key"},
    {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED", PKCS11_CKR_GONE, "unavailable"},
    {CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID", PKCS11_CKR_GONE, "unavailable"},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED", PKCS11_CKR_REQUEST, "key"},
    {CKR_VENDOR_DEFINED | 7, "CKR_?", PKCS11_CKR_GONE, "unavailable"},
};

static void test_pkcs11_fail__table__name_class_reason(void **state)
{
    REQ("design 8");
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct fault f = {0};
        assert_string_equal(pkcs11_ckr_name(values[i].rv), values[i].name);
        assert_int_equal(pkcs11_ckr_class(values[i].rv), values[i].class);
        assert_int_equal(pkcs11_fail(&f, values[i].rv, "C_Sign"), ESIGN_E_HSM);
        assert_string_equal(f.reason, values[i].reason);
        assert_int_equal(f.cause, values[i].rv);
        assert_non_null(strstr(f.detail, values[i].name));
    }
}

static void test_pkcs11_login_allowed__flags__last_try_kept(void **state)
{
    REQ("11.300(d)", "design 8");
    (void)state;
    const CK_FLAGS good = CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED;
    const CK_FLAGS bad[] = {CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED, CKF_USER_PIN_TO_BE_CHANGED,
                            CKF_PROTECTED_AUTHENTICATION_PATH};

    assert_int_equal(pkcs11_login_allowed(good, NULL), ESIGN_OK);
    assert_int_equal(pkcs11_login_allowed(good | CKF_USER_PIN_COUNT_LOW, NULL), ESIGN_OK);
    assert_int_equal(pkcs11_login_allowed(CKF_LOGIN_REQUIRED, NULL), ESIGN_E_HSM);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fault f = {0};
        assert_int_equal(pkcs11_login_allowed(good | bad[i], &f), ESIGN_E_HSM);
        assert_string_equal(f.reason, "pin");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pkcs11_mechanism__every_algorithm__found_by_its_key),
        cmocka_unit_test(test_pkcs11_mechanism_put_input__rsa__digest_info),
        cmocka_unit_test(test_pkcs11_mechanism_put_value__ecdsa__shortest_der),
        cmocka_unit_test(test_pkcs11_mechanism_put_value__not_a_signature__reason_value),
        cmocka_unit_test(test_pkcs11_public_ec__wrapped_or_bare__same_spki),
        cmocka_unit_test(test_pkcs11_public_ec__not_on_the_curve__refused),
        cmocka_unit_test(test_pkcs11_fail__table__name_class_reason),
        cmocka_unit_test(test_pkcs11_login_allowed__flags__last_try_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
