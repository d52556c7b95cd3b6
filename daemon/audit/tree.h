/* The tree with enough of its inner nodes in memory that any root or proof is made from a few
 * hundred leaves. */
#pragma once

#include "audit/merkle.h"

/* Where leaves come from: leaf hashes from (inclusive), count of them, appended to out. */
struct audit_leaves {
    enum esign_rc (*read)(void *ctx, int64_t from, int64_t count, struct buf *out, struct fault *f);
    void *ctx;
    /* The same for leaves that the tree takes up; NULL: read. */
    enum esign_rc (*grow)(void *ctx, int64_t from, int64_t count, struct buf *out, struct fault *f);
};

struct audit_tree;

/* leaves: its ctx is borrowed.  NULL: no memory. */
struct audit_tree *audit_tree_new(const struct audit_leaves *leaves);
void audit_tree_free(struct audit_tree *t); /* NULL is allowed */

/* Read the leaves up to size and append them.  Errors of the source, ESIGN_E_INTERNAL. */
enum esign_rc audit_tree_grow(struct audit_tree *t, int64_t size, struct fault *f) MUST_CHECK;

void audit_tree_head(const struct audit_tree *t, struct audit_head *ret);

/* The head that the tree had at a size up to its own.  ESIGN_E_NOT_FOUND, errors of the source. */
enum esign_rc audit_tree_head_at(const struct audit_tree *t, int64_t size, struct audit_head *ret,
                                 struct fault *f) MUST_CHECK;

/* As audit_inclusion; out is undefined after a failure. */
enum esign_rc audit_tree_inclusion(const struct audit_tree *t, int64_t seq, int64_t size,
                                   struct buf *out, struct fault *f) MUST_CHECK;
