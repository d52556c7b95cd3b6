#include "audit/merkle.h"

void audit_node_hash(const uint8_t left[SHA256_LEN], const uint8_t right[SHA256_LEN],
                     uint8_t ret[SHA256_LEN])
{
    uint8_t prefixed[1 + SHA256_LEN] = {0x01};
    memcpy(prefixed + 1, left, SHA256_LEN);
    uint8_t last[SHA256_LEN];
    memcpy(last, right, SHA256_LEN);
    bytes_sha256(bytes_of(prefixed, sizeof prefixed), bytes_of(last, sizeof last), ret);
}

bool audit_frontier_append(struct audit_frontier *f, const uint8_t leaf[SHA256_LEN],
                           audit_node_fn fn, void *ctx)
{
    uint8_t node[SHA256_LEN];
    int level = 0;
    memcpy(node, leaf, SHA256_LEN);
    if (fn && !fn(ctx, 0, node))
        return false;
    for (; f->size >> level & 1; level++) {
        audit_node_hash(f->nodes[level], node, node);
        if (fn && !fn(ctx, level + 1, node))
            return false;
    }
    memcpy(f->nodes[level], node, SHA256_LEN);
    f->size++;
    return true;
}

void audit_frontier_head(const struct audit_frontier *f, struct audit_head *ret)
{
    bool started = false;
    ret->size = f->size;
    for (int level = 0; level < AUDIT_LEVELS; level++) {
        if (!(f->size >> level & 1))
            continue;
        if (started)
            audit_node_hash(f->nodes[level], ret->root, ret->root);
        else
            memcpy(ret->root, f->nodes[level], SHA256_LEN);
        started = true;
    }
    if (!started)
        bytes_sha256((struct bytes){0}, (struct bytes){0}, ret->root);
}

int64_t audit_split(int64_t n)
{
    return (int64_t)1 << (63 - __builtin_clzll((unsigned long long)n - 1));
}

/* Source: RFC 9162 section 2.1.3.2. */
bool audit_inclusion_holds(const uint8_t leaf[SHA256_LEN], int64_t seq,
                           const struct audit_head *head, struct bytes proof)
{
    if (seq < 0 || seq >= head->size || proof.len % SHA256_LEN != 0)
        return false;
    uint8_t node[SHA256_LEN];
    memcpy(node, leaf, SHA256_LEN);
    int64_t fn = seq;
    int64_t sn = head->size - 1;
    for (size_t at = 0; at < proof.len; at += SHA256_LEN) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            audit_node_hash(proof.data + at, node, node);
            for (; !(fn & 1) && fn != 0; fn >>= 1)
                sn >>= 1;
        } else {
            audit_node_hash(node, proof.data + at, node);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 &&
           bytes_equal(bytes_of(node, sizeof node), bytes_of(head->root, sizeof head->root));
}

/* Source: RFC 9162 section 2.1.4.2. */
bool audit_consistency_holds(const struct audit_head *old, const struct audit_head *now,
                             struct bytes proof)
{
    const struct bytes old_root = bytes_of(old->root, SHA256_LEN);
    const struct bytes now_root = bytes_of(now->root, SHA256_LEN);
    if (old->size < 1 || old->size > now->size || proof.len % SHA256_LEN != 0)
        return false;
    if (old->size == now->size)
        return proof.len == 0 && bytes_equal(old_root, now_root);
    int64_t fn = old->size - 1;
    int64_t sn = now->size - 1;
    for (; fn & 1; fn >>= 1)
        sn >>= 1;
    /* An old tree that is a complete subtree of the new one is not repeated in the proof. */
    size_t at = 0;
    struct bytes first = old_root;
    if (fn != 0) {
        if (proof.len == 0)
            return false;
        first = bytes_of(proof.data, SHA256_LEN);
        at = SHA256_LEN;
    }
    uint8_t fr[SHA256_LEN];
    uint8_t sr[SHA256_LEN];
    memcpy(fr, first.data, SHA256_LEN);
    memcpy(sr, first.data, SHA256_LEN);
    for (; at < proof.len; at += SHA256_LEN) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            audit_node_hash(proof.data + at, fr, fr);
            audit_node_hash(proof.data + at, sr, sr);
            for (; !(fn & 1) && fn != 0; fn >>= 1)
                sn >>= 1;
        } else {
            audit_node_hash(sr, proof.data + at, sr);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && bytes_equal(bytes_of(fr, SHA256_LEN), old_root) &&
           bytes_equal(bytes_of(sr, SHA256_LEN), now_root);
}
