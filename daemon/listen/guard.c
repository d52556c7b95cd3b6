#include "listen/guard.h"

#include "api/route.h"

/* Bytes of a token.  Source: RFC 9110 section 5.6.2. */
static bool guard_is_token(struct bytes text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && !memchr(others, c, sizeof(others) - 1))
            return false;
    }
    return text.len > 0;
}

/* Visible ASCII, space and tab. */
static bool guard_is_value(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((text.data[i] < 0x20 && text.data[i] != '\t') || text.data[i] >= 0x7f)
            return false;
    return true;
}

static bool guard_equals(struct bytes text, const char *word)
{
    return text.len == strlen(word) && strncasecmp((const char *)text.data, word, text.len) == 0;
}

static bool guard_is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Path and query as sent.  Source: RFC 3986 section 2, RFC 9112 section 3.2.1 (origin form). */
static enum esign_rc guard_target(const char *target, struct fault *f)
{
    size_t len = strnlen(target, API_TARGET_MAX + 1);

    if (len > API_TARGET_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "path and query have at most %d bytes",
                         API_TARGET_MAX);
    if (target[0] != '/')
        return fault_set(f, ESIGN_E_PROTO, "the target must start with a slash");
    for (const char *at = target; *at; at++) {
        if (*at <= ' ' || *at >= 0x7f || strchr("#\\\"<>^`{|}", *at))
            return fault_set(f, ESIGN_E_PROTO, "the target holds a character to be encoded");
        if (*at != '%')
            continue;
        if (!guard_is_hex(at[1]) || !guard_is_hex(at[2]))
            return fault_set(f, ESIGN_E_PROTO, "the target holds a broken %%-encoding");
        if (at[1] == '0' && at[2] == '0')
            return fault_set(f, ESIGN_E_PROTO, "the target holds a zero byte");
    }
    return ESIGN_OK;
}

static enum esign_rc guard_length(struct bytes value, int64_t *ret, struct fault *f)
{
    int64_t length = 0;

    if (value.len == 0 || value.len > 18)
        return fault_field(f, ESIGN_E_PROTO, "Content-Length", "not a length");
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return fault_field(f, ESIGN_E_PROTO, "Content-Length", "not a length");
        length = length * 10 + (value.data[i] - '0');
    }
    *ret = length;
    return ESIGN_OK;
}

/* Headers that may stand once. */
static const char *const guard_single[] = {
    "Content-Length", "Host",   "Transfer-Encoding", "Content-Type",
    "Authorization",  "Expect", "Content-Encoding",  "Idempotency-Key"};
enum {
    GUARD_LENGTH,
    GUARD_HOST,
    GUARD_TRANSFER,
    GUARD_TYPE,
    GUARD_AUTH,
    GUARD_EXPECT,
    GUARD_CODING,
    GUARD_KEY
};
enum { GUARD_SINGLE_COUNT = sizeof(guard_single) / sizeof(guard_single[0]) };

static enum esign_rc guard_collect(const struct guard_head *head,
                                   const struct guard_header *found[GUARD_SINGLE_COUNT],
                                   struct fault *f)
{
    for (size_t i = 0; i < head->header_count; i++) {
        const struct guard_header *header = &head->headers[i];
        if (!guard_is_token(header->name))
            return fault_set(f, ESIGN_E_PROTO, "a header's name is malformed");
        if (header->value.len > GUARD_VALUE_MAX)
            return fault_set(f, ESIGN_E_TOO_LARGE, "a header is too long");
        if (!guard_is_value(header->value))
            return fault_set(f, ESIGN_E_PROTO, "a header's value holds a control character");
        for (size_t j = 0; j < GUARD_SINGLE_COUNT; j++) {
            if (!guard_equals(header->name, guard_single[j]))
                continue;
            if (found[j])
                return fault_field(f, ESIGN_E_PROTO, guard_single[j], "the header is given twice");
            found[j] = header;
        }
    }
    return ESIGN_OK;
}

static enum esign_rc guard_framing(const struct guard_header *const found[GUARD_SINGLE_COUNT],
                                   struct guard_framing *ret, struct fault *f)
{
    struct guard_framing framing = {0};

    if (!found[GUARD_HOST])
        return fault_field(f, ESIGN_E_PROTO, "Host", "the header is missing");
    if (found[GUARD_LENGTH] && found[GUARD_TRANSFER])
        return fault_field(f, ESIGN_E_PROTO, "Transfer-Encoding",
                           "a length and chunks exclude each other");
    if (found[GUARD_TRANSFER] && !guard_equals(found[GUARD_TRANSFER]->value, "chunked"))
        return fault_field(f, ESIGN_E_UNSUPPORTED, "Transfer-Encoding", "only chunked is taken");
    if (found[GUARD_CODING] && !guard_equals(found[GUARD_CODING]->value, "identity"))
        return fault_field(f, ESIGN_E_UNSUPPORTED, "Content-Encoding",
                           "bodies are sent as they are");
    if (found[GUARD_EXPECT] && !guard_equals(found[GUARD_EXPECT]->value, "100-continue"))
        return fault_field(f, ESIGN_E_UNSUPPORTED, "Expect", "only 100-continue is taken");
    framing.chunked = found[GUARD_TRANSFER] != NULL;
    if (found[GUARD_LENGTH]) {
        enum esign_rc rc = guard_length(found[GUARD_LENGTH]->value, &framing.length, f);
        if (rc != ESIGN_OK)
            return rc;
    }
    *ret = framing;
    return ESIGN_OK;
}

enum esign_rc listen_guard(const struct guard_head *head, struct guard_framing *ret,
                           struct fault *f)
{
    const struct guard_header *found[GUARD_SINGLE_COUNT] = {0};

    if (strcmp(head->version, "HTTP/1.1") != 0)
        return fault_set(f, ESIGN_E_UNSUPPORTED, "only HTTP/1.1 is spoken here");
    if (strlen(head->method) > GUARD_METHOD_MAX || !guard_is_token(bytes_of_str(head->method)))
        return fault_set(f, ESIGN_E_PROTO, "the method is malformed");
    if (head->header_count > GUARD_HEADERS_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "at most %d headers are taken", GUARD_HEADERS_MAX);
    enum esign_rc rc = guard_target(head->target, f);
    if (rc == ESIGN_OK)
        rc = guard_collect(head, found, f);
    if (rc == ESIGN_OK)
        rc = guard_framing(found, ret, f);
    return rc;
}

bool listen_guard_version_is_sound(const char *version)
{
    static const unsigned sound[] = {1, 0, 10};

    for (size_t i = 0; i < 3; i++) {
        unsigned part = 0;
        for (; *version >= '0' && *version <= '9' && part < 10000; version++)
            part = part * 10 + (unsigned)(*version - '0');
        if (part != sound[i])
            return part > sound[i];
        if (*version == '.')
            version++;
    }
    return true;
}
