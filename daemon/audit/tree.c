#include "audit/tree.h"

#include "base/cleanup.h"

/* Subtrees of this many leaves and more stay in memory: 250 KiB for a million entries. */
enum {
    CACHE_LEVEL = 8,
    CACHE_LEAVES = 1 << CACHE_LEVEL,
    GROW_CHUNK = 16384,
    LEVEL_MAX = 1 << 30, /* bytes: for 2^33 entries */
};

struct audit_tree {
    struct audit_leaves leaves;
    struct audit_frontier frontier;
    struct buf levels[AUDIT_LEVELS]; /* from CACHE_LEVEL: all complete subtrees, from the left */
};

struct audit_tree *audit_tree_new(const struct audit_leaves *leaves)
{
    struct audit_tree *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->leaves = *leaves;
    if (!t->leaves.grow)
        t->leaves.grow = leaves->read;
    for (int i = CACHE_LEVEL; i < AUDIT_LEVELS; i++)
        t->levels[i] = buf_new(LEVEL_MAX);
    return t;
}

void audit_tree_free(struct audit_tree *t)
{
    if (!t)
        return;
    for (int i = 0; i < AUDIT_LEVELS; i++)
        buf_done(&t->levels[i]);
    free(t);
}

static bool keep_node(void *ctx, int level, const uint8_t node[SHA256_LEN])
{
    struct audit_tree *t = ctx;
    struct buf *nodes = &t->levels[level];
    if (level < CACHE_LEVEL)
        return true;
    /* An append that had no memory further up is tried again: then this node is there already. */
    if ((size_t)(t->frontier.size >> level) < nodes->len / SHA256_LEN)
        return true;
    nodes->failed = false;
    buf_put(nodes, bytes_of(node, SHA256_LEN));
    return buf_ok(nodes);
}

enum esign_rc audit_tree_grow(struct audit_tree *t, int64_t size, struct fault *f)
{
    CLEANUP(buf_done) struct buf leaves = buf_new((size_t)GROW_CHUNK * SHA256_LEN);
    while (t->frontier.size < size) {
        int64_t count = size - t->frontier.size;
        if (count > GROW_CHUNK)
            count = GROW_CHUNK;
        buf_clear(&leaves);
        enum esign_rc rc = t->leaves.grow(t->leaves.ctx, t->frontier.size, count, &leaves, f);
        if (rc)
            return rc;
        for (int64_t i = 0; i < count; i++)
            if (!audit_frontier_append(&t->frontier, leaves.data + i * SHA256_LEN, keep_node, t))
                return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    }
    return ESIGN_OK;
}

void audit_tree_head(const struct audit_tree *t, struct audit_head *ret)
{
    audit_frontier_head(&t->frontier, ret);
}

/* The root of a few leaves, read from the source. */
static enum esign_rc hash_leaves(const struct audit_tree *t, int64_t from, int64_t count,
                                 uint8_t ret[SHA256_LEN], struct fault *f)
{
    CLEANUP(buf_done) struct buf leaves = buf_new((size_t)CACHE_LEAVES * SHA256_LEN);
    enum esign_rc rc = t->leaves.read(t->leaves.ctx, from, count, &leaves, f);
    if (rc)
        return rc;
    struct audit_frontier part = {0};
    for (int64_t i = 0; i < count; i++)
        (void)audit_frontier_append(&part, leaves.data + i * SHA256_LEN, NULL, NULL); /* no fn */
    struct audit_head head;
    audit_frontier_head(&part, &head);
    memcpy(ret, head.root, SHA256_LEN);
    return ESIGN_OK;
}

/* The root of the leaves from (inclusive), count of them: MTH of RFC 6962 section 2.1.  The ranges
 * that occur start at a multiple of the power of two that is at least count. */
static enum esign_rc hash_range(const struct audit_tree *t, int64_t from, int64_t count,
                                uint8_t ret[SHA256_LEN], struct fault *f)
{
    if (count < CACHE_LEAVES)
        return hash_leaves(t, from, count, ret, f);
    if ((count & (count - 1)) == 0) {
        int level = __builtin_ctzll((unsigned long long)count);
        memcpy(ret, t->levels[level].data + (from >> level) * SHA256_LEN, SHA256_LEN);
        return ESIGN_OK;
    }
    int64_t left_count = audit_split(count);
    uint8_t left[SHA256_LEN];
    enum esign_rc rc = hash_range(t, from, left_count, left, f);
    if (!rc)
        rc = hash_range(t, from + left_count, count - left_count, ret, f);
    if (!rc)
        audit_node_hash(left, ret, ret);
    return rc;
}

static enum esign_rc check_size(const struct audit_tree *t, int64_t size, struct fault *f)
{
    if (size < 0 || size > t->frontier.size)
        return fault_set(f, ESIGN_E_NOT_FOUND, "the audit trail has %lld entries",
                         (long long)t->frontier.size);
    return ESIGN_OK;
}

enum esign_rc audit_tree_head_at(const struct audit_tree *t, int64_t size, struct audit_head *ret,
                                 struct fault *f)
{
    struct audit_head head = {.size = size};
    enum esign_rc rc = check_size(t, size, f);
    if (!rc)
        rc = hash_range(t, 0, size, head.root, f);
    if (!rc)
        *ret = head;
    return rc;
}

/* PATH of RFC 6962 section 2.1.1 for the leaf seq among the leaves from (inclusive), count. */
static enum esign_rc put_path(const struct audit_tree *t, int64_t seq, int64_t from, int64_t count,
                              struct buf *out, struct fault *f)
{
    if (count == 1)
        return ESIGN_OK;
    int64_t left_count = audit_split(count);
    int64_t right = from + left_count;
    uint8_t sibling[SHA256_LEN];
    enum esign_rc rc = seq < right ? put_path(t, seq, from, left_count, out, f)
                                   : put_path(t, seq, right, count - left_count, out, f);
    if (!rc)
        rc = seq < right ? hash_range(t, right, count - left_count, sibling, f)
                         : hash_range(t, from, left_count, sibling, f);
    if (!rc)
        buf_put(out, bytes_of(sibling, sizeof sibling));
    return rc;
}

enum esign_rc audit_tree_inclusion(const struct audit_tree *t, int64_t seq, int64_t size,
                                   struct buf *out, struct fault *f)
{
    enum esign_rc rc = check_size(t, size, f);
    if (rc)
        return rc;
    if (seq < 0 || seq >= size)
        return fault_set(f, ESIGN_E_NOT_FOUND, "there is no audit entry %lld among %lld",
                         (long long)seq, (long long)size);
    rc = put_path(t, seq, 0, size, out, f);
    if (rc)
        return rc;
    return buf_ok(out) ? ESIGN_OK
                       : fault_set(f, ESIGN_E_TOO_LARGE, "the proof does not fit the buffer");
}
