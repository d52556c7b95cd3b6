#include "req.h"

#include "cli/verify.h"

#include <string.h>

static void test_verify_pem_next__two_blocks__both(void **state)
{
    REQ("design 2");
    const char *at = "text\n-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
                     "-----BEGIN PUBLIC KEY-----\nBBBB\n-----END PUBLIC KEY-----\n"
                     "-----BEGIN CERTIFICATE-----\r\nAw\r\n==\r\n-----END CERTIFICATE-----\n";
    struct buf first = buf_new(100), second = buf_new(100), third = buf_new(100);

    (void)state;
    assert_true(verify_pem_next(&at, "CERTIFICATE", &first));
    assert_int_equal(first.len, 3);
    assert_memory_equal(first.data, "\0\1\2", 3);
    assert_true(verify_pem_next(&at, "CERTIFICATE", &second));
    assert_int_equal(second.len, 1);
    assert_memory_equal(second.data, "\3", 1);
    assert_false(verify_pem_next(&at, "CERTIFICATE", &third));
    buf_done(&first);
    buf_done(&second);
    buf_done(&third);
}

static void test_verify_pem_next__malformed__refused(void **state)
{
    REQ("design 2");
    static const char *const texts[] = {
        "",
        "-----BEGIN CERTIFICATE-----\nAAEC\n",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nA*==\n-----END CERTIFICATE-----\n",
        "-----BEGIN X509 CRL-----\nAAEC\n-----END X509 CRL-----\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct buf der = buf_new(100);
        const char *at = texts[i];
        assert_false(verify_pem_next(&at, "CERTIFICATE", &der));
        buf_done(&der);
    }
}

static void test_verify_membership__unusable_proof__nothing_is_known(void **state)
{
    REQ("11.10(e)");
    static const char *const texts[] = {
        "{}",
        "{\"proof\":\"x\"}",
        "{\"entry\":\"{}\"}",
        "{\"proof\":\"c2sp.org/tlog-proof@v1\\nindex 0\\n\",\"entry\":\"{}\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *proof = NULL;
        struct fault f = {0};
        assert_int_equal(json_parse_object(bytes_of_str(texts[i]), &proof, NULL), ESIGN_OK);
        assert_null(verify_membership(bytes_of_str("cms"), proof, bytes_of_str("spki"), &f));
        assert_true(strlen(f.detail) > 0);
        json_decref(proof);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify_pem_next__two_blocks__both),
        cmocka_unit_test(test_verify_pem_next__malformed__refused),
        cmocka_unit_test(test_verify_membership__unusable_proof__nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
