#include "site/restored.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "site/site_internal.h"
#include "store/snapshot.h"

enum { RESTORED_LOOK_BACK = 1000 /* entries */ };

/* Whether an entry is the start that found the store put back, and what was in it then. */
static enum esign_rc restored_is_start(struct site *s, int64_t seq, bool *ret_start,
                                       int64_t *ret_from, struct fault *f)
{
    CLEANUP(buf_done) struct buf bytes = buf_new(STORE_ENTRY_MAX);
    CLEANUP(json_decref_p) json_t *entry = NULL;
    enum esign_rc rc = store_entry(s->store, seq, &bytes, f);

    if (rc == ESIGN_OK)
        rc = json_parse_object(buf_bytes(&bytes), &entry, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *action = json_str(entry, "action");
    *ret_start = action && strcmp(action, "service.start") == 0;
    *ret_from = json_int(entry, "new.restored.from", -1);
    return ESIGN_OK;
}

/* The size of the store that was put back: starts since then have entered themselves and tell it;
 * without one it is as it was put. */
static enum esign_rc restored_find_from(struct site *s, int64_t *ret, struct fault *f)
{
    int64_t size = store_size(s->store);
    int64_t end = size > RESTORED_LOOK_BACK ? size - RESTORED_LOOK_BACK : 0;

    *ret = size;
    for (int64_t seq = size - 1; seq >= end; seq--) {
        bool start = false;
        int64_t from = -1;
        enum esign_rc rc = restored_is_start(s, seq, &start, &from, f);
        if (rc != ESIGN_OK)
            return rc;
        if (start && from >= 0)
            *ret = from;
        if (start)
            return ESIGN_OK;
    }
    return ESIGN_OK;
}

/* The mark of the store, 0 if it was accepted. */
static enum esign_rc restored_find_mark(struct site *s, int64_t *ret, struct fault *f)
{
    struct audit_restorations accepted;
    enum esign_rc rc = store_snapshot_mark(s->store, ret, f);

    if (rc == ESIGN_OK)
        rc = audit_read_restorations(s->store, &accepted, f);
    for (size_t i = 0; rc == ESIGN_OK && i < accepted.count; i++)
        if (accepted.items[i].mark == *ret)
            *ret = 0;
    return rc;
}

enum esign_rc site_find_restored(struct site *s, struct fault *f)
{
    struct site_restored *r = &s->restored;
    enum esign_rc rc =
        audit_compare_anchor(s->audit, config_str(s->config, "audit.anchor"), &r->anchor, f);

    if (rc == ESIGN_OK)
        rc = restored_find_mark(s, &r->mark, f);
    if (rc == ESIGN_OK)
        rc = restored_find_from(s, &r->from, f);
    if (rc == ESIGN_OK)
        atomic_store(&s->waits, r->mark > 0 || r->anchor.lost.size > 0 || r->anchor.missing);
    return rc;
}

bool site_waits(struct site *s)
{
    return atomic_load(&s->waits);
}

const struct site_restored *site_restored(const struct site *s)
{
    return &s->restored;
}

void site_accept_restored(struct site *s)
{
    atomic_store(&s->waits, false);
}

void site_restored_text(const struct site_restored *r, char ret[SITE_RESTORED_TEXT])
{
    long long from = r->from, lost = r->anchor.lost.size;

    if (lost > from)
        (void)snprintf(ret, SITE_RESTORED_TEXT,
                       "the store is older than its anchor: entries %lld to %lld are lost", from,
                       lost - 1);
    else if (lost > 0)
        (void)snprintf(ret, SITE_RESTORED_TEXT,
                       "the store is not the one of its anchor: other entries stand after %lld",
                       (long long)r->anchor.kept - 1);
    else if (r->anchor.missing)
        (void)snprintf(
            ret, SITE_RESTORED_TEXT,
            "the anchor file is missing or empty: nobody knows what was entered after %lld",
            from - 1);
    else
        (void)snprintf(ret, SITE_RESTORED_TEXT,
                       "the store is a backup: what was entered after %lld is lost", from - 1);
}

json_t *site_restored_json(const struct site_restored *r)
{
    char root[2 * SHA256_LEN + 1], text[SITE_RESTORED_TEXT];
    json_t *lost = NULL;

    encode_hex(bytes_of(r->anchor.lost.root, SHA256_LEN), root);
    site_restored_text(r, text);
    if (r->anchor.lost.size > 0)
        lost = json_pack("{s:I, s:s}", "size", (json_int_t)r->anchor.lost.size, "root", root);
    return json_pack("{s:I, s:I, s:I, s:I, s:s, s:o*}", "from", (json_int_t)r->from, "kept",
                     (json_int_t)r->anchor.kept, "lines", (json_int_t)r->anchor.lines, "mark",
                     (json_int_t)r->mark, "detail", text, "lost", lost);
}
