/* What waits in memory for an answer from outside, bounded in all and for each owner.  Who takes
 * something out has it alone.  Any thread. */
#pragma once

#include "base/fault.h"

#include <stdint.h>

struct waiting;

enum { WAITING_MAX = 256, WAITING_OWNER_MAX = 4, WAITING_NAME_MAX = 64 };

struct waiting *waiting_new(void);    /* NULL: no memory */
void waiting_free(struct waiting *w); /* NULL is allowed; nothing may be kept */

/* Keep room for id, which belongs to owner.  ESIGN_E_BUSY: there is none; ESIGN_E_CONFLICT: id
 * waits already. */
enum esign_rc waiting_reserve(struct waiting *w, const char *id, const char *owner,
                              struct fault *f) MUST_CHECK;
/* Put what waits into the room that was kept, until a monotonic time. */
void waiting_put(struct waiting *w, const char *id, void *what, int64_t until_ms);
/* Give the room back, if nothing was put there. */
void waiting_release(struct waiting *w, const char *id);

/* Take id out if fits(what, ctx).  NULL: it does not wait, or does not fit; *ret_is_there says
 * which. */
void *waiting_take(struct waiting *w, const char *id, bool (*fits)(const void *what, void *ctx),
                   void *ctx, bool *ret_is_there);
/* Take one out whose time is over at now_ms (INT64_MAX: any); NULL: none. */
void *waiting_take_due(struct waiting *w, int64_t now_ms);
