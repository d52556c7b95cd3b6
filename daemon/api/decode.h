/* A request's body becomes checked members, a user id and a secret. */
#pragma once

#include "api/route.h"

enum { API_BODY_DEPTH_MAX = 16 }; /* objects and arrays inside one another */

/* Once at start, before the first JSON value of the process: from then on the memory of every JSON
 * value is overwritten when it is released, the parser's own copies included.
 * Source: 21 CFR 11.300; style section 3, rule 21. */
void api_decode_start(void);

/* Parse body by the row and fill request->body, user_id and password; "components" is taken out of
 * the body and overwritten.  An empty body counts as {}.  On failure nothing is left in request
 * that was not released.
 * ESIGN_E_PROTO (field: the member), ESIGN_E_TOO_LARGE, ESIGN_E_COMPONENTS_REQUIRED (reason
 * "first"), ESIGN_E_INTERNAL: no memory. */
enum esign_rc api_decode_body(const struct api_route *route, struct bytes body,
                              struct api_request *request, struct fault *f) MUST_CHECK;

/* Overwrite and release what api_decode_body put into request. */
void api_decode_done(struct api_request *request);

/* Whether the body's objects and arrays are at most API_BODY_DEPTH_MAX deep: asked before the
 * parser, which recurses. */
bool api_decode_is_flat(struct bytes body);
