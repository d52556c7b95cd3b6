#include "base/json.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"

#define JSON_INTEGER_MAX 9007199254740991LL /* 2^53 - 1: exact in every language */

enum { JSON_DEPTH_MAX = 32 };

/* The library's own text may quote the input, which may be a password: only the name of a member
 * that stands twice is taken from it. */
static enum esign_rc json_refused(const json_error_t *error, struct fault *f)
{
    char name[48] = "";
    const char *start = strstr(error->text, "near '\"");
    const char *end = start ? strchr(start + 7, '"') : NULL;

    if (json_error_code(error) != json_error_duplicate_key)
        return fault_set(f, ESIGN_E_PROTO, "not JSON (line %d, column %d)", error->line,
                         error->column);
    if (end && (size_t)(end - start - 7) < sizeof(name))
        memcpy(name, start + 7, (size_t)(end - start - 7));
    return fault_field(f, ESIGN_E_PROTO, text_is_id(name, sizeof(name) - 1) ? name : "",
                       "a member stands twice in one object");
}

enum esign_rc json_parse_object(struct bytes text, json_t **ret, struct fault *f)
{
    json_error_t error;
    json_t *value = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);

    if (!value)
        return json_refused(&error, f);
    if (!json_is_object(value)) {
        json_decref(value);
        return fault_set(f, ESIGN_E_PROTO, "a JSON object is expected");
    }
    *ret = value;
    return ESIGN_OK;
}

static void json_put_escaped(unsigned char c, struct buf *out)
{
    static const char plain[] = "\b\t\n\f\r\"\\", names[] = "btnfr\"\\";
    const char *at = c ? strchr(plain, c) : NULL;

    if (at) {
        buf_put_u8(out, '\\');
        buf_put_u8(out, (uint8_t)names[at - plain]);
    } else {
        buf_put_fmt(out, "\\u%04x", c);
    }
}

/* Whether one of eight bytes is a control character, a quotation mark or a backslash: all at once,
 * each in its byte of a word.  May say yes for what follows such a byte, never no. */
static bool json_has_escaped(const char *eight)
{
    static const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    uint64_t word;

    memcpy(&word, eight, sizeof(word));
    uint64_t quotes = word ^ ones * '"', backslashes = word ^ ones * '\\';
    return (((word - ones * 0x20) & ~word) | ((quotes - ones) & ~quotes) |
            ((backslashes - ones) & ~backslashes)) &
           highs;
}

/* What needs no escape is copied in one piece. */
static void json_put_string(const char *s, size_t len, struct buf *out)
{
    size_t start = 0;

    buf_put_u8(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (len - i >= sizeof(uint64_t) && !json_has_escaped(s + i)) {
            i += sizeof(uint64_t) - 1;
            continue;
        }
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_put(out, bytes_of(s + start, i - start));
        json_put_escaped(c, out);
        start = i + 1;
    }
    buf_put(out, bytes_of(s + start, len - start));
    buf_put_u8(out, '"');
}

static void json_put_integer(int64_t value, struct buf *out)
{
    char digits[20];
    size_t at = sizeof(digits);

    if (value < 0)
        buf_put_u8(out, '-');
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        digits[--at] = (char)('0' + left % 10);
    while (left /= 10);
    buf_put(out, bytes_of(digits + at, sizeof(digits) - at));
}

struct json_member {
    const char *name;
    const json_t *value;
};

/* Objects of more members are rare: their table is allocated. */
enum { JSON_MEMBERS_FEW = 32 };

/* By insertion: few, and often in order already. */
static void json_sort_members(struct json_member *members, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct json_member member = members[i];
        size_t at = i;
        for (; at > 0 && strcmp(members[at - 1].name, member.name) > 0; at--)
            members[at] = members[at - 1];
        members[at] = member;
    }
}

static int json_compare_members(const void *a, const void *b)
{
    return strcmp(((const struct json_member *)a)->name, ((const struct json_member *)b)->name);
}

static bool json_is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80)
            return false;
    return true;
}

static enum esign_rc json_put(const json_t *value, struct buf *out, int depth);

static enum esign_rc json_put_members(const struct json_member *members, size_t count,
                                      struct buf *out, int depth)
{
    buf_put_u8(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put_u8(out, ',');
        json_put_string(members[i].name, strlen(members[i].name), out);
        buf_put_u8(out, ':');
        enum esign_rc rc = json_put(members[i].value, out, depth + 1);
        if (rc != ESIGN_OK)
            return rc;
    }
    buf_put_u8(out, '}');
    return ESIGN_OK;
}

static enum esign_rc json_put_object(const json_t *object, struct buf *out, int depth)
{
    size_t count = json_object_size(object), i = 0;
    struct json_member few[JSON_MEMBERS_FEW];
    CLEANUP(free_p)
    struct json_member *many = count > JSON_MEMBERS_FEW ? calloc(count, sizeof(*many)) : NULL;
    struct json_member *members = count > JSON_MEMBERS_FEW ? many : few;

    if (!members)
        return ESIGN_E_TOO_LARGE;
    /* jansson's iterators take a non-const object but do not change it */
    json_t *borrowed = (json_t *)(uintptr_t)object;
    for (void *at = json_object_iter(borrowed); at; at = json_object_iter_next(borrowed, at)) {
        members[i] = (struct json_member){json_object_iter_key(at), json_object_iter_value(at)};
        if (!json_is_ascii(members[i++].name))
            return ESIGN_E_PROTO;
    }
    if (count > JSON_MEMBERS_FEW)
        qsort(members, count, sizeof(*members), json_compare_members);
    else
        json_sort_members(members, count);
    return json_put_members(members, count, out, depth);
}

static enum esign_rc json_put_array(const json_t *array, struct buf *out, int depth)
{
    buf_put_u8(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            buf_put_u8(out, ',');
        enum esign_rc rc = json_put(json_array_get(array, i), out, depth + 1);
        if (rc != ESIGN_OK)
            return rc;
    }
    buf_put_u8(out, ']');
    return ESIGN_OK;
}

static enum esign_rc json_put(const json_t *value, struct buf *out, int depth)
{
    if (depth > JSON_DEPTH_MAX || !value)
        return ESIGN_E_PROTO;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return json_put_object(value, out, depth);
    case JSON_ARRAY:
        return json_put_array(value, out, depth);
    case JSON_STRING:
        json_put_string(json_string_value(value), json_string_length(value), out);
        return ESIGN_OK;
    case JSON_INTEGER:
        if (json_integer_value(value) > JSON_INTEGER_MAX ||
            json_integer_value(value) < -JSON_INTEGER_MAX)
            return ESIGN_E_PROTO;
        json_put_integer(json_integer_value(value), out);
        return ESIGN_OK;
    case JSON_TRUE:
        buf_put_str(out, "true");
        return ESIGN_OK;
    case JSON_FALSE:
        buf_put_str(out, "false");
        return ESIGN_OK;
    case JSON_REAL:
    case JSON_NULL:
        return ESIGN_E_PROTO;
    }
    return ESIGN_E_PROTO;
}

enum esign_rc json_canonical(const json_t *value, struct buf *out)
{
    enum esign_rc rc = json_put(value, out, 0);

    return rc == ESIGN_OK && !buf_ok(out) ? ESIGN_E_TOO_LARGE : rc;
}

enum esign_rc json_hash(const json_t *value, uint8_t ret[SHA256_LEN])
{
    CLEANUP(buf_done) struct buf text = buf_new(16 * 1024 * 1024);
    enum esign_rc rc = json_canonical(value, &text);

    if (rc == ESIGN_OK)
        bytes_sha256(buf_bytes(&text), (struct bytes){0}, ret);
    return rc;
}

void json_wipe(json_t *value)
{
    if (json_is_string(value)) {
        /* jansson owns this memory and gives no call to overwrite it */
        explicit_bzero((void *)(uintptr_t)json_string_value(value), json_string_length(value));
    } else if (json_is_object(value)) {
        for (void *at = json_object_iter(value); at; at = json_object_iter_next(value, at))
            json_wipe(json_object_iter_value(at));
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            json_wipe(json_array_get(value, i));
    }
}

/* The value at a path of member names joined by dots, or NULL. */
static const json_t *json_at(const json_t *object, const char *path)
{
    char name[64];

    while (object && *path) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof(name))
            return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        object = json_object_get(object, name);
        path += path[len] == '.' ? len + 1 : len;
    }
    return object;
}

const char *json_str(const json_t *object, const char *path)
{
    return json_string_value(json_at(object, path));
}

int64_t json_int(const json_t *object, const char *path, int64_t fallback)
{
    const json_t *value = json_at(object, path);

    return json_is_integer(value) ? (int64_t)json_integer_value(value) : fallback;
}

bool json_flag(const json_t *object, const char *path)
{
    return json_is_true(json_at(object, path));
}

static const struct json_field *json_find(const struct json_field *fields, size_t count,
                                          const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static const char *json_path(const char *prefix, const char *name, char *ret, size_t size)
{
    (void)snprintf(ret, size, "%s%s%.40s", prefix, *prefix ? "." : "",
                   name); /* a cut name is clear */
    return ret;
}

static enum esign_rc json_check_value(const json_t *value, const struct json_field *field,
                                      const char *path, struct fault *f)
{
    static const char *const names[] = {"a string", "an integer", "true or false", "an object",
                                        "an array"};
    bool fits = false;
    size_t size = 0;

    switch (field->type) {
    case JSON_FIELD_STR:
        fits =
            json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
        size = json_string_length(value);
        break;
    case JSON_FIELD_INT:
        fits = json_is_integer(value) && json_integer_value(value) >= 0 &&
               json_integer_value(value) <= JSON_INTEGER_MAX;
        size = fits ? (size_t)json_integer_value(value) : 0;
        break;
    case JSON_FIELD_BOOL:
        fits = json_is_boolean(value);
        break;
    case JSON_FIELD_OBJECT:
        fits = json_is_object(value);
        break;
    case JSON_FIELD_ARRAY:
        fits = json_is_array(value);
        size = json_array_size(value);
        break;
    }
    if (!fits)
        return fault_field(f, ESIGN_E_PROTO, path, "%s must be %s", path, names[field->type]);
    if (field->max > 0 && size > field->max)
        return fault_field(f, ESIGN_E_TOO_LARGE, path, "%s is over its limit of %zu", path,
                           field->max);
    return ESIGN_OK;
}

enum esign_rc json_check(const json_t *object, const char *prefix, const struct json_field *fields,
                         size_t field_count, struct fault *f)
{
    char path[128];

    if (!json_is_object(object))
        return fault_field(f, ESIGN_E_PROTO, prefix, "%s must be an object",
                           *prefix ? prefix : "the body");
    json_t *borrowed = (json_t *)(uintptr_t)object; /* iterators do not change it */
    for (void *at = json_object_iter(borrowed); at; at = json_object_iter_next(borrowed, at)) {
        const char *name = json_object_iter_key(at);
        const struct json_field *field = json_find(fields, field_count, name);
        if (!field)
            return fault_field(f, ESIGN_E_PROTO, json_path(prefix, name, path, sizeof(path)),
                               "the member is unknown here; remove it");
        enum esign_rc rc = json_check_value(json_object_iter_value(at), field,
                                            json_path(prefix, name, path, sizeof(path)), f);
        if (rc != ESIGN_OK)
            return rc;
    }
    for (size_t i = 0; i < field_count; i++)
        if (fields[i].required && !json_object_get(object, fields[i].name))
            return fault_field(f, ESIGN_E_PROTO,
                               json_path(prefix, fields[i].name, path, sizeof(path)),
                               "the member is missing");
    return ESIGN_OK;
}
