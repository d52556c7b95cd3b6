/* The envelope of requirements 3.1: its members (cms/FORMAT.md, section 3) and their agreement with
 * certificate and signed attributes. */
#include "document/validate/validate_internal.h"

#include "base/clock.h"
#include "base/encode.h"

enum {
    LINE_LEN = 256,
    TEXT_LEN = 500,
    COMMENT_LEN = 4096,
    HEX_LEN = 128,
    PREVIOUS_MAX = 100,
    COMPONENTS_MAX = 4
};

static const struct json_field top[] = {
    {"application", JSON_FIELD_STR, true, LINE_LEN},
    {"audit_head", JSON_FIELD_OBJECT, true, 0},
    {"clock", JSON_FIELD_OBJECT, true, 0},
    {"comment", JSON_FIELD_STR, false, COMMENT_LEN},
    {"components", JSON_FIELD_ARRAY, true, COMPONENTS_MAX},
    {"custody", JSON_FIELD_STR, true, LINE_LEN},
    {"daemon", JSON_FIELD_STR, true, LINE_LEN},
    {"entry", JSON_FIELD_STR, true, LINE_LEN},
    {"format", JSON_FIELD_INT, true, 0},
    {"key", JSON_FIELD_STR, true, HEX_LEN},
    {"meaning", JSON_FIELD_OBJECT, true, 0},
    {"mode", JSON_FIELD_STR, true, LINE_LEN},
    {"ordinal", JSON_FIELD_INT, true, 0},
    {"plan", JSON_FIELD_OBJECT, true, 0},
    {"policy", JSON_FIELD_OBJECT, true, 0},
    {"previous", JSON_FIELD_ARRAY, true, PREVIOUS_MAX},
    {"reason", JSON_FIELD_STR, false, COMMENT_LEN},
    {"record", JSON_FIELD_OBJECT, true, 0},
    {"role", JSON_FIELD_STR, true, LINE_LEN},
    {"session", JSON_FIELD_STR, true, HEX_LEN},
    {"signature_id", JSON_FIELD_STR, true, LINE_LEN},
    {"signer", JSON_FIELD_OBJECT, true, 0},
    {"statement", JSON_FIELD_OBJECT, true, 0},
    {"system", JSON_FIELD_STR, true, LINE_LEN},
    {"system_class", JSON_FIELD_STR, true, LINE_LEN},
    {"terminal", JSON_FIELD_OBJECT, true, 0},
    {"ticket", JSON_FIELD_STR, true, LINE_LEN},
    {"time", JSON_FIELD_OBJECT, true, 0},
};
static const struct json_field audit_head[] = {{"root", JSON_FIELD_STR, true, HEX_LEN},
                                               {"size", JSON_FIELD_INT, true, 0}};
static const struct json_field meaning[] = {{"code", JSON_FIELD_STR, true, LINE_LEN},
                                            {"language", JSON_FIELD_STR, true, LINE_LEN},
                                            {"text", JSON_FIELD_STR, true, TEXT_LEN},
                                            {"text_hash", JSON_FIELD_STR, true, HEX_LEN},
                                            {"version", JSON_FIELD_INT, true, 0}};
static const struct json_field plan[] = {{"id", JSON_FIELD_STR, true, LINE_LEN},
                                         {"step", JSON_FIELD_STR, true, LINE_LEN},
                                         {"version", JSON_FIELD_INT, true, 0}};
static const struct json_field policy[] = {{"id", JSON_FIELD_STR, true, LINE_LEN},
                                           {"version", JSON_FIELD_INT, true, 0}};
static const struct json_field record[] = {
    {"digest_only", JSON_FIELD_BOOL, true, 0},
    {"hash", JSON_FIELD_STR, true, HEX_LEN},
    {"hash_algorithm", JSON_FIELD_STR, true, LINE_LEN},
    {"id", JSON_FIELD_STR, true, LINE_LEN},
    {"length", JSON_FIELD_INT, true, 0},
    {"media_type", JSON_FIELD_STR, true, LINE_LEN},
    {"type", JSON_FIELD_STR, true, LINE_LEN},
    {"version", JSON_FIELD_STR, true, LINE_LEN},
};
static const struct json_field signer[] = {{"printed_name", JSON_FIELD_STR, true, LINE_LEN},
                                           {"signer_id", JSON_FIELD_STR, true, LINE_LEN},
                                           {"title", JSON_FIELD_STR, true, LINE_LEN},
                                           {"user_id", JSON_FIELD_STR, true, LINE_LEN}};
static const struct json_field statement[] = {{"code", JSON_FIELD_STR, true, LINE_LEN},
                                              {"version", JSON_FIELD_INT, true, 0}};
static const struct json_field terminal[] = {{"assurance", JSON_FIELD_STR, true, LINE_LEN},
                                             {"id", JSON_FIELD_STR, true, LINE_LEN}};
static const struct json_field time_members[] = {{"offset", JSON_FIELD_STR, true, LINE_LEN},
                                                 {"utc", JSON_FIELD_STR, true, LINE_LEN},
                                                 {"zone", JSON_FIELD_STR, true, LINE_LEN}};

#define OBJECT_ROW(name, fields)                                                                   \
    {                                                                                              \
        name, fields, sizeof fields / sizeof *fields                                               \
    }
static const struct {
    const char *name;
    const struct json_field *fields;
    size_t count;
} objects[] = {
    OBJECT_ROW("audit_head", audit_head),
    OBJECT_ROW("meaning", meaning),
    OBJECT_ROW("plan", plan),
    OBJECT_ROW("policy", policy),
    OBJECT_ROW("record", record),
    OBJECT_ROW("signer", signer),
    OBJECT_ROW("statement", statement),
    OBJECT_ROW("terminal", terminal),
    OBJECT_ROW("time", time_members),
};

/* Members that hold one of a few words. */
static const struct {
    const char *path, *choices[4];
} words[] = {
    {"clock.state", {"synchronised", "unsynchronised"}},
    {"custody", {"K1", "K2", "K3"}},
    {"entry", {"direct", "app"}},
    {"mode", {"one-shot", "first", "first-by-login", "subsequent"}},
    {"record.hash_algorithm", {"sha-256"}},
    {"system", {"production", "test"}},
    {"system_class", {"closed", "open"}},
    {"terminal.assurance", {"declared", "proved"}},
};

/* clock: its error bound is -1 where the kernel doesn't know it, so the table can't hold it. */
static bool clock_is_whole(const json_t *clock)
{
    return json_object_size(clock) == 2 && json_str(clock, "state") &&
           json_int(clock, "error_ms", -2) >= -1;
}

static bool strings_only(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!json_is_string(json_array_get(array, i)))
            return false;
    return true;
}

static bool words_are_known(const json_t *envelope, struct validate_findings *findings)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *value = json_str(envelope, words[i].path);
        bool known = false;
        for (size_t j = 0; value && j < 4 && words[i].choices[j]; j++)
            known |= strcmp(value, words[i].choices[j]) == 0;
        if (!known) {
            validate_note(findings, "the envelope's %s is not one of its words", words[i].path);
            return false;
        }
    }
    return true;
}

/* What each mode of a signing needs: its place in a session, and the components.
 * Source: 21 CFR 11.200(a)(1)(i), (ii). */
static bool ceremony_is_whole(const json_t *envelope)
{
    static const struct {
        const char *mode, *components[2];
        int64_t ordinal_min, ordinal_max;
        bool in_session;
    } modes[] = {
        {"one-shot", {"id", "password"}, 1, 1, false},
        {"first", {"id", "password"}, 1, 1, true},
        {"first-by-login", {"password"}, 1, 1, true},
        {"subsequent", {"password"}, 2, INT64_MAX, true},
        {"subsequent", {"id", "password"}, 2, INT64_MAX, true},
    };
    const json_t *components = json_object_get(envelope, "components");
    size_t given = json_array_size(components);
    const char *last = given ? json_string_value(json_array_get(components, given - 1)) : "";
    bool card = strcmp(json_str(envelope, "custody"), "K3") == 0;
    int64_t ordinal = json_int(envelope, "ordinal", 0);
    size_t digits = strlen(json_str(envelope, "session"));

    if (card != (strcmp(last, "card") == 0)) /* with an own card it is the last component */
        return false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        size_t count = modes[i].components[1] ? 2 : 1;
        bool same = strcmp(modes[i].mode, json_str(envelope, "mode")) == 0 && given == count + card;
        for (size_t k = 0; same && k < count; k++)
            same = strcmp(modes[i].components[k],
                          json_string_value(json_array_get(components, k))) == 0;
        if (same && ordinal >= modes[i].ordinal_min && ordinal <= modes[i].ordinal_max &&
            digits == (modes[i].in_session ? 2 * SHA256_LEN : 0))
            return true;
    }
    return false;
}

/* The text that the signer was shown and its hash belong together. */
static bool meaning_is_whole(const json_t *envelope)
{
    uint8_t hash[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];

    bytes_sha256(bytes_of_str(json_str(envelope, "meaning.text")), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof hash), hex);
    return strcmp(hex, json_str(envelope, "meaning.text_hash")) == 0;
}

static bool is_whole(const json_t *envelope, struct validate_findings *findings)
{
    struct fault f = {0};
    enum esign_rc rc = json_check(envelope, "", top, sizeof top / sizeof *top, &f);
    for (size_t i = 0; !rc && i < sizeof objects / sizeof *objects; i++)
        rc = json_check(json_object_get(envelope, objects[i].name), objects[i].name,
                        objects[i].fields, objects[i].count, &f);
    if (rc) {
        validate_note(findings, "the envelope's member %s: %s", f.field, f.detail);
        return false;
    }
    if (!clock_is_whole(json_object_get(envelope, "clock")) ||
        !strings_only(json_object_get(envelope, "components")) ||
        !strings_only(json_object_get(envelope, "previous"))) {
        validate_note(findings, "the envelope's clock, components or previous is malformed");
        return false;
    }
    if (!meaning_is_whole(envelope)) {
        validate_note(findings, "the hash of the meaning is not that of its text");
        return false;
    }
    if (!words_are_known(envelope, findings))
        return false;
    if (!ceremony_is_whole(envelope))
        validate_note(findings, "the envelope's mode, ordinal, session and components disagree");
    return ceremony_is_whole(envelope);
}

static bool is_canonical(const json_t *envelope, struct bytes text)
{
    CLEANUP(buf_done) struct buf canonical = buf_new(CMS_ENVELOPE_MAX);
    return !json_canonical(envelope, &canonical) && bytes_equal(buf_bytes(&canonical), text);
}

/* The time to the millisecond in the envelope, to the second in signing-time. */
static bool times_agree(const json_t *envelope, const struct validate_claims *claims)
{
    int64_t at_ms = 0;
    return !clock_parse_utc(json_str(envelope, "time.utc"), &at_ms) &&
           at_ms - at_ms % 1000 == claims->signing_time_ms;
}

static bool hash_agrees(const json_t *envelope, const struct validate_claims *claims)
{
    uint8_t hash[SHA256_LEN];
    return !decode_hex(json_str(envelope, "record.hash"), hash, sizeof hash) &&
           bytes_equal(bytes_of(hash, sizeof hash), claims->message_digest);
}

bool validate_envelope_read(struct bytes text, json_t **ret)
{
    CLEANUP(json_decref_p) json_t *envelope = NULL;
    if (!text.len || text.len > CMS_ENVELOPE_MAX || json_parse_object(text, &envelope, NULL) ||
        json_int(envelope, "format", 0) != 1)
        return false;
    *ret = TAKE(envelope);
    return true;
}

bool validate_envelope_check(const json_t *envelope, const struct validate_claims *claims,
                             const struct validate_subject *subject,
                             struct validate_findings *findings)
{
    if (!is_whole(envelope, findings))
        return false;
    const struct {
        bool holds;
        const char *otherwise;
    } rules[] = {
        {is_canonical(envelope, claims->envelope), "the envelope is not canonical JSON"},
        {strcmp(json_str(envelope, "signer.user_id"), subject->user_id) == 0,
         "the envelope's user id is not that of the certificate"},
        {strcmp(json_str(envelope, "signer.printed_name"), subject->printed_name) == 0,
         "the envelope's printed name is not that of the certificate"},
        {strcmp(json_str(envelope, "signer.signer_id"), subject->signer_id) == 0,
         "the envelope's signer id is not that of the certificate"},
        {times_agree(envelope, claims), "the envelope's time is not that of signing-time"},
        {hash_agrees(envelope, claims), "the envelope's hash is not that of message-digest"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!rules[i].holds) {
            validate_note(findings, "%s", rules[i].otherwise);
            return false;
        }
    return true;
}
