/* The store of a backup, checked by `esignd --check` on a working copy. */
#pragma once

#include "cli/cli.h"

/* Compare directory with its manifest, then check the trail in its store, as the user esignd (else
 * nobody) where this is root.  ret: the manifest, owned by the caller.  CLI_REFUSED with a
 * message. */
enum cli_exit backup_check(const struct cli *cli, const char *directory, json_t **ret);
