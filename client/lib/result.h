/* What the daemon answered: the bytes, and their JSON tree where they are JSON. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "esign/client.h"

/* Make a result of a reply.  body: taken over (left empty) on success; is_json: parse it, it must
 * be one object.  ret: owned by the caller.  ESIGN_E_PROTO: not JSON; ESIGN_E_INTERNAL: no memory.
 */
enum esign_rc result_new(struct buf *body, bool is_json, struct esign_result **ret) MUST_CHECK;
