/* What the officers' commands share: requests that a second person approves, and acts with a
 * person's components. */
#pragma once

#include "cli/cli.h"

/* One JSON object from a file.  ret: owned by the caller. */
enum cli_exit register_read_object(const struct cli *cli, const char *path, json_t **ret);

/* POST body with the acting person's components and --reason.  body: taken over.  ret: as
 * cli_call. */
enum cli_exit register_post(struct cli *cli, const char *path, json_t *body,
                            struct esign_result **ret);

/* Ask for an action of two persons and say what comes next.  params: taken over. */
enum cli_exit register_ask(struct cli *cli, const char *action, json_t *params);

/* The two halves of the one-time secret and the new password as members of body. */
enum cli_exit register_take_halves(struct cli *cli, json_t *body);
