/* Strict JSON in, canonical JSON out, and request bodies as tables.
 *
 * Canonical JSON is RFC 8785 restricted to objects, arrays, strings, booleans and integers of
 * magnitude below 2^53; member names are ASCII. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

#include <jansson.h>

/* Parse one object; duplicate names, trailing text, other top-level values are refused.
 * ESIGN_E_PROTO.  ret: owned by the caller. */
enum esign_rc json_parse_object(struct bytes text, json_t **ret, struct fault *f) MUST_CHECK;

/* Append the canonical form of value to out.  ESIGN_E_PROTO: a real number, null, an integer out of
 * range or a name that is not ASCII; ESIGN_E_TOO_LARGE: out is full. */
enum esign_rc json_canonical(const json_t *value, struct buf *out) MUST_CHECK;

/* SHA-256 of the canonical form.  As json_canonical. */
enum esign_rc json_hash(const json_t *value, uint8_t ret[SHA256_LEN]) MUST_CHECK;

/* Overwrite every string below value before it is released: bodies that carried components. */
void json_wipe(json_t *value);

/* The string member of an object by path ("record.id"), or NULL.  Borrowed. */
const char *json_str(const json_t *object, const char *path);
/* The integer member by path, or fallback. */
int64_t json_int(const json_t *object, const char *path, int64_t fallback);
bool json_flag(const json_t *object, const char *path); /* a member that is true */

enum json_field_type {
    JSON_FIELD_STR,
    JSON_FIELD_INT,
    JSON_FIELD_BOOL,
    JSON_FIELD_OBJECT,
    JSON_FIELD_ARRAY
};

struct json_field {
    const char *name;
    enum json_field_type type;
    bool required;
    size_t max; /* bytes of a string, members of an array, largest integer; 0: no limit */
};

/* Check that object has exactly these members: wrong types, unknown and missing ones are refused by
 * name (prefix is put before the name in f->field, "" for none).  ESIGN_E_PROTO, ESIGN_E_TOO_LARGE.
 */
enum esign_rc json_check(const json_t *object, const char *prefix, const struct json_field *fields,
                         size_t field_count, struct fault *f) MUST_CHECK;
