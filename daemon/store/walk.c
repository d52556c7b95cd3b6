/* All rows of a kind that have a member's value, in pages, so that no read lasts long. */
#include <stdio.h>

#include "base/cleanup.h"
#include "store/store_internal.h"

enum { WALK_PAGE = 200 };

/* One page from after on, which becomes its last id.  ret_full: there may be more. */
static enum esign_rc walk_page(struct store *s, const struct store_walk *walk,
                               char after[STORE_ID_MAX + 1], bool *ret_full, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *items = NULL;
    enum esign_rc rc = store_list(s, walk->kind, walk->member, walk->value, *after ? after : NULL,
                                  WALK_PAGE, &items, f);
    size_t count = rc == ESIGN_OK ? json_array_size(items) : 0;

    for (size_t i = 0; rc == ESIGN_OK && i < count; i++) {
        const json_t *item = json_array_get(items, i);
        const struct store_walked row = {json_str(item, "id"), json_object_get(item, "body"),
                                         json_int(item, "seq", -1)};
        (void)snprintf(after, STORE_ID_MAX + 1, "%s", row.id); /* as long as ids may be */
        if (walk->before < 0 || row.seq < walk->before)
            rc = walk->fn(walk->ctx, &row, f);
    }
    *ret_full = count == WALK_PAGE;
    return rc;
}

enum esign_rc store_walk(struct store *s, const struct store_walk *walk, struct fault *f)
{
    char after[STORE_ID_MAX + 1] = "";
    enum esign_rc rc = ESIGN_OK;

    for (bool full = true; rc == ESIGN_OK && full;)
        rc = walk_page(s, walk, after, &full, f);
    return rc;
}
