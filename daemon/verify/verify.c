#include "verify/verify.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/log.h"
#include "sign/sign.h"
#include "verify/facts.h"

/* One verification. */
struct verify_job {
    struct site *site;
    const struct verify_request *request;
    json_t *facts, *row, *entry; /* row and entry of our signature; NULL: not found */
    int64_t entry_seq;
    const char *audit, *signer_state; /* for the context; NULL: unknown */
};

static void verify_job_done(struct verify_job *j)
{
    json_decref(j->facts);
    json_decref(j->row);
    json_decref(j->entry);
}

static enum esign_rc verify_facts(struct verify_job *j, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    CLEANUP(buf_done) struct buf anchor = buf_new(SITE_CERT_MAX);
    enum esign_rc rc = store_read(site_store(j->site), "site", "site", &row, NULL, f);

    if (rc == ESIGN_OK)
        rc = site_decode(row, "ca_certificate", &anchor, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct bytes anchors[] = {buf_bytes(&anchor)};
    const struct document_signature signature = {j->request->cms, j->request->record_digest,
                                                 anchors, 1, 0};
    int64_t own = clock_mono_ms(site_clock(j->site)) +
                  config_int(site_config(j->site), "document.deadline_ms");
    int64_t deadline = own < j->request->deadline_at_ms ? own : j->request->deadline_at_ms;
    return document_facts(site_document(j->site), &signature, deadline, &j->facts, f);
}

/* The signature's row, if these very bytes are the ones that were recorded. */
static enum esign_rc verify_row(struct verify_job *j, struct fault *f)
{
    const char *id = json_str(j->facts, "envelope.signature_id");
    uint8_t hash[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];

    j->audit = "absent";
    if (!id || !text_is_id(id, SITE_ID_MAX - 1))
        return ESIGN_OK;
    enum esign_rc rc = store_read(site_store(j->site), "signature", id, &j->row, &j->entry_seq, f);
    if (rc == ESIGN_E_CRED_STATE || rc == ESIGN_E_AUDIT_UNAVAILABLE) {
        j->audit = "broken";
        return ESIGN_OK;
    }
    if (rc != ESIGN_OK)
        return rc == ESIGN_E_NOT_FOUND ? ESIGN_OK : rc;
    bytes_sha256(j->request->cms, (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), hex);
    if (strcmp(hex, json_str(j->row, "cms_sha256")) != 0) {
        json_decref(j->row);
        j->row = NULL;
        return ESIGN_OK;
    }
    if (!verify_facts_settle(j->facts, json_object_get(j->row, "envelope"),
                             j->request->record_digest)) {
        log_error("facts contradict what was recorded signature=%s", id);
        json_decref(j->row);
        j->row = NULL;
        j->audit = "broken";
    }
    return ESIGN_OK;
}

/* Whether the entry's bytes are a leaf of the tree as it stands. */
static enum esign_rc verify_inclusion(struct verify_job *j, struct bytes entry, bool *ret,
                                      struct fault *f)
{
    static const uint8_t prefix[] = {0};
    CLEANUP(buf_done) struct buf proof = buf_new(64 * SHA256_LEN);
    struct audit_head head;
    uint8_t leaf[SHA256_LEN];
    enum esign_rc rc = audit_head(site_audit(j->site), &head, f);

    if (rc == ESIGN_OK)
        rc = audit_inclusion(site_audit(j->site), j->entry_seq, head.size, &proof, f);
    if (rc != ESIGN_OK)
        return rc;
    bytes_sha256(bytes_of(prefix, 1), entry, leaf);
    *ret = audit_inclusion_holds(leaf, j->entry_seq, &head, buf_bytes(&proof));
    return ESIGN_OK;
}

/* The outcome entry of the row: there, in the tree, and about these bytes. */
static enum esign_rc verify_entry(struct verify_job *j, struct fault *f)
{
    CLEANUP(buf_done) struct buf text = buf_new(STORE_ENTRY_MAX);
    bool included = false;

    if (!j->row)
        return ESIGN_OK;
    j->audit = "broken";
    enum esign_rc rc = store_entry(site_store(j->site), j->entry_seq, &text, f);
    if (rc == ESIGN_OK)
        rc = verify_inclusion(j, buf_bytes(&text), &included, f);
    if (rc == ESIGN_E_NOT_FOUND)
        return ESIGN_OK;
    if (rc != ESIGN_OK)
        return rc;
    if (!included || json_parse_object(buf_bytes(&text), &j->entry, NULL) != ESIGN_OK)
        return ESIGN_OK;
    const char *action = json_str(j->entry, "action"), *hash = json_str(j->entry, "new.cms_sha256");
    if (action && strcmp(action, "signature.outcome") == 0 && hash &&
        strcmp(hash, json_str(j->row, "cms_sha256")) == 0)
        j->audit = "member";
    return ESIGN_OK;
}

/* Whether the outcome was entered after the signer's revocation.  Sequences decide, since times
 * can be equal; only a revocation that has no row of its own is judged by time. */
static enum esign_rc verify_revoked(const struct verify_job *j, const json_t *signer, bool *ret,
                                    struct fault *f)
{
    CLEANUP(json_decref_p) json_t *revocation = NULL;
    int64_t revoked_seq = -1, entered_ms = 0;
    enum esign_rc rc = store_read(site_store(j->site), "revocation", json_str(j->row, "signer_id"),
                                  &revocation, &revoked_seq, f);

    if (rc == ESIGN_OK)
        *ret = j->entry_seq > revoked_seq;
    if (rc != ESIGN_E_NOT_FOUND)
        return rc;
    rc = clock_parse_utc(json_str(j->entry, "time"), &entered_ms);
    if (rc != ESIGN_OK)
        return fault_set(f, rc, "an audit entry has no time");
    *ret = entered_ms >= json_int(signer, "revoked_ms", INT64_MAX);
    return ESIGN_OK;
}

/* The signer's state when the outcome was entered.  A recorded signature has a signer: a row that
 * is gone or was edited is a trail that does not hold, not a refusal of the question. */
static enum esign_rc verify_signer(struct verify_job *j, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *signer = NULL;
    bool revoked = false;

    if (!j->entry)
        return ESIGN_OK;
    enum esign_rc rc =
        store_read(site_store(j->site), "signer", json_str(j->row, "signer_id"), &signer, NULL, f);
    if (rc == ESIGN_OK)
        rc = verify_revoked(j, signer, &revoked, f);
    if (rc == ESIGN_E_NOT_FOUND || rc == ESIGN_E_CRED_STATE ||
        (rc == ESIGN_E_AUDIT_UNAVAILABLE && strcmp(f->reason, "tampered") == 0)) {
        j->audit = "broken";
        return ESIGN_OK;
    }
    if (rc == ESIGN_OK)
        j->signer_state = revoked ? "revoked" : "active";
    return rc;
}

static json_t *verify_checks(const struct verify_job *j, const struct document_context *context)
{
    struct document_check checks[DOCUMENT_CHECKS_MAX];
    size_t count = document_checks(j->facts, context, checks);
    json_t *array = json_array();

    for (size_t i = 0; array && i < count; i++) {
        json_t *row = json_pack("{s:s, s:s, s:s}", "name", checks[i].name, "result",
                                document_result_name(checks[i].result), "detail", checks[i].detail);
        if (json_array_append_new(array, row) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* What people want to read of our own signature; only if nothing of it has failed. */
static enum esign_rc verify_add_envelope(const struct verify_job *j,
                                         const struct document_verdict *verdict, json_t *reply,
                                         struct fault *f)
{
    const json_t *envelope = json_object_get(j->facts, "envelope");
    CLEANUP(buf_done) struct buf text = buf_new(8192);
    char line[128];

    if (!envelope || strcmp(verdict->indication, "TOTAL_FAILED") == 0)
        return ESIGN_OK;
    (void)snprintf(line, sizeof(line), "%s%s%s", verdict->indication, *verdict->reason ? " " : "",
                   verdict->reason);
    enum esign_rc rc = sign_manifestation(envelope, line, &text, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p)
    json_t *shown = json_pack(
        "{s:O*, s:O*, s:O*, s:O*, s:O*, s:s}", "signature",
        json_object_get(envelope, "signature_id"), "signer", json_object_get(envelope, "signer"),
        "meaning", json_object_get(envelope, "meaning"), "time", json_object_get(envelope, "time"),
        "record", json_object_get(envelope, "record"), "manifestation", buf_str(&text));
    return shown && json_object_update(reply, shown) == 0
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

static enum esign_rc verify_reply(const struct verify_job *j, json_t **ret, struct fault *f)
{
    const struct document_context context = {.record_type = j->request->record_type,
                                             .record_id = j->request->record_id,
                                             .record_version = j->request->record_version,
                                             .audit = j->audit,
                                             .signer_state = j->signer_state,
                                             .production = site_is_production(j->site)};
    struct document_verdict verdict;

    document_verdict(j->facts, &context, &verdict);
    json_t *reply = json_pack("{s:s, s:s, s:s, s:o, s:O}", "indication", verdict.indication,
                              "reason", verdict.reason, "detail", verdict.detail, "checks",
                              verify_checks(j, &context), "facts", j->facts);
    if (!reply)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    enum esign_rc rc = verify_add_envelope(j, &verdict, reply, f);
    if (rc != ESIGN_OK) {
        json_decref(reply);
        return rc;
    }
    *ret = reply;
    return ESIGN_OK;
}

enum esign_rc verify_signature(struct site *s, const struct verify_request *request, json_t **ret,
                               struct fault *f)
{
    CLEANUP(verify_job_done) struct verify_job j = {.site = s, .request = request, .entry_seq = -1};
    enum esign_rc rc = verify_facts(&j, f);

    if (rc == ESIGN_OK)
        rc = verify_row(&j, f);
    if (rc == ESIGN_OK)
        rc = verify_entry(&j, f);
    if (rc == ESIGN_OK)
        rc = verify_signer(&j, f);
    return rc == ESIGN_OK ? verify_reply(&j, ret, f) : rc;
}
