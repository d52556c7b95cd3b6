/* The service manager's watchdog: it is told that the service lives only while its parts make
 * progress, each shown by something that a hanging part can't do. */
#pragma once

#include "listen/listen.h"
#include "site/site.h"

struct watchdog {
    const struct clock *clock;
    struct store *store;
    struct listen *listen;
    int listen_fd;       /* of which the probe asks the address; the server's */
    int64_t patience_ms; /* a part that shows no progress for so long hangs; 0: nobody watches */
    int probe_fd;        /* a request to our own socket, on its way; -1: none */
    uint64_t probe_requests; /* requests counted when it was sent */
    int64_t probe_due_ms;    /* when the next one is sent */
    int64_t answered_ms;     /* when the listener last answered one */
    bool stuck;              /* as logged */
};

/* Watch if the service manager asks for it (WATCHDOG_USEC, and WATCHDOG_PID where it is set, names
 * this process); patience is half of what it grants.  Everything is borrowed.
 * Source: sd_watchdog_enabled(3). */
void watchdog_start(struct watchdog *w, const struct clock *clock, struct store *store,
                    struct listen *listen, int listen_fd);

/* How long the caller may wait before the next turn, at most most_ms. */
int64_t watchdog_wait_ms(const struct watchdog *w, int64_t most_ms);

/* Look at the parts, never waiting for them, and tell the service manager if all make progress:
 * the store's writer has no group for too long and knows what is on
 * the disk; a request to our own socket was answered, through
 * accept thread, register, connection thread and router.  A refusal because all connections are
 * taken shows the accept thread alone: then some other request must have come in meanwhile. */
void watchdog_turn(struct watchdog *w);

/* Give up a probe that is on its way. */
void watchdog_stop(struct watchdog *w);
