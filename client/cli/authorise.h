/* The signer's decision on a ticket that was shown. */
#pragma once

#include "cli/person.h"

enum { AUTHORISE_TRIES = 3 }; /* on a terminal; fewer than lock a signer */

/* Ask for the components and sign the ticket.  On a terminal wrong ones can be entered again,
 * AUTHORISE_TRIES times in all; what --password-fd gives is used once.  person: a user id that is
 * known is kept.  ret: the signature, owned by the caller.  On failure the message is printed and
 * cli->error is that of the last call. */
enum cli_exit authorise_ticket(struct cli *cli, const struct esign_result *ticket,
                               struct person *person, struct esign_result **ret);

/* After a refusal: whether the components are asked for again on the terminal, which is said.
 * tries: those that are left; what came too early, with a time to wait, is none. */
bool authorise_again(const struct cli *cli, enum esign_rc rc, int *tries);

/* What becomes of a ticket that this command made and that was not signed: it is cancelled, unless
 * it may be signed already or the same can succeed later; then that is said.
 * cli->error: why it was not signed, ESIGN_OK if nobody answered. */
void authorise_give_up(struct cli *cli, const struct esign_result *ticket);
