/* The hash tree of the audit trail, as pure functions. */
#pragma once

#include "audit/audit.h"

enum { AUDIT_LEVELS = 63, AUDIT_PROOF_HASHES_MAX = AUDIT_LEVELS };

/* SHA-256(0x01 || left || right).  ret may be one of them.  Source: RFC 6962 section 2.1. */
void audit_node_hash(const uint8_t left[SHA256_LEN], const uint8_t right[SHA256_LEN],
                     uint8_t ret[SHA256_LEN]);

/* The right edge of a tree: the roots of its largest complete subtrees, one a set bit of size.
 * Enough to append and to give the root. */
struct audit_frontier {
    int64_t size;
    uint8_t nodes[AUDIT_LEVELS][SHA256_LEN]; /* [l] holds if bit l of size is set */
};

/* Called for each complete subtree that an append finishes, leaf (level 0) upwards. */
typedef bool (*audit_node_fn)(void *ctx, int level, const uint8_t node[SHA256_LEN]);

/* Append a leaf hash.  fn may be NULL; false if it says so, then nothing is appended. */
bool audit_frontier_append(struct audit_frontier *f, const uint8_t leaf[SHA256_LEN],
                           audit_node_fn fn, void *ctx);

/* The head of the tree; the root of the empty one is SHA-256("").  Source: RFC 6962 section 2.1. */
void audit_frontier_head(const struct audit_frontier *f, struct audit_head *ret);

/* The largest power of two below n.  n: from 2. */
int64_t audit_split(int64_t n);
