/* What a signer is shown before a password is asked for. */
#pragma once

#include "cli/cli.h"

/* Get a ticket, check it (present_check()) and show it; refused if it is for another signer than
 * --as.  ret: owned by the caller, also set if a check fails. */
enum cli_exit present_fetch(struct cli *cli, const char *id, struct esign_result **ret);

/* Whether all that a signer must see is there and the ticket can still be signed or declined.
 * CLI_REFUSED with a message otherwise. */
enum cli_exit present_check(const struct cli *cli, const struct esign_result *ticket);

/* Show what a ticket asks the signer for: record, version, short hash, meaning, application.
 * Nothing of it is cut; text from outside can't pass for a row of its own. Source:
 * requirements 3.6; 21 CFR 11.50(a)(3). */
void present_ticket(const struct cli *cli, const struct esign_result *ticket);

/* Where people read while the reply may have standard output for itself (--json). */
FILE *present_out(const struct cli *cli);
