/* Facts of a helper that tells something else than what was recorded. */
#include "req.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "verify/facts.h"

static const char RECORD[] = "the record";

static json_t *envelope_of(const uint8_t digest[SHA256_LEN], const char *id)
{
    char hex[2 * SHA256_LEN + 1];
    encode_hex(bytes_of(digest, SHA256_LEN), hex);
    json_t *envelope = json_pack("{s:{s:s, s:s}}", "record", "hash", hex, "id", id);
    assert_non_null(envelope);
    return envelope;
}

static void check(const char *told, const char *told_id, struct bytes given, bool agree,
                  const char *digest)
{
    uint8_t hash[SHA256_LEN];
    bytes_sha256(bytes_of_str(RECORD), (struct bytes){0}, hash);
    CLEANUP(json_decref_p) json_t *envelope = envelope_of(hash, "B-1");
    CLEANUP(json_decref_p)
    json_t *facts = json_pack("{s:s, s:o}", "digest", told, "envelope", envelope_of(hash, told_id));
    assert_int_equal(verify_facts_settle(facts, envelope, given), agree);
    assert_string_equal(json_str(facts, "digest"), digest);
    assert_string_equal(json_str(facts, "envelope.record.id"), "B-1");
}

static void test_verify_facts_settle__digest__is_compared_here_too(void **state)
{
    REQ("11.70", "design 2");
    (void)state;
    uint8_t right[SHA256_LEN], other[SHA256_LEN];
    bytes_sha256(bytes_of_str(RECORD), (struct bytes){0}, right);
    bytes_sha256(bytes_of_str("another record"), (struct bytes){0}, other);
    check("ok", "B-1", bytes_of(right, sizeof right), true, "ok");
    check("mismatch", "B-1", bytes_of(other, sizeof other), true, "mismatch");
    check("unknown", "B-1", (struct bytes){0}, true, "unknown");
    check("ok", "B-1", bytes_of(other, sizeof other), false, "mismatch");
    check("mismatch", "B-1", bytes_of(right, sizeof right), false, "ok");
    check("ok", "B-1", (struct bytes){0}, false, "unknown");
    check("ok", "B-1", bytes_of(right, 20), false, "mismatch");
}

static void test_verify_facts_settle__other_envelope__refused(void **state)
{
    REQ("11.70", "11.50(a)", "design 2");
    (void)state;
    uint8_t right[SHA256_LEN];
    bytes_sha256(bytes_of_str(RECORD), (struct bytes){0}, right);
    check("ok", "B-2", bytes_of(right, sizeof right), false, "ok");
}

static void test_verify_facts_settle__no_envelope__refused(void **state)
{
    REQ("11.70");
    (void)state;
    CLEANUP(json_decref_p) json_t *facts = json_pack("{s:s}", "digest", "ok");
    assert_false(verify_facts_settle(facts, NULL, (struct bytes){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify_facts_settle__digest__is_compared_here_too),
        cmocka_unit_test(test_verify_facts_settle__other_envelope__refused),
        cmocka_unit_test(test_verify_facts_settle__no_envelope__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
