#include "audit/audit_internal.h"

#include "audit/anchor.h"
#include "audit/proof.h"
#include "base/cleanup.h"

static enum esign_rc read_leaves(void *ctx, int64_t from, int64_t count, struct buf *out,
                                 struct fault *f)
{
    return store_leaves(ctx, from, count, out, f);
}

static enum esign_rc grow_leaves(void *ctx, int64_t from, int64_t count, struct buf *out,
                                 struct fault *f)
{
    return store_new_leaves(ctx, from, count, out, f);
}

enum esign_rc audit_open(struct store *store, const char *origin, struct audit **ret,
                         struct fault *f)
{
    if (!audit_is_origin(origin))
        return fault_set(f, ESIGN_E_POLICY, "'%.40s' can't name a log", origin);
    struct audit *a = calloc(1, sizeof *a);
    struct audit_tree *tree =
        audit_tree_new(&(struct audit_leaves){read_leaves, store, grow_leaves});
    if (!a || !tree) {
        free(a);
        audit_tree_free(tree);
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    }
    a->store = store;
    a->tree = tree;
    atomic_flag_clear(&a->verifying);
    (void)snprintf(a->origin, sizeof a->origin, "%s", origin); /* fits: checked above */
    (void)pthread_mutex_init(&a->mutex, NULL);                 /* only fills in a structure */
    struct audit_head head;
    enum esign_rc rc = audit_head(a, &head, f);
    if (rc) {
        audit_close(a);
        return rc;
    }
    *ret = a;
    return ESIGN_OK;
}

void audit_close(struct audit *a)
{
    if (!a)
        return;
    (void)pthread_mutex_destroy(&a->mutex);
    audit_tree_free(a->tree);
    free(a);
}

/* Lock the tree and bring it up to the store. */
static enum esign_rc lock_tree(struct audit *a, struct fault *f)
{
    (void)pthread_mutex_lock(&a->mutex); /* can't fail: initialised and not recursive */
    enum esign_rc rc = audit_tree_grow(a->tree, store_size(a->store), f);
    if (rc)
        (void)pthread_mutex_unlock(&a->mutex);
    return rc;
}

static void unlock_tree(struct audit *a)
{
    (void)pthread_mutex_unlock(&a->mutex);
}

enum esign_rc audit_head(struct audit *a, struct audit_head *ret, struct fault *f)
{
    enum esign_rc rc = lock_tree(a, f);
    if (rc)
        return rc;
    audit_tree_head(a->tree, ret);
    unlock_tree(a);
    return ESIGN_OK;
}

enum esign_rc audit_head_at(struct audit *a, int64_t size, struct audit_head *ret, struct fault *f)
{
    enum esign_rc rc = lock_tree(a, f);
    if (rc)
        return rc;
    rc = audit_tree_head_at(a->tree, size, ret, f);
    unlock_tree(a);
    return rc;
}

enum esign_rc audit_inclusion(struct audit *a, int64_t seq, int64_t size, struct buf *out,
                              struct fault *f)
{
    enum esign_rc rc = lock_tree(a, f);
    if (rc)
        return rc;
    rc = audit_tree_inclusion(a->tree, seq, size, out, f);
    unlock_tree(a);
    return rc;
}

/* The newest kept checkpoint, which must agree with the trail.  ESIGN_E_NOT_FOUND: none. */
static enum esign_rc newest_checkpoint(struct audit *a, struct buf *note, struct audit_head *ret,
                                       struct fault *f)
{
    int64_t size = 0;
    struct audit_head signed_head;
    struct audit_head now;
    enum esign_rc rc = store_checkpoint(a->store, note, &size, f);
    if (rc)
        return rc;
    if (audit_open_checkpoint(buf_bytes(note), a->origin, (struct bytes){0}, &signed_head, NULL) ||
        signed_head.size != size)
        return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered",
                            "the kept checkpoint of %lld entries is damaged", (long long)size);
    rc = audit_head_at(a, size, &now, f);
    if (rc == ESIGN_E_NOT_FOUND || (!rc && !bytes_equal(bytes_of(now.root, SHA256_LEN),
                                                        bytes_of(signed_head.root, SHA256_LEN))))
        return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered",
                            "the audit trail is not the one of its checkpoint of %lld entries",
                            (long long)size);
    if (!rc)
        *ret = signed_head;
    return rc;
}

/* The note of head: the kept one if it is of this size and key, else a new one. */
static enum esign_rc make_note(struct audit *a, const struct audit_head *head,
                               const struct audit_signer *signer, struct buf *note, bool *ret_kept,
                               struct fault *f)
{
    struct audit_head kept = {0};
    enum esign_rc rc = newest_checkpoint(a, note, &kept, f);
    if (rc && rc != ESIGN_E_NOT_FOUND)
        return rc;
    *ret_kept = !rc && kept.size == head->size &&
                !audit_open_checkpoint(buf_bytes(note), a->origin, signer->spki, &kept, NULL);
    if (*ret_kept)
        return ESIGN_OK;
    buf_clear(note);
    return audit_sign_checkpoint(a->origin, head, signer, note, f);
}

static enum esign_rc keep_note(struct audit *a, int64_t size, struct buf *note, struct fault *f)
{
    const char *text = buf_str(note);
    return text ? store_put_checkpoint(a->store, size, text, f)
                : fault_set(f, ESIGN_E_INTERNAL, "out of memory");
}

enum esign_rc audit_checkpoint(struct audit *a, const struct audit_signer *signer,
                               const char *anchor_path, struct buf *ret_note, struct fault *f)
{
    CLEANUP(buf_done) struct buf note = buf_new(AUDIT_NOTE_MAX);
    struct audit_head head;
    bool kept = false;
    enum esign_rc rc = audit_head(a, &head, f);
    if (!rc)
        rc = make_note(a, &head, signer, &note, &kept, f);
    if (rc)
        return rc;
    /* The anchor first: a kept checkpoint without an anchor file is what a removed file looks like,
     * and a crash must not leave that.  Without an anchor it is kept all the same, for proofs. */
    if (anchor_path)
        rc = audit_append_anchor(anchor_path, buf_bytes(&note), f);
    if (!kept) {
        enum esign_rc put = keep_note(a, head.size, &note, rc ? NULL : f);
        rc = rc ? rc : put;
    }
    if (rc || !ret_note)
        return rc;
    buf_put(ret_note, buf_bytes(&note));
    return buf_ok(ret_note) ? ESIGN_OK : fault_set(f, ESIGN_E_TOO_LARGE, "the note is too long");
}

enum esign_rc audit_proof(struct audit *a, int64_t seq, struct buf *out, struct fault *f)
{
    CLEANUP(buf_done) struct buf note = buf_new(AUDIT_NOTE_MAX);
    CLEANUP(buf_done) struct buf hashes = buf_new((size_t)AUDIT_PROOF_HASHES_MAX * SHA256_LEN);
    CLEANUP(buf_done) struct buf leaf = buf_new(SHA256_LEN);
    struct audit_head head = {0};
    enum esign_rc rc = newest_checkpoint(a, &note, &head, f);
    if (rc)
        return rc;
    if (seq < 0 || seq >= head.size)
        return fault_set(f, ESIGN_E_NOT_FOUND, "no checkpoint covers audit entry %lld yet",
                         (long long)seq);
    rc = audit_inclusion(a, seq, head.size, &hashes, f);
    if (!rc)
        rc = store_leaves(a->store, seq, 1, &leaf, f);
    if (rc)
        return rc;
    if (!audit_inclusion_holds(leaf.data, seq, &head, buf_bytes(&hashes)))
        return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered",
                            "audit entry %lld is not the one of the checkpoint", (long long)seq);
    audit_put_proof(seq, buf_bytes(&hashes), buf_bytes(&note), out);
    return buf_ok(out) ? ESIGN_OK : fault_set(f, ESIGN_E_TOO_LARGE, "the proof is too long");
}
