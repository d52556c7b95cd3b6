#include "pkcs11/uri.h"

#include "base/cleanup.h"

#include "req.h"

DEFINE_CLEANUP(struct pkcs11_uri *, pkcs11_uri_free)

/* A token's facts, padded as PKCS#11 wants it. */
static CK_TOKEN_INFO token_of(const char *label, const char *serial)
{
    CK_TOKEN_INFO info;

    memset(&info, ' ', sizeof(info));
    memcpy(info.label, label, strlen(label));
    memcpy(info.serialNumber, serial, strlen(serial));
    memcpy(info.manufacturerID, "SoftHSM project", 15);
    memcpy(info.model, "SoftHSM v2", 10);
    return info;
}

static const struct {
    const char *uri;
    bool matches; /* label "esign signers", serial "c1049550c50d527a" */
    const char *source;
} matches[] = {
    {"pkcs11:token=esign%20signers", true, "RFC 7512 2.3"},
    {"pkcs11:serial=c1049550c50d527a", true, "RFC 7512 2.3"},
    {"pkcs11:token=esign%20signers;serial=c1049550c50d527a", true, "RFC 7512 2.3"},
    {"pkcs11:token=esign%20signers;manufacturer=SoftHSM%20project;model=SoftHSM%20v2", true, ""},
    {"pkcs11:token=esign%20signer", false, "a prefix is not the label"},
    {"pkcs11:token=esign%20signers2", false, ""},
    {"pkcs11:token=Esign%20signers", false, "RFC 7512 2.5: case matters"},
    {"pkcs11:token=esign%20signers;serial=c1049550c50d527b", false, ""},
    {"pkcs11:token=esign%20signers;model=other", false, ""},
};

static void test_pkcs11_uri_matches__table__as_expected(void **state)
{
    REQ("design 8");
    (void)state;
    CK_TOKEN_INFO info = token_of("esign signers", "c1049550c50d527a");

    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        CLEANUP(pkcs11_uri_free_p) struct pkcs11_uri *uri = NULL;
        assert_int_equal(pkcs11_uri_parse(matches[i].uri, &uri, NULL), ESIGN_OK);
        if (pkcs11_uri_matches(uri, &info) != matches[i].matches)
            fail_msg("%s (%s)", matches[i].uri, matches[i].source);
    }
}

static const struct {
    const char *uri, *serial; /* 16 bytes, as a module gives it */
    bool matches;
} serials[] = {
    {"pkcs11:serial=1234", "1234            ", true},
    {"pkcs11:serial=1234", "1234\0\0\0\0\0\0\0\0\0\0\0\0", true},
    {"pkcs11:serial=1234", "1234  \0\0\0\0\0\0\0\0\0\0", true},
    {"pkcs11:serial=1234", "            1234", true},
    {"pkcs11:serial=1234", "0000000000001234", true},
    {"pkcs11:serial=0000000000001234", "1234            ", true},
    {"pkcs11:serial=0", "0000000000000000", true},
    {"pkcs11:serial=1234%20%20", "1234            ", true},
    {"pkcs11:serial=1234", "12340           ", false},
    {"pkcs11:serial=1234", "0000000000012340", false},
    {"pkcs11:serial=1234", "                ", false},
    {"pkcs11:serial=12%2034", "1234            ", false},
};

static void test_pkcs11_uri_matches__padded_serials__as_expected(void **state)
{
    REQ("design 8");
    (void)state;
    CK_TOKEN_INFO info = token_of("esign signers", "");

    for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
        CLEANUP(pkcs11_uri_free_p) struct pkcs11_uri *uri = NULL;
        memcpy(info.serialNumber, serials[i].serial, sizeof(info.serialNumber));
        assert_int_equal(pkcs11_uri_parse(serials[i].uri, &uri, NULL), ESIGN_OK);
        assert_true(pkcs11_uri_has_serial(uri));
        if (pkcs11_uri_matches(uri, &info) != serials[i].matches)
            fail_msg("%s on '%.16s'", serials[i].uri, serials[i].serial);
        assert_true(pkcs11_uri_matches_but_serial(uri, &info));
    }
}

static void test_pkcs11_uri_matches__nul_padded_label__matches(void **state)
{
    REQ("design 8");
    (void)state;
    CLEANUP(pkcs11_uri_free_p) struct pkcs11_uri *uri = NULL;
    CK_TOKEN_INFO info = token_of("esign signers", "1");

    memset(info.label + strlen("esign signers"), 0, sizeof(info.label) - strlen("esign signers"));
    assert_int_equal(pkcs11_uri_parse("pkcs11:token=esign%20signers", &uri, NULL), ESIGN_OK);
    assert_true(pkcs11_uri_matches(uri, &info));
    assert_false(pkcs11_uri_has_serial(uri));
}

static void test_pkcs11_uri_matches__label_of_full_length__no_padding_needed(void **state)
{
    REQ("design 8");
    (void)state;
    CLEANUP(pkcs11_uri_free_p) struct pkcs11_uri *uri = NULL;
    CK_TOKEN_INFO info = token_of("12345678901234567890123456789012", "1");

    assert_int_equal(pkcs11_uri_parse("pkcs11:token=12345678901234567890123456789012", &uri, NULL),
                     ESIGN_OK);
    assert_true(pkcs11_uri_matches(uri, &info));
    info.label[31] = ' ';
    assert_false(pkcs11_uri_matches(uri, &info));
}

static const char *const refused[] = {
    "",
    "esign",
    "http://token",
    "pkcs11:",
    "pkcs11:manufacturer=x",
    "pkcs11:token=%zz",
    "pkcs11:token=a;token=b",
    "pkcs11:token=123456789012345678901234567890123",
    "pkcs11:token=a?pin-value=1234",
    "pkcs11:token=a?pin-source=/etc/pin",
    "pkcs11:token=a?module-path=/lib/x.so",
    "pkcs11:token=a?module-name=x",
    "pkcs11:token=a;object=key",
    "pkcs11:token=a;id=%01",
    "pkcs11:token=a;unheard=of",
    "pkcs11:token=a;slot-id=0",
    "pkcs11:slot-id=3",
    "pkcs11:token=a;slot-description=Virtual",
    "pkcs11:token=a;slot-manufacturer=x",
    "pkcs11:token=a;library-description=x",
    "pkcs11:token=a;library-manufacturer=x",
    "pkcs11:token=a;library-version=2",
};

static void test_pkcs11_uri_parse__not_just_a_token__refused(void **state)
{
    REQ("11.300(d)", "design 8");
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct pkcs11_uri *uri = NULL;
        struct fault f = {0};
        if (pkcs11_uri_parse(refused[i], &uri, &f) != ESIGN_E_POLICY || uri)
            fail_msg("'%s' was not refused", refused[i]);
        assert_string_equal(f.field, "uri");
        assert_null(strstr(f.detail, "1234\"")); /* a PIN is not repeated */
    }
}

static void test_pkcs11_uri_label__for_a_new_token__padded(void **state)
{
    REQ("design 8");
    (void)state;
    CLEANUP(pkcs11_uri_free_p) struct pkcs11_uri *uri = NULL;
    CLEANUP(pkcs11_uri_free_p) struct pkcs11_uri *with_serial = NULL;
    CK_UTF8CHAR label[PKCS11_LABEL_LEN];

    assert_int_equal(pkcs11_uri_parse("pkcs11:token=esign%20ca", &uri, NULL), ESIGN_OK);
    assert_true(pkcs11_uri_label(uri, label));
    assert_memory_equal(label, "esign ca                        ", PKCS11_LABEL_LEN);
    assert_int_equal(pkcs11_uri_parse("pkcs11:token=a;serial=1", &with_serial, NULL), ESIGN_OK);
    assert_false(pkcs11_uri_label(with_serial, label));
}

static void test_pkcs11_unpad__blanks_nuls_controls__clean_text(void **state)
{
    REQ("design 2");
    (void)state;
    char text[9];

    pkcs11_unpad((const unsigned char *)"ab c    ", 8, text);
    assert_string_equal(text, "ab c");
    pkcs11_unpad((const unsigned char *)"12345678", 8, text);
    assert_string_equal(text, "12345678");
    pkcs11_unpad((const unsigned char *)"        ", 8, text);
    assert_string_equal(text, "");
    pkcs11_unpad((const unsigned char *)"a\nb\0c\0\0\0", 8, text);
    assert_string_equal(text, "a?b?c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pkcs11_uri_matches__table__as_expected),
        cmocka_unit_test(test_pkcs11_uri_matches__label_of_full_length__no_padding_needed),
        cmocka_unit_test(test_pkcs11_uri_matches__padded_serials__as_expected),
        cmocka_unit_test(test_pkcs11_uri_matches__nul_padded_label__matches),
        cmocka_unit_test(test_pkcs11_uri_parse__not_just_a_token__refused),
        cmocka_unit_test(test_pkcs11_uri_label__for_a_new_token__padded),
        cmocka_unit_test(test_pkcs11_unpad__blanks_nuls_controls__clean_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
