#include "audit/restored.h"

#include "audit/anchor.h"
#include "audit/audit_internal.h"
#include "base/cleanup.h"

#include <string.h>

enum { COMPARED_MAX = 1000, HEADS_MAX = 1 << 30 /* bytes */ };

enum esign_rc audit_read_restorations(struct store *store, struct audit_restorations *ret,
                                      struct fault *f)
{
    CLEANUP(json_decref_p) json_t *rows = NULL;
    enum esign_rc rc =
        store_list(store, "restoration", NULL, NULL, NULL, AUDIT_RESTORATIONS_MAX + 1, &rows, f);
    if (rc)
        return rc;
    *ret = (struct audit_restorations){.count = json_array_size(rows)};
    if (ret->count > AUDIT_RESTORATIONS_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "the trail has more than %d restorations",
                         AUDIT_RESTORATIONS_MAX);
    for (size_t i = 0; i < ret->count; i++) {
        const json_t *row = json_array_get(rows, i);
        ret->items[i].lines = json_int(row, "body.lines", 0);
        ret->items[i].kept = json_int(row, "body.kept", 0);
        ret->items[i].mark = json_int(row, "body.mark", 0);
    }
    return ESIGN_OK;
}

bool audit_is_given_up(const struct audit_restorations *r, int64_t line, int64_t size)
{
    for (size_t i = 0; i < r->count; i++)
        if (line <= r->items[i].lines && size > r->items[i].kept)
            return true;
    return false;
}

struct comparison {
    struct audit_restorations restorations;
    struct buf heads; /* struct audit_head, in the order of the file */
    int64_t lines;
};

static void comparison_done(struct comparison *c)
{
    buf_done(&c->heads);
}

static enum esign_rc collect_line(void *ctx, int64_t line, struct bytes note, struct fault *f)
{
    struct comparison *c = ctx;
    struct audit_head said = {0};
    c->lines = line;
    if (audit_open_checkpoint(note, NULL, (struct bytes){0}, &said, NULL) ||
        audit_is_given_up(&c->restorations, line, said.size))
        return ESIGN_OK;
    buf_put(&c->heads, bytes_of(&said, sizeof said));
    return buf_ok(&c->heads) ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "out of memory");
}

/* One checkpoint against the trail. */
static enum esign_rc compare_head(struct audit *a, const struct audit_head *said,
                                  struct audit_difference *found, struct fault *f)
{
    struct audit_head has;
    enum esign_rc rc = audit_head_at(a, said->size, &has, f);
    if (rc && rc != ESIGN_E_NOT_FOUND)
        return rc;
    bool same =
        !rc && bytes_equal(bytes_of(said->root, SHA256_LEN), bytes_of(has.root, SHA256_LEN));
    if (same && said->size > found->kept)
        found->kept = said->size;
    if (!same && said->size > found->lost.size)
        found->lost = *said;
    return ESIGN_OK;
}

/* From the newest back: of a long file enough to know, since each root holds all before it. */
static enum esign_rc compare_heads(struct audit *a, const struct comparison *c,
                                   struct audit_difference *found, struct fault *f)
{
    enum esign_rc rc = ESIGN_OK;
    size_t count = c->heads.len / sizeof(struct audit_head);
    for (size_t i = 0; !rc && i < count && (i < COMPARED_MAX || found->kept == 0); i++) {
        struct audit_head said;
        memcpy(&said, c->heads.data + (count - 1 - i) * sizeof said, sizeof said);
        rc = compare_head(a, &said, found, f);
    }
    return rc;
}

static enum esign_rc keeps_checkpoints(struct audit *a, bool *ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf note = buf_new(AUDIT_NOTE_MAX);
    int64_t size = 0;
    enum esign_rc rc = store_checkpoint(a->store, &note, &size, f);
    *ret = rc == ESIGN_OK;
    return rc == ESIGN_E_NOT_FOUND ? ESIGN_OK : rc;
}

enum esign_rc audit_compare_anchor(struct audit *a, const char *anchor_path,
                                   struct audit_difference *ret, struct fault *f)
{
    CLEANUP(comparison_done) struct comparison c = {.heads = buf_new(HEADS_MAX)};
    struct audit_difference found = {0};
    enum esign_rc rc = audit_read_restorations(a->store, &c.restorations, f);
    if (rc)
        return rc;
    rc = audit_read_anchor(anchor_path, collect_line, &c, f);
    if (rc == ESIGN_E_NOT_FOUND)
        rc = ESIGN_OK;
    if (!rc)
        rc = compare_heads(a, &c, &found, f);
    /* a file that says nothing of this trail is as good as none */
    if (!rc && found.kept == 0 && found.lost.size == 0)
        rc = keeps_checkpoints(a, &found.missing, f);
    found.lines = c.lines;
    if (!rc)
        *ret = found;
    return rc;
}
