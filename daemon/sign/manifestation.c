/* The block that every form for people carries, from the signed envelope alone. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "sign/sign.h"

static const struct {
    const char *label, *path;
    bool required;
} manifestation_lines[] = {
    {"Signed by", "signer.printed_name", true},
    {"User id", "signer.user_id", true},
    {"Title", "signer.title", true},
    {"Role", "role", true},
    {"Meaning", "meaning.text", true},
    {"Reason", "reason", false},
    {"Comment", "comment", false},
    {"Record", NULL, true},
    {"Time", NULL, true},
    {"Plan", NULL, true},
    {"Signature", "signature_id", true},
};

/* "2026-11-22 14:03:07.123 +01:00 (Europe/Zurich) / 2026-11-22T13:03:07.123Z": from the signed
 * members, not from the zone tables of today. */
static bool manifestation_time(const json_t *envelope, char *ret, size_t size)
{
    const char *utc = json_str(envelope, "time.utc"), *offset = json_str(envelope, "time.offset");
    const char *zone = json_str(envelope, "time.zone");
    char local[CLOCK_TEXT];
    int64_t at_ms = 0;

    if (!utc || !offset || !zone || strlen(offset) != 6 || clock_parse_utc(utc, &at_ms) != ESIGN_OK)
        return false;
    int64_t minutes = (offset[1] - '0') * 600 + (offset[2] - '0') * 60 + (offset[4] - '0') * 10 +
                      (offset[5] - '0');
    clock_format_utc(at_ms + (offset[0] == '-' ? -minutes : minutes) * 60000, local);
    local[10] = ' ';
    local[19] = '\0';
    (void)snprintf(ret, size, "%s %s (%s) / %s", local, offset, zone, utc);
    return true;
}

static bool manifestation_record(const json_t *envelope, char *ret, size_t size)
{
    const char *type = json_str(envelope, "record.type"), *id = json_str(envelope, "record.id");
    const char *version = json_str(envelope, "record.version");

    if (!type || !id || !version)
        return false;
    (void)snprintf(ret, size, "%s %s version %s%s", type, id, version,
                   json_flag(envelope, "record.digest_only") ? " (signed by its hash only)" : "");
    return true;
}

static bool manifestation_plan(const json_t *envelope, char *ret, size_t size)
{
    const char *plan = json_str(envelope, "plan.id"), *step = json_str(envelope, "plan.step");

    if (!plan || !step)
        return false;
    (void)snprintf(ret, size, "%s, step %s", plan, step);
    return true;
}

static bool manifestation_value(const json_t *envelope, size_t line, char *ret, size_t size)
{
    const char *label = manifestation_lines[line].label;

    if (strcmp(label, "Time") == 0)
        return manifestation_time(envelope, ret, size);
    if (strcmp(label, "Record") == 0)
        return manifestation_record(envelope, ret, size);
    if (strcmp(label, "Plan") == 0)
        return manifestation_plan(envelope, ret, size);
    const char *value = json_str(envelope, manifestation_lines[line].path);
    if (!value || !*value)
        return false;
    (void)snprintf(ret, size, "%s", value);
    return true;
}

enum esign_rc sign_manifestation(const json_t *envelope, const char *verdict, struct buf *ret,
                                 struct fault *f)
{
    char value[1024];
    const char *system = json_str(envelope, "system");

    buf_clear(ret);
    if (!system || strcmp(system, "production") != 0)
        buf_put_str(ret, "TEST - not a signature\n");
    for (size_t i = 0; i < sizeof(manifestation_lines) / sizeof(manifestation_lines[0]); i++) {
        if (manifestation_value(envelope, i, value, sizeof(value)))
            buf_put_fmt(ret, "%-10s %s\n", manifestation_lines[i].label, value);
        else if (manifestation_lines[i].required)
            return fault_field(f, ESIGN_E_FORMAT, manifestation_lines[i].label,
                               "the envelope lacks what the manifestation needs");
    }
    if (verdict)
        buf_put_fmt(ret, "%-10s %s\n", "Verdict", verdict);
    return buf_ok(ret) ? ESIGN_OK
                       : fault_set(f, ESIGN_E_TOO_LARGE, "the manifestation is too large");
}

json_t *sign_signature_view(const json_t *signature)
{
    const json_t *envelope = json_object_get(signature, "envelope");
    json_t *view = json_pack(
        "{s:s, s:s, s:s, s:O, s:O, s:O, s:O, s:s, s:s, s:s}", "signature",
        json_str(signature, "signature"), "ticket", json_str(signature, "ticket"), "state",
        "signed", "record", json_object_get(envelope, "record"), "signer",
        json_object_get(envelope, "signer"), "meaning", json_object_get(envelope, "meaning"),
        "time", json_object_get(envelope, "time"), "format", json_str(signature, "format"), "value",
        json_str(signature, "value"), "manifestation", json_str(signature, "manifestation"));
    int64_t seq = json_int(signature, "entry_seq", -1);

    if (view && seq >= 0 &&
        json_object_set_new(view, "entry", json_pack("{s:I}", "seq", (json_int_t)seq)) != 0) {
        json_decref(view);
        return NULL;
    }
    return view;
}
