/* A store that was put back: what the anchor says of it, and which restorations were accepted.
 *
 * A row "restoration" is made when two officers accept that entries are lost: its members lines and
 * kept say which lines of the anchor file are of the branch that was given up. */
#pragma once

#include "audit/audit.h"

enum { AUDIT_RESTORATIONS_MAX = 100 };

/* The restorations that the trail has accepted. */
struct audit_restorations {
    size_t count;
    struct {
        int64_t lines; /* of the anchor file at that time */
        int64_t kept;  /* the largest checkpoint of them that the trail still gave */
        int64_t mark;  /* of the snapshot that was put back; 0: it was none */
    } items[AUDIT_RESTORATIONS_MAX];
};

/* Read them.  Errors of store_list(); ESIGN_E_TOO_LARGE: more than AUDIT_RESTORATIONS_MAX. */
enum esign_rc audit_read_restorations(struct store *store, struct audit_restorations *ret,
                                      struct fault *f) MUST_CHECK;

/* Whether a checkpoint of that size on that line (from 1) of the anchor file belongs to a branch
 * that was given up.  Pure. */
bool audit_is_given_up(const struct audit_restorations *r, int64_t line, int64_t size);

/* How the anchor file and the trail differ. */
struct audit_difference {
    int64_t lines;          /* in the file; 0: none, or no file */
    int64_t kept;           /* size of the largest checkpoint that the trail gives; 0: none */
    struct audit_head lost; /* the largest that it does not give; size 0: it gives all */
    bool missing;           /* the store keeps checkpoints, the file has none, or is not there */
};

/* Compare the checkpoints of the anchor file that were not given up with the trail, the newest
 * thousand, and further back until one agrees: their roots, not their signatures, since who can
 * write a false line can remove a true one, too.  Older and malformed lines are left to
 * audit_verify().  Reads the whole file.  Source: requirements 1.6 A6.
 * ESIGN_E_AUDIT_UNAVAILABLE; errors of audit_read_restorations() and of the store. */
enum esign_rc audit_compare_anchor(struct audit *a, const char *anchor_path,
                                   struct audit_difference *ret, struct fault *f) MUST_CHECK;
