#include "body.h"

#include "base/encode.h"

/* The comma before a member, unless it is the first of its object. */
static void body_member(struct buf *body, const char *name)
{
    if (body->len > 0 && body->data[body->len - 1] != '{')
        buf_put_u8(body, ',');
    buf_put_u8(body, '"');
    buf_put_str(body, name);
    buf_put_str(body, "\":");
}

void body_open(struct buf *body, const char *name)
{
    if (name)
        body_member(body, name);
    buf_put_u8(body, '{');
}

void body_close(struct buf *body)
{
    buf_put_u8(body, '}');
}

void body_bytes_string(struct buf *body, const char *name, struct bytes value)
{
    static const char digits[] = "0123456789abcdef";

    body_member(body, name);
    buf_put_u8(body, '"');
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c < 0x20) {
            buf_put_str(body, "\\u00");
            buf_put_u8(body, (uint8_t)digits[c >> 4]);
            buf_put_u8(body, (uint8_t)digits[c & 15]);
            continue;
        }
        if (c == '"' || c == '\\')
            buf_put_u8(body, '\\');
        buf_put_u8(body, c);
    }
    buf_put_u8(body, '"');
}

void body_string(struct buf *body, const char *name, const char *value)
{
    if (value)
        body_bytes_string(body, name, bytes_of_str(value));
}

void body_integer(struct buf *body, const char *name, uint64_t value)
{
    body_member(body, name);
    buf_put_fmt(body, "%llu", (unsigned long long)value);
}

void body_true(struct buf *body, const char *name)
{
    body_member(body, name);
    buf_put_str(body, "true");
}

void body_base64(struct buf *body, const char *name, struct bytes value)
{
    body_member(body, name);
    buf_put_u8(body, '"');
    encode_base64(value, body);
    buf_put_u8(body, '"');
}

void body_components(struct buf *body, const struct esign_components *components)
{
    body_open(body, "components");
    body_string(body, "user_id", components->user_id);
    if (components->password)
        body_bytes_string(body, "password",
                          bytes_of(components->password, components->password_len));
    body_close(body);
}

void body_record(struct buf *body, const struct esign_record *record)
{
    body_open(body, "record");
    body_string(body, "type", record->type);
    body_string(body, "id", record->id);
    body_string(body, "version", record->version);
    body_string(body, "media_type", record->media_type);
    if (record->content) {
        body_base64(body, "content", bytes_of(record->content, record->content_len));
    } else if (record->sha256) {
        body_string(body, "sha256", record->sha256);
        if (record->length > 0)
            body_integer(body, "length", record->length);
    }
    body_close(body);
}

void body_request(struct buf *body, const struct esign_request *request)
{
    struct esign_record record = request->record;

    if (!record.media_type)
        record.media_type = "application/octet-stream";
    body_record(body, &record);
    body_string(body, "meaning", request->meaning);
    body_string(body, "plan", request->plan);
    body_string(body, "step", request->step);
    body_string(body, "signer", request->signer);
    body_string(body, "reason", request->reason);
    body_string(body, "comment", request->comment);
}
