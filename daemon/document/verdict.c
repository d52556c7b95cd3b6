/* From facts to checks to a verdict. */
#include "document/document.h"

#include <stdarg.h>
#include <stdio.h>

struct outcome {
    enum document_result result;
    char detail[200];
};

typedef struct outcome (*check)(const json_t *facts, const struct document_context *c);

static struct outcome passed(void)
{
    return (struct outcome){.result = DOCUMENT_PASS};
}

__attribute__((format(printf, 2, 3))) static struct outcome not_passed(enum document_result result,
                                                                       const char *fmt, ...)
{
    struct outcome o = {.result = result};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(o.detail, sizeof o.detail, fmt, args); /* cut if too long */
    va_end(args);
    return o;
}

/* Whether a member of the facts holds that word. */
static bool is(const json_t *facts, const char *path, const char *word)
{
    const char *value = json_str(facts, path);
    return value && strcmp(value, word) == 0;
}

static const char *detail_of(const json_t *facts)
{
    const char *detail = json_str(facts, "detail");
    return detail ? detail : "";
}

static struct outcome check_structure(const json_t *facts, const struct document_context *c)
{
    (void)c; /* the facts alone decide this row */
    if (is(facts, "structure", "ok") || is(facts, "structure", "not-ours"))
        return passed();
    return not_passed(DOCUMENT_FAIL, "The signature can't be read: %.150s.", detail_of(facts));
}

static struct outcome check_record(const json_t *facts, const struct document_context *c)
{
    (void)c; /* as above */
    if (is(facts, "digest", "ok"))
        return passed();
    if (is(facts, "digest", "mismatch"))
        return not_passed(DOCUMENT_FAIL, "The record is not the one that was signed: its bytes "
                                         "have another hash.");
    return not_passed(DOCUMENT_UNKNOWN, "The record was not given, or this signature does not hold "
                                        "its SHA-256 hash.");
}

static struct outcome check_reference(const json_t *facts, const struct document_context *c)
{
    const struct {
        const char *word, *path, *said;
    } parts[] = {{"type", "envelope.record.type", c->record_type},
                 {"id", "envelope.record.id", c->record_id},
                 {"version", "envelope.record.version", c->record_version}};
    size_t said = 0;

    for (size_t i = 0; i < 3; i++) {
        const char *is_signed = json_str(facts, parts[i].path);
        if (!is_signed)
            return not_passed(DOCUMENT_UNKNOWN,
                              "The signature does not say which record it is of.");
        if (parts[i].said && strcmp(parts[i].said, is_signed) != 0)
            return not_passed(DOCUMENT_FAIL,
                              "The signature is of the record with %s %.60s, not %.60s.",
                              parts[i].word, is_signed, parts[i].said);
        said += parts[i].said != NULL;
    }
    if (said < 3)
        return not_passed(DOCUMENT_UNKNOWN, "Which record this is was not said: its type, id and "
                                            "version must be given.");
    return passed();
}

static struct outcome check_value(const json_t *facts, const struct document_context *c)
{
    (void)c; /* as above */
    if (is(facts, "value", "malformed"))
        return not_passed(DOCUMENT_FAIL, "The signature value is malformed.");
    if (is(facts, "value", "bad") && !is(facts, "structure", "ok"))
        return not_passed(DOCUMENT_FAIL, "The signature value does not belong to this signature.");
    if (is(facts, "value", "ok") || is(facts, "value", "bad"))
        return passed();
    return not_passed(DOCUMENT_UNKNOWN, "The signature value could not be checked.");
}

/* A well-formed value that does not verify: which of both was changed can't be told, and it is the
 * attributes that people read. */
static struct outcome check_attributes(const json_t *facts, const struct document_context *c)
{
    (void)c; /* as above */
    if (!is(facts, "structure", "ok"))
        return not_passed(DOCUMENT_UNKNOWN, "The signed attributes are not those of esignd.");
    if (is(facts, "attributes", "bad"))
        return not_passed(DOCUMENT_FAIL, "The signed attributes were altered: %.150s.",
                          detail_of(facts));
    if (!is(facts, "value", "ok"))
        return not_passed(DOCUMENT_FAIL,
                          "The signed attributes (name, time, meaning, record) or the "
                          "value were altered after signing.");
    return passed();
}

static struct outcome check_identity(const json_t *facts, const struct document_context *c)
{
    (void)c; /* as above */
    if (json_flag(facts, "identity"))
        return passed();
    if (is(facts, "structure", "not-ours"))
        return not_passed(DOCUMENT_UNKNOWN, "The signature was not made by esignd.");
    return not_passed(DOCUMENT_FAIL, "The signature's bytes were changed: %.150s.",
                      detail_of(facts));
}

static struct outcome check_revocation(const json_t *facts, const struct document_context *c)
{
    (void)facts; /* the context alone decides this row */
    if (!c->signer_state)
        return not_passed(DOCUMENT_UNKNOWN,
                          "The signer's state at signing time is not known here.");
    if (strcmp(c->signer_state, "revoked") == 0)
        return not_passed(DOCUMENT_FAIL,
                          "The signer had been revoked before the signature was made.");
    return passed();
}

static struct outcome check_suspension(const json_t *facts, const struct document_context *c)
{
    (void)facts; /* as above */
    if (!c->signer_state)
        return not_passed(DOCUMENT_UNKNOWN,
                          "The signer's state at signing time is not known here.");
    if (strcmp(c->signer_state, "suspended") == 0)
        return not_passed(DOCUMENT_FAIL, "The signer was suspended when the signature was made.");
    return passed();
}

static struct outcome check_trail(const json_t *facts, const struct document_context *c)
{
    (void)facts; /* as above */
    if (c->audit && strcmp(c->audit, "broken") == 0)
        return not_passed(DOCUMENT_FAIL, "The audit trail is broken and proves nothing.");
    if (!c->audit)
        return not_passed(DOCUMENT_UNKNOWN, "The audit trail was not looked at.");
    return passed();
}

static struct outcome check_entry(const json_t *facts, const struct document_context *c)
{
    (void)facts; /* as above */
    if (!c->audit || strcmp(c->audit, "broken") == 0)
        return not_passed(DOCUMENT_UNKNOWN, "Whether the audit trail has this signature is not "
                                            "known here.");
    if (strcmp(c->audit, "member") != 0)
        return not_passed(DOCUMENT_FAIL,
                          "The audit trail has no entry of this signature: it was not "
                          "made through esignd.");
    return passed();
}

static struct outcome check_chain(const json_t *facts, const struct document_context *c)
{
    (void)c; /* the facts alone decide this row */
    if (is(facts, "chain", "ok"))
        return passed();
    if (is(facts, "chain", "bad"))
        return not_passed(DOCUMENT_FAIL, "The certificate chain is wrong: %.150s.",
                          detail_of(facts));
    if (is(facts, "chain", "expired"))
        return not_passed(DOCUMENT_UNKNOWN, "A certificate was not valid at the time of signing.");
    return not_passed(DOCUMENT_UNKNOWN, "The signer's certificate does not lead to a trusted CA.");
}

static struct outcome check_system(const json_t *facts, const struct document_context *c)
{
    const char *system = json_str(facts, "envelope.system");
    if (!system)
        return not_passed(DOCUMENT_UNKNOWN, "The signature does not say which system made it.");
    if (c->production && strcmp(system, "production") != 0)
        return not_passed(DOCUMENT_FAIL,
                          "A test system made this; it is no signature in production.");
    return passed();
}

/* The order decides which reason is told. */
static const struct {
    const char *name, *reason;
    check run;
    bool doubt_counts;
} rows[] = {
    {"structure", "SIG_INVALID", check_structure, true},
    {"record", "RECORD_ALTERED", check_record, true},
    {"record-reference", "WRONG_RECORD", check_reference, true},
    {"value", "SIG_INVALID", check_value, true},
    {"attributes", "ATTR_ALTERED", check_attributes, false},
    {"identity", "SIG_INVALID", check_identity, false},
    {"signer-not-revoked", "SIGNED_AFTER_REVOCATION", check_revocation, false},
    {"signer-not-suspended", "SIGNED_WHILE_SUSPENDED", check_suspension, false},
    {"audit-trail", "AUDIT_BROKEN", check_trail, false},
    {"audit-entry", "NOT_IN_AUDIT", check_entry, true},
    {"chain", "NO_TRUST_ANCHOR", check_chain, true},
    {"system", "NO_TRUST_ANCHOR", check_system, true},
};

enum { ROWS = sizeof rows / sizeof *rows };
_Static_assert((int)ROWS <= (int)DOCUMENT_CHECKS_MAX,
               "document_checks() fills an array of that size");

const char *document_result_name(enum document_result result)
{
    switch (result) {
    case DOCUMENT_PASS:
        return "pass";
    case DOCUMENT_FAIL:
        return "fail";
    case DOCUMENT_UNKNOWN:
        return "unknown";
    }
    return "unknown";
}

size_t document_checks(const json_t *facts, const struct document_context *context,
                       struct document_check ret[DOCUMENT_CHECKS_MAX])
{
    for (size_t i = 0; i < ROWS; i++) {
        struct outcome o = rows[i].run(facts, context);
        ret[i] = (struct document_check){.name = rows[i].name, .result = o.result};
        memcpy(ret[i].detail, o.detail, sizeof ret[i].detail);
    }
    return ROWS;
}

static bool decides(const struct document_check checks[DOCUMENT_CHECKS_MAX], size_t at,
                    enum document_result result)
{
    return checks[at].result == result && (result == DOCUMENT_FAIL || rows[at].doubt_counts);
}

void document_verdict(const json_t *facts, const struct document_context *context,
                      struct document_verdict *ret)
{
    static const struct {
        enum document_result result;
        const char *indication;
    } passes[] = {{DOCUMENT_FAIL, "TOTAL_FAILED"}, {DOCUMENT_UNKNOWN, "INDETERMINATE"}};
    struct document_check checks[DOCUMENT_CHECKS_MAX];
    size_t count = document_checks(facts, context, checks);

    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < count; i++) {
            if (!decides(checks, i, passes[pass].result))
                continue;
            *ret = (struct document_verdict){passes[pass].indication, rows[i].reason, ""};
            memcpy(ret->detail, checks[i].detail, sizeof ret->detail);
            return;
        }
    *ret = (struct document_verdict){"TOTAL_PASSED", "",
                                     "The signature is valid and in the audit trail."};
}
