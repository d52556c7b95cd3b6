/* A request that must not be made twice: sent once more, under the same Idempotency-Key, when its
 * reply was lost. */
#pragma once

#include "cli/cli.h"

/* One call of the library under key.  cli->error as by that call. */
typedef enum esign_rc (*repeat_call)(struct cli *cli, const char *key, void *ctx);

/* Make the call under a new key and, if no whole reply came (not even a refusal), once more under
 * the same; that is said on stderr.  Returns what the last call did, but if that was not heard
 * (ESIGN_E_BUSY) what the first did: what became of the request is then not known. */
enum esign_rc repeat_lost(struct cli *cli, repeat_call call, void *ctx);
