/* The facts of certificates that others issued: those of signers' cards. */
#include "req.h"

#include "cms/soft_token.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "document/document.h"

#include <openssl/err.h>

enum { AT_S = SOFT_SIGNED_AT_S };
#define AT ((int64_t)AT_S * 1000)

static json_t *facts_of(struct bytes der, const struct buf *anchor, int64_t at_ms)
{
    const struct bytes anchors[] = {anchor ? buf_bytes(anchor) : (struct bytes){0}};
    const struct document_certificate c = {
        .der = der, .anchors = anchors, .anchor_count = anchor ? 1 : 0, .at_ms = at_ms};
    json_t *facts = NULL;
    struct fault f = {0};

    if (validate_certificate(&c, &facts, &f))
        fail_msg("%s", f.detail);
    return facts;
}

static void check_algorithm(enum token_algorithm algorithm, const char *name)
{
    struct soft_world w;
    soft_world_init(&w, algorithm);
    CLEANUP(json_decref_p) json_t *facts = facts_of(buf_bytes(&w.signer_cert), &w.ca_cert, AT);
    CLEANUP(buf_done) struct buf spki = buf_new(1024);
    const char *text = json_str(facts, "spki");

    assert_string_equal(json_str(facts, "structure"), "ok");
    assert_string_equal(json_str(facts, "algorithm"), name);
    assert_string_equal(json_str(facts, "chain"), "ok");
    assert_true(json_flag(facts, "signing"));
    assert_true(json_flag(facts, "valid"));
    assert_int_equal(decode_base64(text, strlen(text), &spki), ESIGN_OK);
    assert_non_null(memmem(w.signer_cert.data, w.signer_cert.len, spki.data, spki.len));
    soft_world_done(&w);
}

static void test_validate_certificate__kinds_of_keys__named(void **state)
{
    REQ("design 2", "11.10(a)");
    (void)state;
    check_algorithm(TOKEN_P256, "p256");
    check_algorithm(TOKEN_P384, "p384");
    check_algorithm(TOKEN_RSA2048, "rsa2048");
}

static void test_validate_certificate__ca_other_time_no_anchor__told(void **state)
{
    REQ("design 2", "11.10(a)");
    struct soft_world w;

    (void)state;
    soft_world_init(&w, TOKEN_P256);
    CLEANUP(json_decref_p) json_t *ca = facts_of(buf_bytes(&w.ca_cert), NULL, 0);
    CLEANUP(json_decref_p) json_t *early = facts_of(buf_bytes(&w.signer_cert), NULL, 1000);
    assert_false(json_flag(ca, "signing"));
    assert_false(json_flag(early, "valid"));
    assert_string_equal(json_str(early, "chain"), "no-anchor");
    soft_world_done(&w);
}

/* Every byte cut off or changed: facts, or none, but never a crash. */
static void test_validate_certificate__cut_and_altered__told_or_malformed(void **state)
{
    REQ("design 2", "11.10(a)");
    struct soft_world w;

    (void)state;
    soft_world_init(&w, TOKEN_P256);
    for (size_t len = 0; len < w.signer_cert.len; len++) {
        CLEANUP(json_decref_p)
        json_t *facts = facts_of(bytes_of(w.signer_cert.data, len), NULL, 0);
        assert_string_equal(json_str(facts, "structure"), "malformed");
    }
    for (size_t i = 0; i < w.signer_cert.len; i++) {
        w.signer_cert.data[i] ^= 0x41;
        json_decref(facts_of(buf_bytes(&w.signer_cert), &w.ca_cert, AT));
        w.signer_cert.data[i] ^= 0x41;
    }
    assert_int_equal(ERR_peek_error(), 0);
    soft_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validate_certificate__kinds_of_keys__named),
        cmocka_unit_test(test_validate_certificate__ca_other_time_no_anchor__told),
        cmocka_unit_test(test_validate_certificate__cut_and_altered__told_or_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
