/* Percent-encoding and queries.  Source: RFC 3986 sections 2.1 and 3.4. */
#include <unistr.h>

#include "api/route.h"
#include "base/encode.h"

#define QUERY_NUMBER_MAX 9007199254740991ULL /* 2^53 - 1: exact in every language */

static int query_hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The next character of r, decoded; -1: malformed. */
static int query_next(struct bytes text, size_t *at, bool plus)
{
    uint8_t c = text.data[(*at)++];

    if (plus && c == '+')
        return ' ';
    if (c != '%')
        return c;
    if (text.len - *at < 2)
        return -1;
    int high = query_hex_digit(text.data[*at]), low = query_hex_digit(text.data[*at + 1]);
    if (high < 0 || low < 0)
        return -1;
    *at += 2;
    return high << 4 | low;
}

enum esign_rc api_percent_decode(struct bytes text, bool plus, char *ret, size_t size)
{
    size_t len = 0;

    for (size_t at = 0; at < text.len;) {
        int c = query_next(text, &at, plus);
        if (c < 0x20 || c == 0x7f)
            return ESIGN_E_PROTO;
        if (len + 1 >= size)
            return ESIGN_E_TOO_LARGE;
        ret[len++] = (char)c;
    }
    if (size == 0 || u8_check((const uint8_t *)ret, len))
        return ESIGN_E_PROTO;
    ret[len] = '\0';
    return ESIGN_OK;
}

static enum esign_rc query_number(const char *text, uint64_t max, int64_t *ret)
{
    uint64_t number = 0;

    if (!*text || (text[0] == '0' && text[1]))
        return ESIGN_E_PROTO;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return ESIGN_E_PROTO;
        number = number * 10 + (uint64_t)(*text - '0');
        if (number > max)
            return ESIGN_E_TOO_LARGE;
    }
    *ret = (int64_t)number;
    return ESIGN_OK;
}

static enum esign_rc query_value(const struct api_query_field *field, struct bytes text,
                                 struct api_query_value *ret, struct fault *f)
{
    uint64_t most = field->max;
    bool fits = false;
    enum esign_rc rc = api_percent_decode(text, true, ret->text, sizeof(ret->text));

    if (most == 0)
        most = field->type == API_QUERY_NUMBER ? QUERY_NUMBER_MAX : API_QUERY_VALUE_MAX;
    if (rc == ESIGN_OK) {
        switch (field->type) {
        case API_QUERY_ID:
            fits = text_is_id(ret->text, (size_t)most);
            break;
        case API_QUERY_LINE:
            fits = text_is_line(ret->text, (size_t)most);
            break;
        case API_QUERY_NUMBER:
            rc = query_number(ret->text, most, &ret->number);
            fits = rc == ESIGN_OK;
            break;
        }
    }
    if (rc == ESIGN_E_TOO_LARGE)
        return fault_field(f, rc, field->name, "the parameter is over its limit of %llu",
                           (unsigned long long)most);
    if (!fits)
        return fault_field(f, ESIGN_E_PROTO, field->name, "the parameter's value is malformed");
    ret->field = field;
    return ESIGN_OK;
}

static const struct api_query_field *query_find(const struct api_query_field *fields,
                                                size_t field_count, const char *name)
{
    for (size_t i = 0; i < field_count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

/* One name=value. */
static enum esign_rc query_pair(struct bytes pair, const struct api_query_field *fields,
                                size_t field_count, struct api_query *query, struct fault *f)
{
    char name[API_ID_MAX + 1];
    const uint8_t *equals = pair.len ? memchr(pair.data, '=', pair.len) : NULL;
    size_t name_len = equals ? (size_t)(equals - pair.data) : pair.len;

    if (api_percent_decode(bytes_of(pair.data, name_len), false, name, sizeof(name)) != ESIGN_OK ||
        !*name)
        return fault_set(f, ESIGN_E_PROTO, "a parameter's name is malformed");
    const struct api_query_field *field = query_find(fields, field_count, name);
    if (!field)
        return fault_field(f, ESIGN_E_PROTO, name, "the parameter is unknown here; remove it");
    if (!equals)
        return fault_field(f, ESIGN_E_PROTO, name, "the parameter has no value");
    if (api_query_text(query, name))
        return fault_field(f, ESIGN_E_PROTO, name, "the parameter is given twice");
    if (query->count == API_QUERY_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "at most %d parameters are taken", API_QUERY_MAX);
    enum esign_rc rc = query_value(field, bytes_of(equals + 1, pair.len - name_len - 1),
                                   &query->values[query->count], f);
    if (rc == ESIGN_OK)
        query->count++;
    return rc;
}

enum esign_rc api_query_parse(struct bytes text, const struct api_query_field *fields,
                              size_t field_count, struct api_query *ret, struct fault *f)
{
    struct api_query query = {0};

    while (text.len > 0) {
        const uint8_t *end = memchr(text.data, '&', text.len);
        size_t len = end ? (size_t)(end - text.data) : text.len;
        enum esign_rc rc = query_pair(bytes_of(text.data, len), fields, field_count, &query, f);
        if (rc != ESIGN_OK)
            return rc;
        if (end && len + 1 == text.len)
            return fault_set(f, ESIGN_E_PROTO, "the query ends with &");
        text = end ? bytes_of(end + 1, text.len - len - 1) : (struct bytes){0};
    }
    *ret = query;
    return ESIGN_OK;
}

static const struct api_query_value *query_get(const struct api_query *query, const char *name)
{
    for (size_t i = 0; i < query->count; i++)
        if (strcmp(query->values[i].field->name, name) == 0)
            return &query->values[i];
    return NULL;
}

const char *api_query_text(const struct api_query *query, const char *name)
{
    const struct api_query_value *value = query_get(query, name);

    return value ? value->text : NULL;
}

int64_t api_query_number(const struct api_query *query, const char *name, int64_t fallback)
{
    const struct api_query_value *value = query_get(query, name);

    return value ? value->number : fallback;
}
