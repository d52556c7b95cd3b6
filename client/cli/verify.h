/* A signature under examination: what both ways of judging it need, and what is said of it. */
#pragma once

#include "cli/cli.h"

struct verify_input {
    struct buf signature;
    bool has_record;            /* the record's bytes were given */
    uint8_t digest[SHA256_LEN]; /* of the record */
    char sha256[2 * SHA256_LEN + 1];
    struct cli_record record; /* type NULL: --record was not given */
};

/* Judge without a daemon: at most "INDETERMINATE" unless a proof of membership in the audit trail
 * was given.  ret: the verdict with the members of the reply of POST /v1/validations, owned by the
 * caller.  On anything but CLI_DONE there is no verdict and the cause is printed.
 * Source: ETSI EN 319 102-1; requirements 0.2. */
enum cli_exit verify_offline(struct cli *cli, const struct verify_input *input, json_t **ret);

/* Whether a proof shows that the signature's entry is in the audit trail: "member", as struct
 * document_context wants it, or NULL: it does not, and ret_detail says why.  A proof that is
 * damaged or of another signature says nothing against this one.  cms: the signature; proof: the
 * reply of /v1/signatures/{id}/proof; spki: the log's key, DER. Source: RFC 6962 section 2.1.1;
 * C2SP tlog-proof. */
const char *verify_membership(struct bytes cms, const json_t *proof, struct bytes spki,
                              struct fault *ret_detail);

/* The DER in the first, or after the first each following, PEM block of that label ("CERTIFICATE"):
 * appended to ret.  at: where to look; moved behind the block.  false: there is no (further) usable
 * one.  Source: RFC 7468 section 2. */
bool verify_pem_next(const char **at, const char *label, struct buf *ret);
