/* What a request for a signature is made from, and what is done with the signature. */
#pragma once

#include "cli/cli.h"

struct sign_request {
    struct esign_request request; /* borrows from the members below and from argv */
    struct cli_record record;
    struct buf file;
    char sha256[2 * SHA256_LEN + 1];
};

/* Read the file and the options of a request.  ret: sign_request_done() it, also after a failure.
 */
enum cli_exit sign_request_read(const struct cli *cli, struct sign_request *ret);
void sign_request_done(struct sign_request *request);

/* Whether a signature could be written to path; asked before the signer is asked for anything, as a
 * signature can't be taken back.  CLI_REFUSED with a message otherwise. */
enum cli_exit sign_check_out(const struct cli *cli, const char *path);

/* Tell about a new signature and write its CMS to path.  If that fails, say that it is signed and
 * how the file is got without signing again. */
enum cli_exit sign_finish(const struct cli *cli, const struct esign_result *signature,
                          const char *path);

/* Write the CMS of a signature to path. */
enum cli_exit sign_write(const struct cli *cli, const struct esign_result *signature,
                         const char *path);
