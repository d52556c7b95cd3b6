/* The record of a failure: set once, at its origin, then passed on unchanged. */
#pragma once

#include "esign/error.h"

#include <stdbool.h>

/* What can fail returns this; the caller must look at it. */
#define MUST_CHECK __attribute__((warn_unused_result))

struct fault {
    enum esign_rc rc;
    char reason[32];     /* the word in brackets of requirements 0.2, such as "locked"; or empty */
    char field[64];      /* the member of the request that is at fault; or empty */
    char detail[200];    /* for a person: what is wrong and what to do; never a secret */
    unsigned long cause; /* CK_RV, errno or library code; 0: none */
    int retry_after_s;   /* when the same request may succeed; 0: not known */
};

/* Set f (may be NULL) and return rc, so that the origin reads `return fault_set(f, ESIGN_E_…, …)`.
 */
enum esign_rc fault_set(struct fault *f, enum esign_rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum esign_rc fault_field(struct fault *f, enum esign_rc rc, const char *field, const char *fmt,
                          ...) __attribute__((format(printf, 4, 5)));
enum esign_rc fault_reason(struct fault *f, enum esign_rc rc, const char *reason, const char *fmt,
                           ...) __attribute__((format(printf, 4, 5)));
/* With a cause from below (errno, CK_RV). */
enum esign_rc fault_cause(struct fault *f, enum esign_rc rc, unsigned long cause, const char *fmt,
                          ...) __attribute__((format(printf, 4, 5)));

/* As fault_reason, and when the same request may succeed. */
enum esign_rc fault_retry(struct fault *f, enum esign_rc rc, const char *reason, int retry_after_s,
                          const char *fmt, ...) __attribute__((format(printf, 5, 6)));

const char *fault_name(enum esign_rc rc); /* "E_PROTO"; "E_INTERNAL" for an unknown number */
int fault_http(enum esign_rc rc);         /* HTTP status */
bool fault_retryable(enum esign_rc rc);
const char *fault_text(enum esign_rc rc);      /* the text of the table */
enum esign_rc fault_by_name(const char *name); /* the reverse; ESIGN_E_INTERNAL if unknown */
