#include "result.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/json.h"

enum { RESULT_NAME_MAX = 64 };

struct esign_result {
    struct buf text;
    json_t *root; /* NULL: not JSON */
};

void esign_result_free(struct esign_result *result)
{
    if (!result)
        return;
    json_wipe(result->root); /* enrolment secrets come in replies */
    json_decref(result->root);
    buf_done(&result->text);
    free(result);
}

DEFINE_CLEANUP(struct esign_result *, esign_result_free)

enum esign_rc result_new(struct buf *body, bool is_json, struct esign_result **ret)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = calloc(1, sizeof(*result));

    if (!result || !buf_str(body))
        return ESIGN_E_INTERNAL;
    if (is_json) {
        enum esign_rc rc = json_parse_object(buf_bytes(body), &result->root, NULL);
        if (rc != ESIGN_OK)
            return rc;
    }
    result->text = *body;
    *body = (struct buf){0};
    *ret = TAKE(result);
    return ESIGN_OK;
}

bool result_take_string(struct esign_result *result, const char *name, char *ret, size_t size)
{
    json_t *value = json_object_get(result->root, name);
    size_t len = json_string_length(value);

    if (len == 0 || len >= size || strlen(json_string_value(value)) != len)
        return false;
    memcpy(ret, json_string_value(value), len + 1);
    json_wipe(value);
    (void)json_object_del(result->root, name); /* it is there */
    for (uint8_t *at = result->text.data;
         (at = memmem(at, result->text.len - (size_t)(at - result->text.data), ret, len));
         at += len)
        memset(at, '*', len);
    return true;
}

const char *esign_result_text(const struct esign_result *result, size_t *ret_len)
{
    if (ret_len)
        *ret_len = result->text.len;
    return (const char *)result->text.data;
}

/* An array index of decimal digits; SIZE_MAX: it is none. */
static size_t result_index(const char *name)
{
    size_t index = 0;

    if (!*name || strlen(name) > 9)
        return SIZE_MAX;
    for (; *name; name++) {
        if (*name < '0' || *name > '9')
            return SIZE_MAX;
        index = index * 10 + (size_t)(*name - '0');
    }
    return index;
}

static const json_t *result_at(const struct esign_result *result, const char *path)
{
    const json_t *value = result->root;
    char name[RESULT_NAME_MAX];

    while (value && *path) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof(name))
            return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        value = json_is_array(value) ? json_array_get(value, result_index(name))
                                     : json_object_get(value, name);
        path += path[len] == '.' ? len + 1 : len;
    }
    return value;
}

const char *esign_result_string(const struct esign_result *result, const char *path)
{
    return json_string_value(result_at(result, path));
}

int64_t esign_result_integer(const struct esign_result *result, const char *path, int64_t fallback)
{
    const json_t *value = result_at(result, path);

    return json_is_integer(value) ? (int64_t)json_integer_value(value) : fallback;
}

bool esign_result_flag(const struct esign_result *result, const char *path)
{
    return json_is_true(result_at(result, path));
}

size_t esign_result_count(const struct esign_result *result, const char *path)
{
    const json_t *value = result_at(result, path);

    return json_is_array(value) ? json_array_size(value) : json_object_size(value);
}

enum esign_rc esign_result_bytes(const struct esign_result *result, const char *path, void **ret,
                                 size_t *ret_len)
{
    const json_t *value = result_at(result, path);

    if (!json_is_string(value))
        return ESIGN_E_NOT_FOUND;
    CLEANUP(buf_done) struct buf bytes = buf_new(ESIGN_REPLY_MAX);
    enum esign_rc rc = decode_base64(json_string_value(value), json_string_length(value), &bytes);
    if (rc != ESIGN_OK)
        return rc == ESIGN_E_TOO_LARGE ? ESIGN_E_INTERNAL : rc;
    void *copy = malloc(bytes.len ? bytes.len : 1);
    if (!copy)
        return ESIGN_E_INTERNAL;
    if (bytes.len)
        memcpy(copy, bytes.data, bytes.len);
    *ret = copy;
    *ret_len = bytes.len;
    return ESIGN_OK;
}

void esign_free(void *data)
{
    free(data);
}
