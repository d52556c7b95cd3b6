#include "audit/audit_internal.h"

#include "audit/anchor.h"
#include "audit/restored.h"
#include "base/cleanup.h"

#include <string.h>

enum { LEAVES_CHUNK = 16384, CLAIMS_MAX = 1 << 30 /* bytes */ };

/* anchor_line of claims that stand elsewhere. */
enum { IN_STORE = 0, IN_MEMORY = -1 };

/* A head that was signed earlier, or that this process computed when the entries were written: what
 * the trail must still give. */
struct claim {
    struct audit_head head;
    int64_t anchor_line; /* from 1 */
    bool valid;          /* false: the note itself does not hold; then only head.size is set */
    char why[100];
};

struct claims {
    struct buf items; /* struct claim */
    int64_t last_size;
    const char *origin;
    struct bytes spki;
    struct audit_restorations restorations;
};

static void claims_done(struct claims *c)
{
    buf_done(&c->items);
}

static size_t claim_count(const struct claims *c)
{
    return c->items.len / sizeof(struct claim);
}

static enum esign_rc add_claim(struct claims *c, const struct claim *claim, struct fault *f)
{
    buf_put(&c->items, bytes_of(claim, sizeof *claim));
    if (!buf_ok(&c->items))
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    c->last_size = claim->head.size;
    return ESIGN_OK;
}

/* size: where the note belongs if it can't be trusted to tell; -1: take its word. */
static enum esign_rc add_note(struct claims *c, struct bytes note, int64_t size,
                              int64_t anchor_line, struct fault *f)
{
    struct claim claim = {.anchor_line = anchor_line};
    struct fault why = {0};
    claim.valid = !audit_open_checkpoint(note, c->origin, c->spki, &claim.head, &why);
    if (claim.valid && size >= 0 && claim.head.size != size) {
        claim.valid = false;
        (void)fault_set(&why, ESIGN_E_FORMAT, "kept as one of another size");
    }
    if (!claim.valid) {
        claim.head.size = size >= 0 ? size : c->last_size;
        (void)snprintf(claim.why, sizeof claim.why, "%.99s", why.detail); /* cut is harmless */
    }
    if (claim.valid && anchor_line > 0 &&
        audit_is_given_up(&c->restorations, anchor_line, claim.head.size))
        return ESIGN_OK;
    return add_claim(c, &claim, f);
}

static enum esign_rc add_anchor_line(void *ctx, int64_t line, struct bytes note, struct fault *f)
{
    return add_note(ctx, note, -1, line, f);
}

static enum esign_rc collect_kept(struct audit *a, struct claims *c, struct fault *f)
{
    int64_t size = -1;
    for (;;) {
        CLEANUP(buf_done) struct buf note = buf_new(AUDIT_NOTE_MAX);
        enum esign_rc rc = store_checkpoint_after(a->store, size, &note, &size, f);
        if (rc == ESIGN_E_NOT_FOUND)
            return ESIGN_OK;
        if (!rc)
            rc = add_note(c, buf_bytes(&note), size, IN_STORE, f);
        if (rc)
            return rc;
    }
}

static enum esign_rc collect_memory(struct audit *a, struct claims *c, struct fault *f)
{
    struct claim claim = {.anchor_line = IN_MEMORY, .valid = true};
    (void)pthread_mutex_lock(&a->mutex); /* can't fail: initialised and not recursive */
    audit_tree_head(a->tree, &claim.head);
    (void)pthread_mutex_unlock(&a->mutex);
    return add_claim(c, &claim, f);
}

static enum esign_rc collect_anchors(const char *path, struct claims *c, struct fault *f)
{
    struct claim missing = {.anchor_line = 1, .why = "the file is missing"};
    bool expected = claim_count(c) > 0;
    enum esign_rc rc = audit_read_anchor(path, add_anchor_line, c, f);
    if (rc != ESIGN_E_NOT_FOUND)
        return rc;
    return expected ? add_claim(c, &missing, f) : ESIGN_OK;
}

static int compare_claims(const void *a, const void *b)
{
    int64_t left = ((const struct claim *)a)->head.size;
    int64_t right = ((const struct claim *)b)->head.size;
    return left < right ? -1 : left > right;
}

/* The trail as its leaves tell, read piece by piece. */
struct walk {
    struct audit *audit;
    struct audit_frontier frontier;
    int64_t size; /* of the trail */
};

/* Read on up to size; stops early, with frontier.size there, at a leaf that is missing. */
static enum esign_rc walk_to(struct walk *w, int64_t size, struct fault *f)
{
    while (w->frontier.size < size) {
        CLEANUP(buf_done) struct buf leaves = buf_new((size_t)LEAVES_CHUNK * SHA256_LEN);
        int64_t count = size - w->frontier.size;
        if (count > LEAVES_CHUNK)
            count = LEAVES_CHUNK;
        enum esign_rc rc = store_leaves(w->audit->store, w->frontier.size, count, &leaves, f);
        /* What was read before the missing one counts. */
        for (size_t at = 0; at + SHA256_LEN <= leaves.len; at += SHA256_LEN)
            (void)audit_frontier_append(&w->frontier, leaves.data + at, NULL, NULL); /* no fn */
        if (rc)
            return rc;
    }
    return ESIGN_OK;
}

static void name_claim(const struct claim *c, char *ret, size_t size)
{
    if (c->anchor_line == IN_MEMORY)
        (void)snprintf(ret, size, "head of %lld in memory", (long long)c->head.size);
    else if (c->anchor_line > 0)
        (void)snprintf(ret, size, "anchor line %lld", (long long)c->anchor_line);
    else
        (void)snprintf(ret, size, "checkpoint %lld", (long long)c->head.size);
}

/* What is wrong is between the newest head that holds and this claim: an entry that was replaced
 * together with its leaf and rows can't be told more exactly. */
static void report_claim(struct audit_report *r, const struct claim *c, int64_t good,
                         const char *what)
{
    char name[48];
    if (r->bad_seq >= 0 && (r->bad_seq <= good || r->bad_seq < c->head.size))
        return;
    name_claim(c, name, sizeof name);
    r->bad_seq = good;
    (void)snprintf(r->detail, sizeof r->detail, "%s: %s", name, what); /* cut is harmless */
}

/* Compare one claim with the trail; good: size of the newest head that holds. */
static void check_claim(struct walk *w, const struct claim *c, struct audit_report *r,
                        int64_t *good)
{
    struct fault f = {0};
    struct audit_head head;
    if (!c->valid) {
        report_claim(r, c, *good, c->why);
        return;
    }
    if (c->head.size > w->size) {
        report_claim(r, c, w->size, "the entries up to it are missing");
        return;
    }
    if (walk_to(w, c->head.size, &f)) {
        report_claim(r, c, w->frontier.size, f.detail);
        return;
    }
    audit_frontier_head(&w->frontier, &head);
    if (!bytes_equal(bytes_of(head.root, SHA256_LEN), bytes_of(c->head.root, SHA256_LEN))) {
        report_claim(r, c, *good, "the entries since the checkpoint before are not those signed");
        return;
    }
    *good = c->head.size;
    if (c->anchor_line != IN_MEMORY)
        r->checkpoint_size = c->head.size;
}

static enum esign_rc check_entries(struct audit *a, struct audit_report *r, struct fault *f)
{
    struct fault bad = {0};
    enum esign_rc rc = store_check(a->store, &r->bad_seq, &bad);
    if (rc && f)
        *f = bad;
    if (!rc && r->bad_seq >= 0)
        (void)snprintf(r->detail, sizeof r->detail, "%s", bad.detail); /* of the same size */
    return rc;
}

static enum esign_rc verify_trail(struct audit *a, struct bytes spki, const char *anchor_path,
                                  struct audit_report *ret, struct fault *f)
{
    struct audit_report r = {.bad_seq = -1, .checkpoint_size = -1};
    CLEANUP(claims_done)
    struct claims c = {.items = buf_new(CLAIMS_MAX), .origin = a->origin, .spki = spki};
    struct walk w = {.audit = a};
    int64_t good = 0;
    enum esign_rc rc = check_entries(a, &r, f);
    if (!rc && r.bad_seq < 0) /* of a trail that does not hold nothing is believed */
        rc = audit_read_restorations(a->store, &c.restorations, f);
    if (!rc)
        rc = collect_kept(a, &c, f);
    if (!rc && anchor_path)
        rc = collect_anchors(anchor_path, &c, f);
    if (!rc)
        rc = collect_memory(a, &c, f);
    if (rc)
        return rc;
    /* Asked after the claims were read: the trail only grows. */
    w.size = r.size = store_size(a->store);
    struct claim *items = (void *)c.items.data; /* from malloc: aligned for all */
    qsort(items, claim_count(&c), sizeof *items, compare_claims);
    for (size_t i = 0; i < claim_count(&c); i++)
        check_claim(&w, &items[i], &r, &good);
    *ret = r;
    return ESIGN_OK;
}

enum esign_rc audit_verify(struct audit *a, struct bytes spki, const char *anchor_path,
                           struct audit_report *ret, struct fault *f)
{
    if (atomic_flag_test_and_set(&a->verifying))
        return fault_set(f, ESIGN_E_BUSY, "the audit trail is being verified already");
    enum esign_rc rc = verify_trail(a, spki, anchor_path, ret, f);
    atomic_flag_clear(&a->verifying);
    return rc;
}
