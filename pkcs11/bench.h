/* esign-token --bench: how many signatures a token makes, by algorithm and number of workers. */
#pragma once

#include "config/config.h"
#include "pkcs11/token.h"

#include <jansson.h>

enum { PKCS11_BENCH_COUNTS_MAX = 8, PKCS11_BENCH_WORKERS_MAX = 32, PKCS11_BENCH_SECONDS_MAX = 60 };

struct pkcs11_bench_options {
    bool in_use;                    /* as of struct pkcs11_probe_options */
    unsigned seconds;               /* of one measurement: 1 to PKCS11_BENCH_SECONDS_MAX */
    enum token_algorithm algorithm; /* 0: P-256 and RSA-3072 */
    size_t count;                   /* of numbers of workers */
    unsigned workers[PKCS11_BENCH_COUNTS_MAX]; /* each 1 to PKCS11_BENCH_WORKERS_MAX */
};

/* Read "1,2,4" into options->workers.  ESIGN_E_POLICY: no such list. */
enum esign_rc pkcs11_bench_workers(const char *text, struct pkcs11_bench_options *options,
                                   struct fault *f) MUST_CHECK;

/* Make keys of the probe's label, sign with C_SignInit and C_Sign in so many processes with a
 * session each, and clean up.  Where the token is in use as pkcs11_probe_test() does.  config:
 * changed for the copy.  ret: the report, owned by the caller.  Blocks for seconds times
 * measurements, and bounded beyond.  ESIGN_E_HSM: the token can't sign or stops to;
 * ESIGN_E_INTERNAL. */
enum esign_rc pkcs11_bench(struct config *config, size_t index,
                           const struct pkcs11_bench_options *options, json_t **ret,
                           struct fault *f) MUST_CHECK;
