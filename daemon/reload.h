/* Reading the configuration again while the service runs. */
#pragma once

#include "listen/listen.h"
#include "site/site.h"

struct reload {
    const char *path;      /* of the file; borrowed, as all here */
    struct config *config; /* in force; changed here */
    struct site *site;
    struct listen *listen;
};

/* Note the configuration with which the service starts.  ESIGN_E_INTERNAL: no memory. */
enum esign_rc reload_start(const struct reload *r, struct fault *f) MUST_CHECK;

/* Read the file again and check it whole.  If it is sound and changes only what may change at run
 * time, that is entered in the audit trail and then in force; if not, everything stays as it is,
 * and log, status and audit trail say why.  The policy in force is not touched: two officers
 * change that.  Called by one thread. */
void reload_run(const struct reload *r);
