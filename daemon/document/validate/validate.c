/* The facts of one signature: what esign-document runs. */
#include "document/validate/validate_internal.h"

#include "base/clock.h"

#include <stdarg.h>

void validate_note(struct validate_findings *findings, const char *fmt, ...)
{
    if (findings->detail[0])
        return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(findings->detail, sizeof findings->detail, fmt, args); /* cut if too long */
    va_end(args);
}

/* Whether this is a signature of ours, to be held to our profile. */
static bool is_ours(const struct validate_parts *parts, const struct validate_claims *claims,
                    struct validate_findings *findings)
{
    if (parts->info_count != 1 || parts->has_content)
        return false;
    return validate_envelope_read(claims->envelope, &findings->envelope);
}

static const char *compare_digest(const struct document_signature *s,
                                  const struct validate_claims *claims)
{
    if (s->record_digest.len != SHA256_LEN || claims->message_digest.len != SHA256_LEN)
        return "unknown";
    return bytes_equal(s->record_digest, claims->message_digest) ? "ok" : "mismatch";
}

static void check_ours(const struct document_signature *s, const struct validate_parts *parts,
                       const struct validate_claims *claims, struct validate_findings *findings)
{
    struct validate_subject subject;

    findings->structure = "ok";
    validate_identity_check(s, parts, claims, findings);
    if (!parts->signer)
        return;
    findings->value = validate_value_ours(parts);
    bool named = validate_subject_read(parts->signer, &subject);
    if (!named)
        validate_note(findings, "the certificate does not name a signer of ours");
    if (!named || !validate_envelope_check(findings->envelope, claims, &subject, findings))
        findings->attributes = "bad";
    if (strcmp(findings->value, "ok") != 0)
        validate_note(findings, "the value is not the signature of these signed attributes");
}

static void check_any(const struct validate_parts *parts, struct validate_findings *findings)
{
    findings->structure = "not-ours";
    findings->value = validate_value_any(parts);
    validate_note(findings, "this signature carries no envelope of esignd; other software made it");
}

enum esign_rc validate_signature(const struct document_signature *s, json_t **ret, struct fault *f)
{
    struct validate_findings findings = {
        .digest = "unknown", .value = "unknown", .attributes = "unknown", .chain = "no-anchor"};
    CLEANUP(validate_parts_done) struct validate_parts parts = {0};
    struct validate_claims claims = {.signing_time_ms = -1};
    enum esign_rc rc = ESIGN_OK;

    if (validate_parts_read(s->cms, &parts, &findings)) {
        validate_claims_read(buf_bytes(&parts.attributes), &claims);
        findings.digest = compare_digest(s, &claims);
        if (is_ours(&parts, &claims, &findings))
            check_ours(s, &parts, &claims, &findings);
        else
            check_any(&parts, &findings);
        int64_t at_ms = s->at_ms                      ? s->at_ms
                        : claims.signing_time_ms >= 0 ? claims.signing_time_ms
                                                      : clock_now_ms(clock_system());
        rc = validate_chain_check(s, &parts, at_ms, &findings, f);
    }
    if (!rc)
        rc = validate_facts(&findings, s->cms, &parts, &claims, ret, f);
    json_decref(findings.envelope);
    return rc;
}
