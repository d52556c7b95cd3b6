#include "cli/repeat.h"

#include <string.h>

#include "base/encode.h"
#include "cli/hold.h"

enum { REPEAT_KEY_LEN = 16 }; /* random bytes */

/* Whether the request may have been worked on although nothing is known of it. */
static bool repeat_is_lost(const struct esign_error *error, enum esign_rc rc)
{
    const char *reason = esign_error_reason(error);

    return (rc == ESIGN_E_PEER_DENIED && strcmp(reason, "closed") == 0) ||
           (rc == ESIGN_E_DEADLINE && strcmp(reason, "no_answer") == 0) ||
           (rc == ESIGN_E_PROTO && strcmp(reason, "reply") == 0);
}

enum esign_rc repeat_lost(struct cli *cli, repeat_call call, void *ctx)
{
    uint8_t random[REPEAT_KEY_LEN];
    char key[2 * REPEAT_KEY_LEN + 1];

    bytes_random(random, sizeof(random));
    encode_hex(bytes_of(random, sizeof(random)), key);
    enum esign_rc rc = call(cli, key, ctx);
    struct esign_error *first = cli->error;
    if (!repeat_is_lost(first, rc) || hold_is_ended())
        return rc;
    (void)fputs("esign: no answer came; asking once more, which makes nothing twice\n", stderr);
    cli->error = esign_error_new(); /* NULL is accepted */
    enum esign_rc again = call(cli, key, ctx);
    if (again == ESIGN_E_BUSY) {
        esign_error_free(cli->error);
        cli->error = first;
        return rc;
    }
    esign_error_free(first);
    return again;
}
