/* A store that was put back: older than its anchor tells, or a copy that esignd once made.  Nothing
 * is signed with it before two officers have accepted what is lost.  Source: requirements 1.6 A6.
 */
#pragma once

#include "audit/restored.h"
#include "site/site.h"

struct site_restored {
    int64_t mark; /* of the copy that the store was and that nobody has accepted; 0: none */
    int64_t from; /* entries before this one were in the store that was put back */
    struct audit_difference anchor;
};

/* Look at store and anchor once, before requests are served.  Errors of audit_compare_anchor(). */
enum esign_rc site_find_restored(struct site *s, struct fault *f) MUST_CHECK;

/* Whether officers must accept the store first.  Cheap. */
bool site_waits(struct site *s);
/* What was found at the start; borrowed. */
const struct site_restored *site_restored(const struct site *s);
/* They have accepted it: it is written. */
void site_accept_restored(struct site *s);

/* What is lost, one line for people. */
enum { SITE_RESTORED_TEXT = 160 };
void site_restored_text(const struct site_restored *r, char ret[SITE_RESTORED_TEXT]);

/* What is lost, for status and entries: {"from", "lost"?: {"size", "root"}, "kept", "lines",
 * "mark"?, "detail"}; NULL: no memory. */
json_t *site_restored_json(const struct site_restored *r);
