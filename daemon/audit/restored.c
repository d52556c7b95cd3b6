#include "audit/restored.h"

#include "audit/anchor.h"
#include "audit/audit_internal.h"
#include "base/cleanup.h"

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
    struct audit *audit;
    struct audit_restorations restorations;
    struct audit_difference found;
};

static enum esign_rc compare_line(void *ctx, int64_t line, struct bytes note, struct fault *f)
{
    struct comparison *c = ctx;
    struct audit_head said;
    struct audit_head has;
    c->found.lines = line;
    if (audit_open_checkpoint(note, NULL, (struct bytes){0}, &said, NULL) ||
        audit_is_given_up(&c->restorations, line, said.size))
        return ESIGN_OK;
    enum esign_rc rc = audit_head_at(c->audit, said.size, &has, f);
    if (rc && rc != ESIGN_E_NOT_FOUND)
        return rc;
    bool same = !rc && bytes_equal(bytes_of(said.root, SHA256_LEN), bytes_of(has.root, SHA256_LEN));
    if (same && said.size > c->found.kept)
        c->found.kept = said.size;
    if (!same && said.size > c->found.lost.size)
        c->found.lost = said;
    return ESIGN_OK;
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
    struct comparison c = {.audit = a};
    enum esign_rc rc = audit_read_restorations(a->store, &c.restorations, f);
    if (rc)
        return rc;
    rc = audit_read_anchor(anchor_path, compare_line, &c, f);
    if (rc == ESIGN_E_NOT_FOUND)
        rc = keeps_checkpoints(a, &c.found.missing, f);
    if (!rc)
        *ret = c.found;
    return rc;
}
