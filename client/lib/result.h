/* What the daemon answered: the bytes, and their JSON tree where they are JSON. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "esign/client.h"

/* Make a result of a reply.  body: taken over (left empty) on success; is_json: parse it, it must
 * be one object.  ret: owned by the caller.  ESIGN_E_PROTO: not JSON; ESIGN_E_INTERNAL: no memory.
 */
enum esign_rc result_new(struct buf *body, bool is_json, struct esign_result **ret) MUST_CHECK;

/* Move the string member `name` of the reply's object into ret (size bytes): it is wiped from the
 * tree, where it is then missing, and overwritten with '*' in the text.  False: it is not there, is
 * empty or too long; nothing was changed. */
bool result_take_string(struct esign_result *result, const char *name, char *ret, size_t size);
