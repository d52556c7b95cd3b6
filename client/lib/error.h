/* The error object: set once by the call that fails. */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"
#include "esign/client.h"

enum { ERROR_NAME_MAX = 40, ERROR_REASON_MAX = 40, ERROR_FIELD_MAX = 80, ERROR_DETAIL_MAX = 400 };

struct esign_error {
    enum esign_rc code;
    char name[ERROR_NAME_MAX];
    char reason[ERROR_REASON_MAX];
    char field[ERROR_FIELD_MAX];
    char detail[ERROR_DETAIL_MAX];
    bool retryable;
    int retry_after_s; /* 0: not told */
};

/* Forget what an earlier call left.  error: may be NULL. */
void error_clear(struct esign_error *error);

/* A failure found in the library.  reason: "" for none; error: may be NULL.  Returns code. */
enum esign_rc error_set(struct esign_error *error, enum esign_rc code, const char *reason,
                        const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* A failure that the daemon named in a problem+json body.  http_status: of the reply, used in the
 * text when the body is not a problem.  Returns its number: ESIGN_E_INTERNAL for a name that is not
 * in our table, ESIGN_E_PROTO (reason "reply") for a body that is not a problem.
 * Source: RFC 9457 section 3. */
enum esign_rc error_from_problem(struct esign_error *error, struct bytes body, long http_status);
