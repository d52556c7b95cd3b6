#include "api/decode.h"

#include <malloc.h>

#include "base/cleanup.h"
#include "base/encode.h"

static void decode_free(void *memory)
{
    if (memory)
        secret_wipe(memory, malloc_usable_size(memory));
    free(memory);
}

void api_decode_start(void)
{
    json_set_alloc_funcs(malloc, decode_free);
}

bool api_decode_is_flat(struct bytes body)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < body.len; i++) {
        uint8_t c = body.data[i];
        if (in_string && c == '\\')
            i++; /* what is escaped can't end the string */
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
        if (depth > API_BODY_DEPTH_MAX)
            return false;
    }
    return true;
}

/* The depth is asked for first: the parser recurses. */
static enum esign_rc decode_parse(struct bytes body, json_t **ret, struct fault *f)
{
    if (!api_decode_is_flat(body))
        return fault_set(f, ESIGN_E_PROTO, "the body is nested more than %d deep",
                         API_BODY_DEPTH_MAX);
    return json_parse_object(body, ret, f);
}

/* room: where the secret is put, NULL: into memory of its own. */
static enum esign_rc decode_take_secret(json_t *object, const char *name, const char *path,
                                        struct secret *room, struct secret **ret, struct fault *f)
{
    json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);

    if (!text || !*text)
        return fault_field(f, ESIGN_E_PROTO, path, "the member is missing or empty");
    if (json_string_length(value) > SECRET_MAX || strlen(text) != json_string_length(value)) {
        json_wipe(value);
        return fault_field(f, ESIGN_E_PROTO, path, "a secret has at most %d bytes", SECRET_MAX);
    }
    struct secret *secret = room ? room : secret_new(bytes_of_str(text));
    if (room)
        (void)secret_fill(room, bytes_of_str(text)); /* its length has been checked */
    json_wipe(value);
    (void)json_object_del(object, name); /* it was there a moment ago */
    if (!secret)
        return fault_set(f, ESIGN_E_INTERNAL, "no locked memory is left");
    *ret = secret;
    return ESIGN_OK;
}

enum esign_rc api_take_secret(json_t *object, const char *name, const char *path,
                              struct secret **ret, struct fault *f)
{
    return decode_take_secret(object, name, path, NULL, ret, f);
}

static enum esign_rc decode_user_id(const json_t *components, struct api_request *request,
                                    struct fault *f)
{
    const char *user_id = json_str(components, "user_id");

    if (!text_is_id(user_id, API_ID_MAX))
        return fault_field(f, ESIGN_E_PROTO, "components.user_id",
                           "a user id is made of letters, digits and . _ -");
    memcpy(request->user_id, user_id, strlen(user_id) + 1);
    return ESIGN_OK;
}

/* The components as far as they are given. */
static enum esign_rc decode_given(json_t *components, struct api_request *request, struct fault *f)
{
    static const struct json_field fields[] = {
        {"user_id", JSON_FIELD_STR, false, API_ID_MAX},
        {"password", JSON_FIELD_STR, false, SECRET_MAX},
    };
    enum esign_rc rc = json_check(components, "components", fields, 2, f);

    if (rc == ESIGN_OK && json_object_get(components, "user_id"))
        rc = decode_user_id(components, request, f);
    if (rc == ESIGN_OK && json_object_get(components, "password"))
        rc = decode_take_secret(components, "password", "components.password", request->room,
                                &request->password, f);
    return rc;
}

static enum esign_rc decode_components(const struct api_route *route, json_t *components,
                                       struct api_request *request, struct fault *f)
{
    enum esign_rc rc = components ? decode_given(components, request, f) : ESIGN_OK;

    if (rc != ESIGN_OK || route->components != API_COMPONENTS_REQUIRED)
        return rc;
    if (!components)
        return fault_reason(f, ESIGN_E_COMPONENTS_REQUIRED, "first",
                            "components.user_id and components.password are needed");
    if (!*request->user_id || !request->password)
        return fault_field(f, ESIGN_E_COMPONENTS_REQUIRED,
                           *request->user_id ? "components.password" : "components.user_id",
                           "the member is missing");
    return ESIGN_OK;
}

static void decode_wipe_p(json_t **value)
{
    if (*value)
        json_wipe(*value);
    json_decref(*value);
}

/* "components" out of the body, if the row has them; else it stays there as an unknown member. */
static json_t *decode_take_components(const struct api_route *route, json_t *body)
{
    if (route->components == API_COMPONENTS_NONE)
        return NULL;
    json_t *components = json_incref(json_object_get(body, "components"));
    if (components)
        (void)json_object_del(body, "components"); /* it was there a moment ago */
    return components;
}

static void decode_drop_password(struct api_request *request)
{
    if (request->password && request->password == request->room)
        (void)secret_fill(request->room, (struct bytes){0}); /* nothing always fits */
    else
        secret_free(request->password);
    request->password = NULL;
}

enum esign_rc api_decode_body(const struct api_route *route, struct bytes body,
                              struct api_request *request, struct fault *f)
{
    CLEANUP(decode_wipe_p) json_t *object = NULL;
    CLEANUP(decode_wipe_p) json_t *components = NULL;
    enum esign_rc rc = decode_parse(body.len > 0 ? body : bytes_of_str("{}"), &object, f);

    if (rc != ESIGN_OK)
        return rc;
    components = decode_take_components(route, object);
    rc = json_check(object, "", route->fields, route->field_count, f);
    if (rc != ESIGN_OK)
        return rc;
    rc = decode_components(route, components, request, f);
    if (rc != ESIGN_OK) {
        request->user_id[0] = '\0';
        decode_drop_password(request);
        return rc;
    }
    request->body = TAKE(object);
    return ESIGN_OK;
}

void api_decode_done(struct api_request *request)
{
    decode_wipe_p(&request->body);
    request->body = NULL;
    decode_drop_password(request);
}
