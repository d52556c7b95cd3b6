#include "store/told.h"

#include "store/entry.h"

#include <inttypes.h>

/* Text that remains, and what is looked for in it. */
struct scan {
    const uint8_t *at, *end;
    int64_t seq;
    enum esign_rc (*fn)(void *ctx, const char *key);
    void *ctx;
};

typedef enum esign_rc (*member_fn)(struct scan *s, struct bytes name);

static bool take(struct scan *s, uint8_t c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* A string; ret: what stands between the quotes, not unescaped. */
static bool take_string(struct scan *s, struct bytes *ret)
{
    if (!take(s, '"'))
        return false;
    const uint8_t *from = s->at;
    while (s->at < s->end && *s->at != '"')
        s->at += *s->at == '\\' && s->end - s->at > 1 ? 2 : 1;
    *ret = bytes_of(from, (size_t)(s->at - from));
    return take(s, '"');
}

/* Any value; ret: its text. */
static bool take_value(struct scan *s, struct bytes *ret)
{
    const uint8_t *from = s->at;
    struct bytes string;
    int depth = 0;
    while (s->at < s->end) {
        uint8_t c = *s->at;
        if (depth == 0 && (c == ',' || c == '}'))
            break;
        if (c == '"') {
            if (!take_string(s, &string))
                return false;
            continue;
        }
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        s->at++;
    }
    *ret = bytes_of(from, (size_t)(s->at - from));
    return ret->len > 0 && depth == 0;
}

/* The members of an object; fn takes the value of each. */
static enum esign_rc each_member(struct scan *s, member_fn fn)
{
    struct bytes name;
    if (!take(s, '{'))
        return ESIGN_E_FORMAT;
    if (take(s, '}'))
        return ESIGN_OK;
    do {
        if (!take_string(s, &name) || !take(s, ':'))
            return ESIGN_E_FORMAT;
        enum esign_rc rc = fn(s, name);
        if (rc)
            return rc;
    } while (take(s, ','));
    return take(s, '}') ? ESIGN_OK : ESIGN_E_FORMAT;
}

/* Keys need no escapes: kinds and ids are plain words. */
static enum esign_rc told_row(struct scan *s, struct bytes name)
{
    char key[STORE_KEY_SIZE];
    struct bytes value;
    if (name.len >= sizeof key || !take_value(s, &value))
        return ESIGN_E_FORMAT;
    memcpy(key, name.data, name.len);
    key[name.len] = '\0';
    return s->fn(s->ctx, key);
}

static enum esign_rc told_member(struct scan *s, struct bytes name)
{
    struct bytes value;
    char seq[24];
    if (bytes_equal(name, bytes_of_str("rows")))
        return each_member(s, told_row);
    if (!take_value(s, &value))
        return ESIGN_E_FORMAT;
    if (!bytes_equal(name, bytes_of_str("seq")))
        return ESIGN_OK;
    (void)snprintf(seq, sizeof seq, "%" PRId64, s->seq); /* fits */
    return bytes_equal(value, bytes_of_str(seq)) ? ESIGN_OK : ESIGN_E_FORMAT;
}

enum esign_rc store_told_rows(struct bytes entry, int64_t seq,
                              enum esign_rc (*fn)(void *ctx, const char *key), void *ctx)
{
    struct scan s = {entry.data, entry.data + entry.len, seq, fn, ctx};
    enum esign_rc rc = each_member(&s, told_member);
    return !rc && s.at != s.end ? ESIGN_E_FORMAT : rc;
}
