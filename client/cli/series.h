/* Several signings of one person, in one session of the daemon. */
#pragma once

#include "cli/person.h"

struct series {
    struct cli *cli;
    bool alone;                    /* no session: all components for each */
    struct person person;          /* of the last question */
    struct esign_session *session; /* NULL: none is open */
    bool started;                  /* it has had its first signing */
    bool whole;                    /* the policy wants all components at each signing */
};

/* Sign a ticket that was shown: with all components where a session has to be opened or has had no
 * signing yet, else with the password alone.  A session that is over is no failure: all components
 * are asked for again.  Mistyped ones can be entered again as in authorise_ticket().
 * ret: the signature, owned by the caller. */
enum cli_exit series_sign(struct series *series, const struct esign_result *ticket,
                          struct esign_result **ret);

/* Close the session, at the daemon too, and wipe. */
void series_done(struct series *series);
