/* What is sent back: a handler's JSON or text, or a fault as problem+json. */
#pragma once

#include "api/route.h"

/* Encode a handler's reply.  ESIGN_E_TOO_LARGE: over API_REPLY_MAX; ESIGN_E_INTERNAL: no memory.
 * ret: untouched on failure. */
enum esign_rc api_reply_encode(struct api_reply *reply, struct api_answer *ret,
                               struct fault *f) MUST_CHECK;

/* Release what a handler put into its reply. */
void api_reply_done(struct api_reply *reply);

/* A fault as application/problem+json.  status: HTTP status, 0: the one of the error table.  Never
 * fails: without memory the body is a fixed text.  Source: RFC 9457 section 3. */
void api_reply_fault(const struct fault *f, int status, struct api_answer *ret);
