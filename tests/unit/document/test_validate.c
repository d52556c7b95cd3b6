/* Facts and verdicts about right, altered and foreign signatures. */
#include "req.h"

#include "cms/soft_token.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "cms/certificate.h"
#include "document/document.h"

#include <openssl/ec.h>

static const struct bytes record = {(const uint8_t *)"a batch record", 14};

static const struct document_context in_favour = {.record_type = "batch",
                                                  .record_id = "B-2026-0042",
                                                  .record_version = "1",
                                                  .audit = "member",
                                                  .signer_state = "active",
                                                  .production = true};

/* The facts of a signature of record; anchor: NULL for none. */
static json_t *facts_of(struct bytes cms, struct bytes of, const struct buf *anchor, int64_t at_ms)
{
    json_t *facts = NULL;
    uint8_t digest[SHA256_LEN];
    struct fault f = {0};
    const struct bytes anchors[] = {anchor ? buf_bytes(anchor) : (struct bytes){0}};
    bytes_sha256(of, (struct bytes){0}, digest);
    const struct document_signature s = {.cms = cms,
                                         .record_digest = bytes_of(digest, sizeof digest),
                                         .anchors = anchors,
                                         .anchor_count = anchor ? 1 : 0,
                                         .at_ms = at_ms};
    if (validate_signature(&s, &facts, &f))
        fail_msg("%s", f.detail);
    return facts;
}

static void assert_fact(const json_t *facts, const char *path, const char *expected)
{
    const char *value = json_str(facts, path);
    if (!value || strcmp(value, expected) != 0)
        fail_msg("%s is %s, not %s (%s)", path, value ? value : "absent", expected,
                 json_str(facts, "detail"));
}

static void assert_verdict(const json_t *facts, const struct document_context *context,
                           const char *indication, const char *reason)
{
    struct document_verdict verdict;
    document_verdict(facts, context, &verdict);
    if (strcmp(verdict.indication, indication) != 0 || strcmp(verdict.reason, reason) != 0)
        fail_msg("%s(%s) %s, not %s(%s)", verdict.indication, verdict.reason, verdict.detail,
                 indication, reason);
    assert_true(verdict.detail[0]);
}

/* A signature with that choice, judged with everything else in its favour. */
static void check_choice(const struct soft_choice *choice, const char *indication,
                         const char *reason)
{
    struct soft_world w;
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    soft_world_init(&w, TOKEN_P256);
    soft_sign(&w, record, choice, &cms);
    CLEANUP(json_decref_p) json_t *facts = facts_of(buf_bytes(&cms), record, &w.ca_cert, 0);
    assert_verdict(facts, &in_favour, indication, reason);
    soft_world_done(&w);
}

static void check_right(enum token_algorithm algorithm)
{
    struct soft_world w;
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    soft_world_init(&w, algorithm);
    soft_sign(&w, record, &(struct soft_choice){0}, &cms);
    CLEANUP(json_decref_p) json_t *facts = facts_of(buf_bytes(&cms), record, &w.ca_cert, 0);
    assert_fact(facts, "structure", "ok");
    assert_true(json_flag(facts, "identity"));
    assert_fact(facts, "digest", "ok");
    assert_fact(facts, "value", "ok");
    assert_fact(facts, "attributes", "ok");
    assert_fact(facts, "chain", "ok");
    assert_fact(facts, "detail", "");
    assert_fact(facts, "certificate.user_id", "jdoe");
    assert_fact(facts, "certificate.printed_name", "Jana Doe");
    assert_fact(facts, "certificate.signer_id", "S-0001");
    assert_fact(facts, "certificate.issuer", "CN=Test signing CA,O=Test site");
    assert_fact(facts, "certificate.not_before", "2026-11-21T13:03:07.000Z");
    assert_fact(facts, "signing_time", "2026-11-22T13:03:07.000Z");
    assert_fact(facts, "commitment_type", "1.2.840.113549.1.9.16.6.5");
    assert_fact(facts, "claimed_role", "approver");
    assert_fact(facts, "envelope.meaning.code", "approved");
    assert_verdict(facts, &in_favour, "TOTAL_PASSED", "");
    CLEANUP(json_decref_p)
    json_t *changed = facts_of(buf_bytes(&cms), bytes_of("A batch record", 14), &w.ca_cert, 0);
    assert_verdict(changed, &in_favour, "TOTAL_FAILED", "RECORD_ALTERED");
    soft_world_done(&w);
}

static void test_validate_signature__right_p256__passed(void **state)
{
    REQ("11.70", "11.50(a)");
    (void)state;
    check_right(TOKEN_P256);
}

static void test_validate_signature__right_p384__passed(void **state)
{
    REQ("11.70");
    (void)state;
    check_right(TOKEN_P384);
}

static void test_validate_signature__right_rsa2048__passed(void **state)
{
    REQ("11.70");
    (void)state;
    check_right(TOKEN_RSA2048);
}

static void test_validate_signature__right_rsa3072__passed(void **state)
{
    REQ("11.70");
    (void)state;
    check_right(TOKEN_RSA3072);
}

static void test_document_verdict__same_bytes_other_record__wrong_record(void **state)
{
    REQ("11.70");
    (void)state;
    check_choice(&(struct soft_choice){.record_id = "B-2026-0043"}, "TOTAL_FAILED", "WRONG_RECORD");
    check_choice(&(struct soft_choice){.record_version = "2"}, "TOTAL_FAILED", "WRONG_RECORD");
}

static void test_validate_signature__envelope_against_certificate__altered(void **state)
{
    REQ("11.50(a)(1)", "11.70");
    (void)state;
    check_choice(&(struct soft_choice){.user_id = "mroe"}, "TOTAL_FAILED", "ATTR_ALTERED");
    check_choice(&(struct soft_choice){.printed_name = "Mara Roe"}, "TOTAL_FAILED", "ATTR_ALTERED");
}

static void test_validate_signature__envelope_against_attributes__altered(void **state)
{
    REQ("11.50(a)(2)", "11.70");
    (void)state;
    check_choice(&(struct soft_choice){.utc = "2026-11-22T13:03:08.000Z"}, "TOTAL_FAILED",
                 "ATTR_ALTERED");
    check_choice(&(struct soft_choice){.utc = "yesterday"}, "TOTAL_FAILED", "ATTR_ALTERED");
    check_choice(
        &(struct soft_choice){
            .record_hash = "0000000000000000000000000000000000000000000000000000000000000000"},
        "TOTAL_FAILED", "ATTR_ALTERED");
    check_choice(&(struct soft_choice){.system = "other"}, "TOTAL_FAILED", "ATTR_ALTERED");
}

static void test_validate_signature__meaning_text_against_hash__altered(void **state)
{
    REQ("11.50(a)(3)");
    (void)state;
    check_choice(&(struct soft_choice){.meaning_text = "I reject this record."}, "TOTAL_FAILED",
                 "ATTR_ALTERED");
}

static void test_validate_signature__envelope_not_whole__altered(void **state)
{
    REQ("11.50(a)");
    (void)state;
    check_choice(&(struct soft_choice){.envelope = "{\"format\":1}"}, "TOTAL_FAILED",
                 "ATTR_ALTERED");
    check_choice(&(struct soft_choice){.envelope = "{\"format\": 1,\"more\":2}"}, "TOTAL_FAILED",
                 "ATTR_ALTERED");
}

static void test_validate_signature__envelope_reformatted__altered(void **state)
{
    REQ("11.70", "design 6");
    (void)state;
    struct soft_world w;
    soft_world_init(&w, TOKEN_P256);
    CLEANUP(buf_done) struct buf envelope = buf_new(CMS_ENVELOPE_MAX);
    CLEANUP(buf_done) struct buf spaced = buf_new(CMS_ENVELOPE_MAX);
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    soft_envelope(&w, record, &(struct soft_choice){0}, &envelope);
    buf_put_str(&spaced, "{ ");
    buf_put(&spaced, bytes_of(envelope.data + 1, envelope.len - 1));
    soft_sign(&w, record, &(struct soft_choice){.envelope = buf_str(&spaced)}, &cms);
    CLEANUP(json_decref_p) json_t *facts = facts_of(buf_bytes(&cms), record, &w.ca_cert, 0);
    assert_fact(facts, "value", "ok");
    assert_fact(facts, "attributes", "bad");
    assert_verdict(facts, &in_favour, "TOTAL_FAILED", "ATTR_ALTERED");
    soft_world_done(&w);
}

static void test_validate_signature__no_envelope__never_passed(void **state)
{
    REQ("11.10(a)", "11.70");
    (void)state;
    check_choice(&(struct soft_choice){.envelope = "a note for people"}, "INDETERMINATE",
                 "WRONG_RECORD");
    check_choice(&(struct soft_choice){.envelope = "{\"format\":2}"}, "INDETERMINATE",
                 "WRONG_RECORD");
}

static void test_validate_signature__attributes_transplanted__altered(void **state)
{
    REQ("11.70");
    (void)state;
    struct soft_world w;
    soft_world_init(&w, TOKEN_P256);
    CLEANUP(buf_done) struct buf attributes = buf_new(CMS_SIGNED_MAX);
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    soft_attributes(&w, bytes_of("other record", 12), &(struct soft_choice){0}, &attributes);
    const struct bytes other = buf_bytes(&attributes);
    soft_sign(&w, record, &(struct soft_choice){.attributes = &other}, &cms);
    CLEANUP(json_decref_p)
    json_t *of_value = facts_of(buf_bytes(&cms), record, &w.ca_cert, 0);
    assert_verdict(of_value, &in_favour, "TOTAL_FAILED", "RECORD_ALTERED");
    CLEANUP(json_decref_p)
    json_t *of_attributes = facts_of(buf_bytes(&cms), bytes_of("other record", 12), &w.ca_cert, 0);
    assert_fact(of_attributes, "value", "bad");
    assert_verdict(of_attributes, &in_favour, "TOTAL_FAILED", "ATTR_ALTERED");
    soft_world_done(&w);
}

static void test_validate_signature__certificate_of_other_key__altered(void **state)
{
    REQ("11.70");
    (void)state;
    struct soft_world a, b;
    soft_world_init(&a, TOKEN_P256);
    soft_world_init(&b, TOKEN_P256);
    CLEANUP(buf_done) struct buf attributes = buf_new(CMS_SIGNED_MAX);
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    soft_attributes(&a, record, &(struct soft_choice){0}, &attributes);
    const struct bytes of_a = buf_bytes(&attributes);
    soft_sign(&b, record, &(struct soft_choice){.attributes = &of_a}, &cms);
    CLEANUP(json_decref_p) json_t *facts = facts_of(buf_bytes(&cms), record, &b.ca_cert, 0);
    assert_fact(facts, "attributes", "bad");
    assert_verdict(facts, &in_favour, "TOTAL_FAILED", "ATTR_ALTERED");
    soft_world_done(&a);
    soft_world_done(&b);
}

static void test_validate_signature__anchors__judged(void **state)
{
    REQ("11.70", "5.41");
    (void)state;
    struct soft_world w, other;
    soft_world_init(&w, TOKEN_P256);
    soft_world_init(&other, TOKEN_P256);
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    soft_sign(&w, record, &(struct soft_choice){0}, &cms);
    CLEANUP(json_decref_p) json_t *none = facts_of(buf_bytes(&cms), record, NULL, 0);
    assert_fact(none, "chain", "no-anchor");
    assert_verdict(none, &in_favour, "INDETERMINATE", "NO_TRUST_ANCHOR");
    /* a CA of the same name with another key */
    CLEANUP(json_decref_p) json_t *wrong = facts_of(buf_bytes(&cms), record, &other.ca_cert, 0);
    assert_string_not_equal(json_str(wrong, "chain"), "ok");
    CLEANUP(json_decref_p)
    json_t *late =
        facts_of(buf_bytes(&cms), record, &w.ca_cert, (SOFT_SIGNED_AT_S + 4 * 31536000LL) * 1000);
    assert_fact(late, "chain", "expired");
    assert_verdict(late, &in_favour, "INDETERMINATE", "NO_TRUST_ANCHOR");
    CLEANUP(json_decref_p)
    json_t *early =
        facts_of(buf_bytes(&cms), record, &w.ca_cert, (SOFT_SIGNED_AT_S - 2 * 86400LL) * 1000);
    assert_fact(early, "chain", "expired");
    soft_world_done(&w);
    soft_world_done(&other);
}

static void test_validate_signature__unreadable_anchor__refused(void **state)
{
    REQ("11.70");
    (void)state;
    struct soft_world w;
    struct fault f = {0};
    json_t *facts = NULL;
    soft_world_init(&w, TOKEN_P256);
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    soft_sign(&w, record, &(struct soft_choice){0}, &cms);
    const struct bytes anchor = bytes_of("x", 1);
    const struct document_signature s = {
        .cms = buf_bytes(&cms), .anchors = &anchor, .anchor_count = 1};
    assert_int_equal(validate_signature(&s, &facts, &f), ESIGN_E_PROTO);
    assert_string_equal(f.field, "anchors");
    assert_null(facts);
    soft_world_done(&w);
}

static void test_validate_signature__without_chain__passed(void **state)
{
    REQ("design 6");
    (void)state;
    check_choice(&(struct soft_choice){.no_chain = true}, "TOTAL_PASSED", "");
}

/* A certificate that does not belong to the chain is put into the signature. */
static void test_validate_signature__foreign_certificate_added__refused(void **state)
{
    REQ("11.70");
    (void)state;
    struct soft_world w, other;
    soft_world_init(&w, TOKEN_P256);
    soft_world_init(&other, TOKEN_P256);
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    CLEANUP(buf_done) struct buf added = buf_new(CMS_SIGNED_MAX);
    CLEANUP(CMS_ContentInfo_free_p) CMS_ContentInfo *info = NULL;
    CLEANUP(X509_free_p) X509 *cert = NULL;
    soft_sign(&w, record, &(struct soft_choice){0}, &cms);
    const unsigned char *at = cms.data;
    info = d2i_CMS_ContentInfo(NULL, &at, (long)cms.len);
    assert_int_equal(cms_read_certificate(buf_bytes(&other.ca_cert), &cert, NULL), ESIGN_OK);
    assert_int_equal(CMS_add1_cert(info, cert), 1);
    int len = i2d_CMS_ContentInfo(info, NULL);
    unsigned char *room = buf_reserve(&added, (size_t)len);
    assert_int_equal(i2d_CMS_ContentInfo(info, &room), len);
    CLEANUP(json_decref_p) json_t *facts = facts_of(buf_bytes(&added), record, &w.ca_cert, 0);
    assert_fact(facts, "value", "ok");
    assert_false(json_flag(facts, "identity"));
    assert_verdict(facts, &in_favour, "TOTAL_FAILED", "SIG_INVALID");
    soft_world_done(&w);
    soft_world_done(&other);
}

/* The value (r, n-s) verifies too, but it is not the one form that we write. */
static void test_validate_signature__twin_of_value__refused(void **state)
{
    REQ("11.70");
    (void)state;
    struct soft_world w;
    soft_world_init(&w, TOKEN_P256);
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    CLEANUP(buf_done) struct buf twin = buf_new(CMS_SIGNED_MAX);
    CLEANUP(CMS_ContentInfo_free_p) CMS_ContentInfo *info = NULL;
    soft_sign(&w, record, &(struct soft_choice){0}, &cms);
    const unsigned char *at = cms.data;
    info = d2i_CMS_ContentInfo(NULL, &at, (long)cms.len);
    ASN1_OCTET_STRING *octets =
        CMS_SignerInfo_get0_signature(sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(info), 0));
    at = ASN1_STRING_get0_data(octets);
    ECDSA_SIG *value = d2i_ECDSA_SIG(NULL, &at, ASN1_STRING_length(octets));
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    BIGNUM *s = BN_new();
    assert_int_equal(BN_sub(s, EC_GROUP_get0_order(group), ECDSA_SIG_get0_s(value)), 1);
    assert_int_equal(ECDSA_SIG_set0(value, BN_dup(ECDSA_SIG_get0_r(value)), s), 1);
    unsigned char der[128], *end = der;
    int len = i2d_ECDSA_SIG(value, &end);
    assert_int_equal(ASN1_OCTET_STRING_set(octets, der, len), 1);
    ECDSA_SIG_free(value);
    EC_GROUP_free(group);
    len = i2d_CMS_ContentInfo(info, NULL);
    unsigned char *room = buf_reserve(&twin, (size_t)len);
    assert_int_equal(i2d_CMS_ContentInfo(info, &room), len);
    CLEANUP(json_decref_p) json_t *facts = facts_of(buf_bytes(&twin), record, &w.ca_cert, 0);
    assert_fact(facts, "value", "ok");
    assert_false(json_flag(facts, "identity"));
    assert_verdict(facts, &in_favour, "TOTAL_FAILED", "SIG_INVALID");
    soft_world_done(&w);
}

static void test_validate_signature__not_cms__malformed(void **state)
{
    REQ("11.70");
    (void)state;
    static const struct {
        const char *name;
        struct bytes bytes;
    } rows[] = {
        {"empty", {0}},
        {"text", {(const uint8_t *)"hello", 5}},
        {"empty sequence", {(const uint8_t *)"\x30\x00", 2}},
        {"id-data", {(const uint8_t *)"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", 13}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(json_decref_p) json_t *facts = facts_of(rows[i].bytes, record, NULL, 0);
        assert_fact(facts, "structure", "malformed");
        assert_verdict(facts, &in_favour, "TOTAL_FAILED", "SIG_INVALID");
    }
}

static void test_validate_signature__bytes_after_it__malformed(void **state)
{
    REQ("11.70");
    (void)state;
    struct soft_world w;
    soft_world_init(&w, TOKEN_P256);
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX + 1);
    soft_sign(&w, record, &(struct soft_choice){0}, &cms);
    buf_put_u8(&cms, 0);
    CLEANUP(json_decref_p) json_t *facts = facts_of(buf_bytes(&cms), record, &w.ca_cert, 0);
    assert_fact(facts, "structure", "malformed");
    soft_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validate_signature__right_p256__passed),
        cmocka_unit_test(test_validate_signature__right_p384__passed),
        cmocka_unit_test(test_validate_signature__right_rsa2048__passed),
        cmocka_unit_test(test_validate_signature__right_rsa3072__passed),
        cmocka_unit_test(test_document_verdict__same_bytes_other_record__wrong_record),
        cmocka_unit_test(test_validate_signature__envelope_against_certificate__altered),
        cmocka_unit_test(test_validate_signature__envelope_against_attributes__altered),
        cmocka_unit_test(test_validate_signature__meaning_text_against_hash__altered),
        cmocka_unit_test(test_validate_signature__envelope_not_whole__altered),
        cmocka_unit_test(test_validate_signature__envelope_reformatted__altered),
        cmocka_unit_test(test_validate_signature__no_envelope__never_passed),
        cmocka_unit_test(test_validate_signature__attributes_transplanted__altered),
        cmocka_unit_test(test_validate_signature__certificate_of_other_key__altered),
        cmocka_unit_test(test_validate_signature__anchors__judged),
        cmocka_unit_test(test_validate_signature__unreadable_anchor__refused),
        cmocka_unit_test(test_validate_signature__without_chain__passed),
        cmocka_unit_test(test_validate_signature__foreign_certificate_added__refused),
        cmocka_unit_test(test_validate_signature__twin_of_value__refused),
        cmocka_unit_test(test_validate_signature__not_cms__malformed),
        cmocka_unit_test(test_validate_signature__bytes_after_it__malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
