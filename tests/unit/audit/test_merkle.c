#include "audit_fixture.h"

#include "audit/tree.h"

/* Leaves that a test makes up: leaf i = SHA-256(i). */
static enum esign_rc made_leaves(void *ctx, int64_t from, int64_t count, struct buf *out,
                                 struct fault *f)
{
    int64_t *size = ctx;
    if (from + count > *size)
        return fault_set(f, ESIGN_E_NOT_FOUND, "beyond");
    for (int64_t i = from; i < from + count; i++) {
        uint8_t hash[SHA256_LEN];
        bytes_sha256(bytes_of(&i, sizeof i), (struct bytes){0}, hash);
        buf_put(out, bytes_of(hash, sizeof hash));
    }
    return ESIGN_OK;
}

/* MTH of RFC 6962 section 2.1, word for word. */
static void naive_root(const uint8_t *leaves, int64_t count, uint8_t ret[SHA256_LEN])
{
    if (count == 0) {
        bytes_sha256((struct bytes){0}, (struct bytes){0}, ret);
        return;
    }
    if (count == 1) {
        memcpy(ret, leaves, SHA256_LEN);
        return;
    }
    int64_t k = 1;
    while (2 * k < count)
        k *= 2;
    uint8_t pair[1 + 2 * SHA256_LEN] = {0x01};
    naive_root(leaves, k, pair + 1);
    naive_root(leaves + k * SHA256_LEN, count - k, pair + 1 + SHA256_LEN);
    bytes_sha256(bytes_of(pair, sizeof pair), (struct bytes){0}, ret);
}

static void test_audit_frontier__fixture_leaves__heads_at_each_size(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    CLEANUP(buf_done) struct buf leaves = fixture_file("leaves.txt");
    CLEANUP(buf_done) struct buf heads = fixture_file("heads.txt");
    struct audit_frontier tree = {0};
    for (size_t size = 0;; size++) {
        struct audit_head head;
        char line[128];
        char hex[2 * SHA256_LEN + 1];
        audit_frontier_head(&tree, &head);
        encode_hex(bytes_of(head.root, SHA256_LEN), hex);
        int len = snprintf(line, sizeof line, "%lld %s", (long long)head.size, hex);
        assert_true(bytes_equal(fixture_line(&heads, size), bytes_of(line, (size_t)len)));
        if (size == 13)
            break;
        char text[2 * SHA256_LEN + 1] = {0};
        uint8_t leaf[SHA256_LEN];
        memcpy(text, fixture_line(&leaves, size).data, 2 * SHA256_LEN);
        assert_int_equal(decode_hex(text, leaf, sizeof leaf), ESIGN_OK);
        assert_true(audit_frontier_append(&tree, leaf, NULL, NULL));
    }
}

static void test_audit_tree__sizes_to_1200__roots_and_proofs_as_defined(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    int64_t size = 1200;
    CLEANUP(buf_done) struct buf leaves = buf_new(1200 * SHA256_LEN);
    assert_int_equal(made_leaves(&size, 0, size, &leaves, NULL), ESIGN_OK);
    struct audit_tree *t =
        audit_tree_new(&(struct audit_leaves){.read = made_leaves, .ctx = &size});
    assert_non_null(t);
    assert_int_equal(audit_tree_grow(t, 700, NULL), ESIGN_OK);
    assert_int_equal(audit_tree_grow(t, size, NULL), ESIGN_OK);
    for (int64_t n = 0; n <= size; n += n < 20 || (n > 500 && n < 520) ? 1 : 61) {
        struct audit_head head;
        uint8_t root[SHA256_LEN];
        naive_root(leaves.data, n, root);
        assert_int_equal(audit_tree_head_at(t, n, &head, NULL), ESIGN_OK);
        assert_memory_equal(head.root, root, SHA256_LEN);
        for (int64_t seq = 0; seq < n; seq += n < 20 ? 1 : 97) {
            CLEANUP(buf_done) struct buf proof = buf_new(64 * SHA256_LEN);
            assert_int_equal(audit_tree_inclusion(t, seq, n, &proof, NULL), ESIGN_OK);
            const uint8_t *leaf = leaves.data + seq * SHA256_LEN;
            assert_true(audit_inclusion_holds(leaf, seq, &head, buf_bytes(&proof)));
            assert_false(audit_inclusion_holds(leaf, seq + 1, &head, buf_bytes(&proof)));
        }
    }
    struct audit_head head;
    CLEANUP(buf_done) struct buf proof = buf_new(64 * SHA256_LEN);
    assert_int_equal(audit_tree_head_at(t, size + 1, &head, NULL), ESIGN_E_NOT_FOUND);
    assert_int_equal(audit_tree_inclusion(t, size, size, &proof, NULL), ESIGN_E_NOT_FOUND);
    assert_int_equal(audit_tree_inclusion(t, -1, size, &proof, NULL), ESIGN_E_NOT_FOUND);
    audit_tree_free(t);
}

static void test_audit_inclusion_holds__each_flipped_bit__refused(void **state)
{
    REQ("11.10(e)");
    (void)state;
    int64_t size = 13;
    CLEANUP(buf_done) struct buf leaf = buf_new(SHA256_LEN);
    CLEANUP(buf_done) struct buf proof = buf_new(64 * SHA256_LEN);
    struct audit_tree *t =
        audit_tree_new(&(struct audit_leaves){.read = made_leaves, .ctx = &size});
    struct audit_head head;
    assert_int_equal(audit_tree_grow(t, size, NULL), ESIGN_OK);
    audit_tree_head(t, &head);
    assert_int_equal(made_leaves(&size, 9, 1, &leaf, NULL), ESIGN_OK);
    assert_int_equal(audit_tree_inclusion(t, 9, size, &proof, NULL), ESIGN_OK);
    assert_true(audit_inclusion_holds(leaf.data, 9, &head, buf_bytes(&proof)));
    for (size_t bit = 0; bit < 8 * proof.len; bit++) {
        proof.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(audit_inclusion_holds(leaf.data, 9, &head, buf_bytes(&proof)));
        proof.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < (size_t)8 * SHA256_LEN; bit++) {
        leaf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(audit_inclusion_holds(leaf.data, 9, &head, buf_bytes(&proof)));
        leaf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    audit_tree_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audit_frontier__fixture_leaves__heads_at_each_size),
        cmocka_unit_test(test_audit_tree__sizes_to_1200__roots_and_proofs_as_defined),
        cmocka_unit_test(test_audit_inclusion_holds__each_flipped_bit__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
