/* What esign-document tells against what esignd itself recorded: the helper reads foreign bytes and
 * is not the last to say what a record or a signature is.  Source: 21 CFR 11.70; design 2. */
#pragma once

#include "base/bytes.h"
#include "base/json.h"

/* For a signature whose bytes are the recorded ones.  envelope: of its row; record_digest: SHA-256
 * of the record's bytes, empty if not given.  Whether the facts agree in the envelope and in the
 * record's digest; in any case the facts hold what was recorded afterwards ("envelope", "digest").
 */
bool verify_facts_settle(json_t *facts, json_t *envelope, struct bytes record_digest);
