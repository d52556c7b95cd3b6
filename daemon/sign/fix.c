/* Fixing what is signed: time, envelope, signed attributes, digest.  Nothing of it changes
 * afterwards. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "cms/certificate.h"
#include "sign/card.h"
#include "sign/custody.h"

/* What the clock says at this moment, in words of the envelope. */
struct fix_time {
    char utc[CLOCK_TEXT], offset[CLOCK_TEXT];
    const char *state;
    int64_t error_ms;
};

static enum esign_rc fix_time(struct sign_job *j, struct fix_time *ret, struct fault *f)
{
    enum esign_rc rc = site_clock_state(j->site, &ret->state, &ret->error_ms, f);

    if (rc != ESIGN_OK)
        return rc;
    j->time_ms = clock_now_ms(site_clock(j->site));
    clock_format_utc(j->time_ms, ret->utc);
    clock_format_offset(j->time_ms, ret->offset);
    return ESIGN_OK;
}

static enum esign_rc fix_key(struct sign_job *j, struct fault *f)
{
    const char *key = json_str(j->key.body, "key");

    j->algorithm = token_algorithm_by_name(json_str(j->key.body, "algorithm"));
    if (!j->algorithm || decode_hex(key, j->key_id, sizeof(j->key_id)) != ESIGN_OK)
        return fault_set(f, ESIGN_E_INTERNAL, "the signer's key row is not usable");
    enum esign_rc rc = site_decode(j->key.body, "certificate", &j->certificate, f);
    if (rc == ESIGN_OK)
        rc = site_decode(j->site_row.body, "ca_certificate", &j->ca_certificate, f);
    return rc;
}

/* A certificate that has ended makes a signature that nobody accepts.  Source: 21 CFR 11.10(a). */
static enum esign_rc fix_validity(const struct sign_job *j, struct fault *f)
{
    int64_t end_ms = 0;
    enum esign_rc rc = cms_certificate_end(buf_bytes(&j->certificate), &end_ms, f);

    if (rc == ESIGN_OK && clock_now_ms(site_clock(j->site)) >= end_ms)
        rc = fault_reason(f, ESIGN_E_CRED_STATE, "expired",
                          "the signer's certificate has expired; it must be issued anew");
    return rc;
}

/* Hash of the text that the signer was shown, so that a later edition changes no old signature. */
static json_t *fix_meaning(const struct sign_job *j)
{
    uint8_t hash[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    const char *text = json_str(j->meaning.body, "text");

    bytes_sha256(bytes_of_str(text), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), hex);
    return json_pack("{s:s, s:s, s:s, s:s, s:I}", "code", json_str(j->meaning.body, "code"),
                     "language", json_str(j->meaning.body, "language"), "text", text, "text_hash",
                     hex, "version", (json_int_t)json_int(j->meaning.body, "version", 0));
}

static json_t *fix_versioned(const char *name, const char *id, int64_t version)
{
    return json_pack("{s:s, s:I}", name, id, "version", (json_int_t)version);
}

static json_t *fix_signer(const struct sign_job *j)
{
    const json_t *signer = j->person.signer;

    return json_pack("{s:s, s:s, s:s, s:s}", "printed_name", json_str(signer, "printed_name"),
                     "signer_id", j->person.signer_id, "title", json_str(signer, "title"),
                     "user_id", j->person.user_id);
}

static json_t *fix_head(const struct audit_head *head)
{
    char root[2 * SHA256_LEN + 1];

    encode_hex(bytes_of(head->root, sizeof(head->root)), root);
    return json_pack("{s:s, s:I}", "root", root, "size", (json_int_t)head->size);
}

static const char *const fix_modes[] = {[SIGN_ONE_SHOT] = "one-shot",
                                        [SIGN_FIRST] = "first",
                                        [SIGN_FIRST_BY_LOGIN] = "first-by-login",
                                        [SIGN_SUBSEQUENT] = "subsequent"};

/* The components that the signer gave for this signing. */
static json_t *fix_components(const struct sign_job *j)
{
    json_t *given = json_pack("[s*, s]", j->act->user_id ? "id" : NULL, "password");

    if (given && sign_is_card(j) && json_array_append_new(given, json_string("card")) != 0) {
        json_decref(given);
        return NULL;
    }
    return given;
}

/* Who, where and how: members of the ceremony. */
static json_t *fix_ceremony(const struct sign_job *j)
{
    const json_t *signer = j->person.signer, *ticket = j->ticket.body;
    const char *role = json_str(signer, "role"), *application = json_str(ticket, "application");
    const char *terminal = j->act->place.terminal;
    bool direct = !j->act->place.application;

    return json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:I, s:[], s:s, s:s, s:o}", "application",
                     application ? application : "", "components", fix_components(j), "custody",
                     json_str(j->key.body, "custody"), "entry", direct ? "direct" : "app", "key",
                     json_str(j->key.body, "key"), "mode", fix_modes[j->mode], "ordinal",
                     (json_int_t)(j->lease.session ? j->lease.ordinal : 1), "previous", "role",
                     role ? role : json_str(signer, "title"), "session", j->lease.hash, "terminal",
                     json_pack("{s:s, s:s}", "assurance", direct ? "proved" : "declared", "id",
                               terminal ? terminal : ""));
}

/* The rest: what is signed, by which rules, when. */
static json_t *fix_content(const struct sign_job *j, const struct fix_time *t,
                           const struct audit_head *head)
{
    const json_t *ticket = j->ticket.body, *signer = j->person.signer, *policy = j->policy.body;
    json_t *plan =
        fix_versioned("id", json_str(j->plan.body, "id"), json_int(j->plan.body, "version", 0));

    if (plan && json_object_set_new(plan, "step", json_string(json_str(ticket, "step"))) != 0) {
        json_decref(plan);
        plan = NULL;
    }
    return json_pack(
        "{s:o, s:o, s:s, s:i, s:o, s:o, s:o, s:O, s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:s*, s:s*}",
        "audit_head", fix_head(head), "clock",
        json_pack("{s:I, s:s}", "error_ms", (json_int_t)t->error_ms, "state", t->state), "daemon",
        ESIGN_VERSION, "format", 1, "meaning", fix_meaning(j), "plan", plan, "policy",
        fix_versioned("id", json_str(policy, "id"), json_int(policy, "version", 0)), "record",
        json_object_get(ticket, "record"), "signature_id", j->signature_id, "signer", fix_signer(j),
        "statement",
        fix_versioned("code", json_str(signer, "statement.code"),
                      json_int(signer, "statement.version", 0)),
        "system", site_system(j->site), "system_class",
        config_str(site_config(j->site), "system_class"), "ticket", json_str(ticket, "ticket"),
        "time",
        json_pack("{s:s, s:s, s:s}", "offset", t->offset, "utc", t->utc, "zone",
                  config_str(site_config(j->site), "site.zone")),
        "reason", json_str(ticket, "reason"), "comment", json_str(ticket, "comment"));
}

static enum esign_rc fix_envelope(struct sign_job *j, const struct fix_time *t, struct fault *f)
{
    struct audit_head head;
    enum esign_rc rc = audit_head(site_audit(j->site), &head, f);

    if (rc != ESIGN_OK)
        return rc;
    j->envelope = fix_content(j, t, &head);
    CLEANUP(json_decref_p) json_t *ceremony = fix_ceremony(j);
    if (!j->envelope || !ceremony || json_object_update(j->envelope, ceremony) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an envelope");
    rc = json_canonical(j->envelope, &j->envelope_text);
    return rc == ESIGN_OK
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_TOO_LARGE, "the envelope is over its limit of %d bytes",
                           CMS_ENVELOPE_MAX);
}

/* Source: 21 CFR 11.50(a), 11.70; EN 319 122-1. */
enum esign_rc sign_step_fix(struct sign_job *j, struct fault *f)
{
    struct fix_time t = {0};
    uint8_t record[SHA256_LEN];
    enum esign_rc rc = fix_key(j, f);

    site_new_id('G', j->signature_id);
    if (rc == ESIGN_OK)
        rc = fix_validity(j, f);
    if (rc == ESIGN_OK)
        rc = fix_time(j, &t, f);
    if (rc == ESIGN_OK)
        rc = sign_open_key(j, f);
    if (rc == ESIGN_OK)
        rc = fix_envelope(j, &t, f);
    if (rc != ESIGN_OK)
        return rc;
    if (decode_hex(json_str(j->ticket.body, "record.hash"), record, sizeof(record)) != ESIGN_OK)
        return fault_set(f, ESIGN_E_INTERNAL, "the ticket's hash is not usable");
    const struct cms_attributes attributes = {.record_digest = bytes_of(record, sizeof(record)),
                                              .signing_time_ms = j->time_ms,
                                              .signer_cert = buf_bytes(&j->certificate),
                                              .algorithm = j->algorithm,
                                              .commitment_oid =
                                                  json_str(j->meaning.body, "commitment"),
                                              .claimed_role = json_str(j->envelope, "role"),
                                              .envelope = buf_bytes(&j->envelope_text)};
    rc = cms_signed_attributes(&attributes, &j->signed_attributes, f);
    if (rc == ESIGN_OK)
        rc = cms_dtbs_digest(buf_bytes(&j->signed_attributes), j->algorithm, &j->digest, f);
    return rc;
}
