/* The tokens of a configuration without the daemon: made, or asked by their own program. */
#pragma once

#include "cli/cli.h"

/* Make the token of that name: PIN files NAME.pin and NAME.so-pin (new ones unless both are there),
 * then `esign-token --init` as the token's user.  A new pair keeps the suffix ".new" until the
 * token is made, so that NAME.pin always is the PIN of a token that exists.  Needs root, except
 * where the configuration says separation = "none". */
enum cli_exit tokens_make(struct cli *cli, const char *name);

/* tokens_make() for every token of the configuration without a PIN file.  ret_count: how many were
 * made.  Without --config and without the right to do it: none, CLI_DONE. */
enum cli_exit tokens_make_missing(struct cli *cli, unsigned *ret_count);

/* Run esign-token for the token of that name with these words (at most ten, NULL at the end), as
 * its user and with its PIN file if there is one (else the configuration's pin_file counts); a PIN
 * that the token's service knows as refused is not sent.  ret: its standard output, as much as
 * fits.  Its errors are on standard error. */
enum cli_exit tokens_ask(struct cli *cli, const char *name, const char *const *words,
                         struct buf *ret);

/* The same where it prints one JSON object.  ret: owned by the caller. */
enum cli_exit tokens_report(struct cli *cli, const char *name, const char *const *words,
                            json_t **ret);

/* Print such a report with --json. */
enum cli_exit tokens_print_json(const struct cli *cli, const json_t *report);

/* Whether the daemon runs and has a token of that name. */
bool tokens_in_use(struct cli *cli, const char *name);
