#include "verify/facts.h"

#include <string.h>

#include "base/encode.h"

/* "ok", "mismatch", or "unknown": no digest was given. */
static const char *facts_digest(const json_t *envelope, struct bytes record_digest)
{
    const char *recorded = json_str(envelope, "record.hash");
    char hex[2 * SHA256_LEN + 1];

    if (record_digest.len == 0)
        return "unknown";
    if (!recorded || record_digest.len != SHA256_LEN)
        return "mismatch";
    encode_hex(record_digest, hex);
    return strcmp(hex, recorded) == 0 ? "ok" : "mismatch";
}

bool verify_facts_settle(json_t *facts, json_t *envelope, struct bytes record_digest)
{
    const char *digest = facts_digest(envelope, record_digest), *told = json_str(facts, "digest");
    bool agree = told && strcmp(told, digest) == 0 &&
                 json_equal(json_object_get(facts, "envelope"), envelope);

    return json_object_set(facts, "envelope", envelope) == 0 &&
           json_object_set_new(facts, "digest", json_string(digest)) == 0 && agree;
}
