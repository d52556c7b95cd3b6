/* The audit trail as a Merkle tree (RFC 6962) with signed checkpoints (C2SP tlog-checkpoint). */
#pragma once

#include "store/store.h"

struct audit;

struct audit_head {
    int64_t size;
    uint8_t root[SHA256_LEN];
};

/* Who signs checkpoints: SHA-256 digest in, ECDSA-Sig-Value (DER) out. */
struct audit_signer {
    enum esign_rc (*sign)(void *ctx, struct bytes digest, struct buf *ret_value, struct fault *f);
    void *ctx;
    struct bytes spki; /* P-256 SubjectPublicKeyInfo of the log key; borrowed */
};

/* origin: the log's name in checkpoints, such as "esignd.example.com/site".  store: borrowed. */
enum esign_rc audit_open(struct store *store, const char *origin, struct audit **ret,
                         struct fault *f) MUST_CHECK;
void audit_close(struct audit *a);

/* The present head (catches up with the store). */
enum esign_rc audit_head(struct audit *a, struct audit_head *ret, struct fault *f) MUST_CHECK;

/* The head that the trail had at a size.  ESIGN_E_NOT_FOUND: it has not come that far. */
enum esign_rc audit_head_at(struct audit *a, int64_t size, struct audit_head *ret,
                            struct fault *f) MUST_CHECK;

/* The inclusion proof of entry seq in the tree of that size: 32-byte hashes appended to out.
 * Source: RFC 6962 section 2.1.1.  ESIGN_E_NOT_FOUND: seq or size beyond the trail. */
enum esign_rc audit_inclusion(struct audit *a, int64_t seq, int64_t size, struct buf *out,
                              struct fault *f) MUST_CHECK;

/* Sign the present head, keep it in the store and append it to the anchor file (path may be NULL).
 * If nothing was written since the newest checkpoint, that one is given again without signing.
 * ret_note: the signed note, may be NULL.  ESIGN_E_AUDIT_UNAVAILABLE: not kept or not anchored;
 * reason "tampered": the trail does not agree with the newest checkpoint, nothing is signed;
 * ESIGN_E_HSM: the signature does not hold; errors of the signer. */
enum esign_rc audit_checkpoint(struct audit *a, const struct audit_signer *signer,
                               const char *anchor_path, struct buf *ret_note,
                               struct fault *f) MUST_CHECK;

/* An offline proof of entry seq in C2SP tlog-proof form, against the newest checkpoint.
 * ESIGN_E_NOT_FOUND: no checkpoint covers it yet; ESIGN_E_AUDIT_UNAVAILABLE reason "tampered". */
enum esign_rc audit_proof(struct audit *a, int64_t seq, struct buf *out,
                          struct fault *f) MUST_CHECK;

struct audit_report {
    int64_t size;
    int64_t bad_seq;         /* first entry that does not hold; -1: none */
    int64_t checkpoint_size; /* newest checkpoint checked; -1: none */
    char detail[200];
};

/* Recompute everything: entries, leaves, rows, the root against every kept checkpoint, every line
 * of the anchor file (which must be there if a checkpoint is) and the head that this process
 * computed, and the checkpoint signatures under spki (empty: not checked).  ESIGN_OK also when
 * something does not hold: the report says so.  An entry that was replaced together with its leaf
 * and its rows is known only by the checkpoint that no longer holds: then bad_seq is the first
 * entry since the checkpoint before.  One at a time, since it takes long: ESIGN_E_BUSY. */
enum esign_rc audit_verify(struct audit *a, struct bytes spki, const char *anchor_path,
                           struct audit_report *ret, struct fault *f) MUST_CHECK;

/* Pure functions (audit/merkle.c, checkpoint.c, proof.c; library esign_audit_proof, which needs no
 * store), also used by esign --offline:
 * whether proof (32-byte hashes) leads from leaf (hash) at seq to head. */
bool audit_inclusion_holds(const uint8_t leaf[SHA256_LEN], int64_t seq,
                           const struct audit_head *head, struct bytes proof);
/* Whether proof shows that the tree of head `now` has only been appended to since head `old` (of
 * size 1 or more). */
bool audit_consistency_holds(const struct audit_head *old, const struct audit_head *now,
                             struct bytes proof);
/* Parse a tlog-proof and check it: entry bytes, checkpoint signature under spki, inclusion, and
 * that the entry names this place itself.  ESIGN_E_FORMAT (detail says what fails). */
enum esign_rc audit_proof_check(struct bytes proof, struct bytes entry, struct bytes spki,
                                struct audit_head *ret_head, int64_t *ret_seq,
                                struct fault *f) MUST_CHECK;
