/* What the HTTP library lets through and we do not: ambiguous framing above all.
 *
 * libmicrohttpd before 1.0.10 answers requests with two lengths, two hosts or a length beside
 * chunks; two readers of one request must never see two different ones.
 * Source: RFC 9112 sections 2.2, 3.2, 5, 6.1, 6.3, 11.2. */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

enum { GUARD_HEADERS_MAX = 64, GUARD_METHOD_MAX = 16, GUARD_VALUE_MAX = 8192 };

struct guard_header {
    struct bytes name, value; /* as sent, white space around the value removed */
};

struct guard_head {
    const char *method, *version;
    const char *target; /* as sent, nothing decoded */
    const struct guard_header *headers;
    size_t header_count;
};

/* How the body is framed. */
struct guard_framing {
    bool chunked;
    int64_t length; /* of Content-Length; 0 without one */
};

/* Check a request's head.  ESIGN_E_PROTO: malformed or ambiguous; ESIGN_E_UNSUPPORTED: a coding or
 * version that is not offered; ESIGN_E_TOO_LARGE.  The connection is closed after a refusal. */
enum esign_rc listen_guard(const struct guard_head *head, struct guard_framing *ret,
                           struct fault *f) MUST_CHECK;

/* Whether a library of this version ("0.9.75") decides framing soundly on its own: from 1.0.10. */
bool listen_guard_version_is_sound(const char *version);
