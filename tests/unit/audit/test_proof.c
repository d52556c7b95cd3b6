#include "audit_fixture.h"

static void test_audit_proof_check__fixture__holds(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    CLEANUP(buf_done) struct buf proof = fixture_file("entry-8.tlog-proof");
    CLEANUP(buf_done) struct buf entries = fixture_file("entries.jsonl");
    CLEANUP(buf_done) struct buf spki = fixture_spki();
    struct audit_head head;
    int64_t seq = -1;
    struct fault f;
    assert_int_equal(audit_proof_check(buf_bytes(&proof), fixture_line(&entries, 8),
                                       buf_bytes(&spki), &head, &seq, &f),
                     ESIGN_OK);
    assert_int_equal(seq, 8);
    assert_int_equal(head.size, 13);
}

static void test_audit_proof_check__other_entry__refused(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    CLEANUP(buf_done) struct buf proof = fixture_file("entry-8.tlog-proof");
    CLEANUP(buf_done) struct buf entries = fixture_file("entries.jsonl");
    CLEANUP(buf_done) struct buf spki = fixture_spki();
    struct audit_head head;
    int64_t seq = -1;
    for (size_t i = 0; i < 13; i++)
        if (i != 8)
            assert_int_equal(audit_proof_check(buf_bytes(&proof), fixture_line(&entries, i),
                                               buf_bytes(&spki), &head, &seq, NULL),
                             ESIGN_E_FORMAT);
    assert_int_equal(seq, -1);
}

static void test_audit_proof_check__each_flipped_bit__refused(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    CLEANUP(buf_done) struct buf proof = fixture_file("entry-8.tlog-proof");
    CLEANUP(buf_done) struct buf entries = fixture_file("entries.jsonl");
    CLEANUP(buf_done) struct buf spki = fixture_spki();
    CLEANUP(buf_done) struct buf entry = buf_new(STORE_ENTRY_MAX);
    buf_put(&entry, fixture_line(&entries, 8));
    struct audit_head head;
    int64_t seq = -1;
    struct buf *const parts[] = {&proof, &entry};
    for (size_t i = 0; i < 2; i++)
        for (size_t bit = 0; bit < 8 * parts[i]->len; bit++) {
            parts[i]->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(audit_proof_check(buf_bytes(&proof), buf_bytes(&entry),
                                               buf_bytes(&spki), &head, &seq, NULL),
                             ESIGN_E_FORMAT);
            parts[i]->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    for (size_t len = 0; len < proof.len; len++)
        assert_int_equal(audit_proof_check(bytes_of(proof.data, len), buf_bytes(&entry),
                                           buf_bytes(&spki), &head, &seq, NULL),
                         ESIGN_E_FORMAT);
}

static void test_audit_proof_check__no_key__refused(void **state)
{
    REQ("design 7");
    (void)state;
    CLEANUP(buf_done) struct buf proof = fixture_file("entry-8.tlog-proof");
    CLEANUP(buf_done) struct buf entries = fixture_file("entries.jsonl");
    struct audit_head head;
    int64_t seq = -1;
    assert_int_equal(audit_proof_check(buf_bytes(&proof), fixture_line(&entries, 8),
                                       (struct bytes){0}, &head, &seq, NULL),
                     ESIGN_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audit_proof_check__fixture__holds),
        cmocka_unit_test(test_audit_proof_check__other_entry__refused),
        cmocka_unit_test(test_audit_proof_check__each_flipped_bit__refused),
        cmocka_unit_test(test_audit_proof_check__no_key__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
