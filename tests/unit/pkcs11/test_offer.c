#include "pkcs11/offer.h"

#include "req.h"

#include <string.h>

/* A token by its list of mechanisms. */
struct fake_row {
    CK_MECHANISM_TYPE type;
    CK_ULONG largest;
    CK_FLAGS flags;
};

enum { FAKE_MAX = 6 };
static struct fake_row fake_rows[FAKE_MAX];
static CK_RV fake_failure;

static CK_RV fake_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    assert_int_equal(slot, 3);
    if (fake_failure != CKR_OK)
        return fake_failure;
    for (size_t i = 0; i < FAKE_MAX; i++)
        if (fake_rows[i].flags != 0 && fake_rows[i].type == type) {
            *info = (CK_MECHANISM_INFO){0, fake_rows[i].largest, fake_rows[i].flags};
            return CKR_OK;
        }
    return CKR_MECHANISM_INVALID;
}

static CK_FUNCTION_LIST fake_calls = {.C_GetMechanismInfo = fake_mechanism_info};

static struct pkcs11_session fake_session(void)
{
    struct pkcs11_session s = {.calls = &fake_calls, .slot = 3};

    memset(s.info.label, ' ', sizeof(s.info.label));
    s.info.label[0] = 'T';
    return s;
}

#define EC_MAKES                                                                                   \
    {                                                                                              \
        CKM_EC_KEY_PAIR_GEN, 521, CKF_GENERATE_KEY_PAIR                                            \
    }
#define EC_SIGNS                                                                                   \
    {                                                                                              \
        CKM_ECDSA, 521, CKF_SIGN                                                                   \
    }
#define RSA_MAKES(largest)                                                                         \
    {                                                                                              \
        CKM_RSA_PKCS_KEY_PAIR_GEN, largest, CKF_GENERATE_KEY_PAIR                                  \
    }
#define RSA_SIGNS(largest)                                                                         \
    {                                                                                              \
        CKM_RSA_PKCS, largest, CKF_SIGN                                                            \
    }

static void test_pkcs11_offer_check__token_of_any_kind__what_it_lacks(void **state)
{
    REQ("design 8", "design 6");
    (void)state;
    static const struct {
        struct fake_row rows[FAKE_MAX];
        enum token_algorithm algorithm;
        const char *detail; /* NULL: offered */
    } cases[] = {
        {{EC_MAKES, EC_SIGNS}, TOKEN_P256, NULL},
        {{RSA_MAKES(4096), RSA_SIGNS(4096)},
         TOKEN_P256,
         "the token 'T' can't make p256 keys: no CKM_EC_KEY_PAIR_GEN; it can make: rsa3072, "
         "rsa4096, rsa2048"},
        {{EC_SIGNS}, TOKEN_P256, "no CKM_EC_KEY_PAIR_GEN; it can make: none of ours"},
        {{EC_MAKES, {CKM_ECDSA, 521, CKF_VERIFY}}, TOKEN_P256, "no CKM_ECDSA;"},
        {{RSA_MAKES(2048), RSA_SIGNS(4096)},
         TOKEN_RSA3072,
         "no CKM_RSA_PKCS_KEY_PAIR_GEN beyond 2048 bits; it can make: rsa2048"},
        {{RSA_MAKES(4096), RSA_SIGNS(2048)}, TOKEN_RSA3072, "no CKM_RSA_PKCS beyond 2048 bits"},
        {{RSA_MAKES(512), RSA_SIGNS(512)}, TOKEN_RSA4096, NULL}, /* told in bytes */
        {{RSA_MAKES(256), RSA_SIGNS(512)}, TOKEN_RSA4096, "beyond 2048 bits"},
        {{RSA_MAKES(0), RSA_SIGNS(0)}, TOKEN_RSA4096, NULL}, /* sizes are not told */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct pkcs11_session s = fake_session();
        struct fault f = {0};
        memcpy(fake_rows, cases[i].rows, sizeof(fake_rows));
        enum esign_rc rc =
            pkcs11_offer_check(&s, pkcs11_mechanism_by_algorithm(cases[i].algorithm), &f);
        assert_int_equal(rc, cases[i].detail ? ESIGN_E_UNSUPPORTED : ESIGN_OK);
        if (!cases[i].detail)
            continue;
        assert_string_equal(f.reason, "mechanism");
        assert_non_null(strstr(f.detail, cases[i].detail));
    }
}

static void test_pkcs11_offer_check_wrap__token_of_any_kind__what_it_lacks(void **state)
{
    REQ("design 8");
    (void)state;
    static const struct {
        struct fake_row rows[FAKE_MAX];
        const char *detail;
    } cases[] = {
        {{{CKM_AES_KEY_GEN, 32, CKF_GENERATE}, {CKM_AES_KEY_WRAP, 0, CKF_WRAP | CKF_UNWRAP}}, NULL},
        {{{CKM_AES_KEY_GEN, 32, CKF_GENERATE}, {CKM_AES_CBC_PAD, 0, CKF_WRAP | CKF_UNWRAP}}, NULL},
        {{{CKM_AES_KEY_GEN, 32, CKF_GENERATE}, {CKM_AES_CBC_PAD, 0, CKF_ENCRYPT | CKF_DECRYPT}},
         "no CKM_AES_KEY_WRAP_KWP"},
        {{{CKM_AES_KEY_GEN, 32, CKF_GENERATE}, {CKM_AES_KEY_WRAP, 0, CKF_WRAP}},
         "no CKM_AES_KEY_WRAP_KWP"},
        {{{CKM_AES_KEY_WRAP, 0, CKF_WRAP | CKF_UNWRAP}}, "no CKM_AES_KEY_GEN"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct pkcs11_session s = fake_session();
        struct fault f = {0};
        memcpy(fake_rows, cases[i].rows, sizeof(fake_rows));
        assert_int_equal(pkcs11_offer_check_wrap(&s, &f),
                         cases[i].detail ? ESIGN_E_UNSUPPORTED : ESIGN_OK);
        if (cases[i].detail)
            assert_non_null(strstr(f.detail, cases[i].detail));
    }
}

/* A token that fails is not one that lacks something. */
static void test_pkcs11_offer_check__token_fails__e_hsm(void **state)
{
    REQ("design 8");
    (void)state;
    const struct pkcs11_session s = fake_session();
    struct fault f = {0};

    fake_failure = CKR_DEVICE_REMOVED;
    assert_int_equal(pkcs11_offer_check(&s, pkcs11_mechanism_by_algorithm(TOKEN_P256), &f),
                     ESIGN_E_HSM);
    assert_int_equal(pkcs11_offer_check_wrap(&s, &f), ESIGN_E_HSM);
    fake_failure = CKR_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pkcs11_offer_check__token_of_any_kind__what_it_lacks),
        cmocka_unit_test(test_pkcs11_offer_check_wrap__token_of_any_kind__what_it_lacks),
        cmocka_unit_test(test_pkcs11_offer_check__token_fails__e_hsm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
