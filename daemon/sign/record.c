/* What is written about a signing: the intent before the token is asked, the outcome before the
 * reply leaves, and every failure.  Source: 21 CFR 11.10(e); design section 3. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/log.h"
#include "sign/card.h"

static json_t *record_ticket(const struct sign_job *j, const char *state)
{
    json_t *ticket = json_copy(j->ticket.body);

    if (!ticket || json_object_set_new(ticket, "state", json_string(state)) ||
        (strcmp(state, "signed") == 0 &&
         json_object_set_new(ticket, "signature", json_string(j->signature_id)))) {
        json_decref(ticket);
        return NULL;
    }
    return ticket;
}

static json_t *record_intent(const struct sign_job *j, const char *state)
{
    char digest[2 * 64 + 1];

    encode_hex(buf_bytes(&j->digest), digest);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "signature", j->signature_id, "state", state,
                     "ticket", sign_job_ticket_id(j), "signer_id", j->person.signer_id, "key",
                     json_str(j->key.body, "key"), "digest", digest);
}

/* The rows that the permit rests on must not have moved.  Source: requirements 5.23. */
static void record_guards(const struct sign_job *j, struct store_change *change)
{
    site_guard(change, "ticket", sign_job_ticket_id(j), j->ticket.seq);
    site_guard(change, "meaning", json_str(j->meaning.body, "code"), j->meaning.seq);
    site_guard(change, "plan", json_str(j->plan.body, "id"), j->plan.seq);
    site_guard(change, "policy", "policy", j->policy.seq);
    site_guard(change, "key", json_str(j->key.body, "key"), j->key.seq);
}

/* The signer's row or credential moved: what it says now is what people must know. */
static enum esign_rc record_signer_moved(const struct sign_job *j, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *signer = NULL;
    enum esign_rc rc =
        store_get(site_store(j->site), "signer", j->person.signer_id, &signer, NULL, f);

    if (rc != ESIGN_OK)
        return rc;
    const char *state = json_str(signer, "state");
    if (state && strcmp(state, "active") != 0)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, state, "the signer is %s", state);
    return fault_reason(f, ESIGN_E_CONFLICT, "generation",
                        "the signer's rights changed while this was decided; try again");
}

/* Which generation moved decides what is said. */
static enum esign_rc record_moved(const struct sign_job *j, enum esign_rc rc, struct fault *f)
{
    if (rc != ESIGN_E_CONFLICT)
        return rc;
    if (strncmp(f->field, "ticket/", 7) == 0)
        return fault_set(f, ESIGN_E_REPLAY, "this ticket was authorised before");
    if (strncmp(f->field, "signer/", 7) == 0 || strncmp(f->field, "credential/", 11) == 0)
        return record_signer_moved(j, f);
    return fault_reason(f, ESIGN_E_CONFLICT, "generation",
                        "rights or state changed while this was decided; try again");
}

enum esign_rc sign_step_intent(struct sign_job *j, struct fault *f)
{
    char object[SITE_ID_MAX + 16];
    struct store_change change = {0};
    struct store_receipt receipt;
    CLEANUP(json_decref_p) json_t *ticket = record_ticket(j, "signing");
    CLEANUP(json_decref_p)
    json_t *new_value =
        json_pack("{s:O, s:s}", "envelope", j->envelope, "ticket", sign_job_ticket_id(j));

    j->intent = record_intent(j, "open");
    site_put(&change, "intent", j->signature_id, j->intent);
    site_put(&change, "ticket", sign_job_ticket_id(j), ticket);
    authn_settle_into(&j->person, &change);
    record_guards(j, &change);
    sign_key_into(j->act->key, "signature", j->signature_id, &change);
    (void)snprintf(object, sizeof(object), "signature/%s", j->signature_id);
    struct audit_act act = sign_job_act(j, "signature.intent", object);
    act.new_value = new_value;
    enum esign_rc rc = record_moved(
        j, site_commit(j->site, &act, &change, j->act->deadline_at_ms, &receipt, f), f);
    if (rc == ESIGN_OK) {
        j->intended = j->settled = true;
        j->intent_seq = receipt.seq;
    }
    return rc;
}

static json_t *record_signature(const struct sign_job *j, struct fault *f)
{
    uint8_t hash[SHA256_LEN];
    char cms_hash[2 * SHA256_LEN + 1], record_key[2 * SHA256_LEN + 1];
    CLEANUP(buf_done) struct buf key = buf_new(1024);
    CLEANUP(buf_done) struct buf text = buf_new(8192);

    bytes_sha256(buf_bytes(&j->cms), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), cms_hash);
    buf_put_blob(&key, bytes_of_str(json_str(j->envelope, "record.type")));
    buf_put_blob(&key, bytes_of_str(json_str(j->envelope, "record.id")));
    bytes_sha256(buf_bytes(&key), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), record_key);
    if (sign_manifestation(j->envelope, NULL, &text, f) != ESIGN_OK)
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:O, s:s, s:o, s:s}", "signature",
                     j->signature_id, "state", "signed", "ticket", sign_job_ticket_id(j),
                     "signer_id", j->person.signer_id, "user_id", j->person.user_id, "record_key",
                     record_key, "cms_sha256", cms_hash, "envelope", j->envelope, "format",
                     "cades-b-b", "value", site_encode(buf_bytes(&j->cms)), "manifestation",
                     buf_str(&text));
}

/* The outcome is waited for without the request's deadline: the signature exists now and is either
 * recorded or never released. */
enum { RECORD_OUTCOME_MS = 30000 };

enum esign_rc sign_step_outcome(struct sign_job *j, struct fault *f)
{
    char object[SITE_ID_MAX + 16];
    struct store_change change = {0};
    struct store_receipt receipt;

    j->signature = record_signature(j, f);
    if (!j->signature)
        return fault_set(f, ESIGN_E_INTERNAL, "the signature's row can't be made");
    CLEANUP(json_decref_p) json_t *ticket = record_ticket(j, "signed");
    CLEANUP(json_decref_p) json_t *intent = record_intent(j, "done");
    CLEANUP(json_decref_p)
    json_t *new_value =
        json_pack("{s:s, s:s, s:s, s:O}", "cms_sha256", json_str(j->signature, "cms_sha256"),
                  "signature_id", j->signature_id, "ticket", sign_job_ticket_id(j), "record",
                  json_object_get(j->envelope, "record"));
    site_put(&change, "signature", j->signature_id, j->signature);
    site_put(&change, "intent", j->signature_id, intent);
    site_put(&change, "ticket", sign_job_ticket_id(j), ticket);
    site_guard(&change, "signature", j->signature_id, -1);
    site_guard(&change, "intent", j->signature_id, j->intent_seq); /* an intent ends once */
    /* whoever was revoked while the token worked has not signed */
    site_guard(&change, "signer", j->person.signer_id, j->person.signer_seq);
    site_guard(&change, "credential", j->person.signer_id, j->person.credential_seq);
    (void)snprintf(object, sizeof(object), "signature/%s", j->signature_id);
    struct audit_act act = sign_job_act(j, "signature.outcome", object);
    act.new_value = new_value;
    enum esign_rc rc =
        site_commit(j->site, &act, &change, clock_mono_ms(site_clock(j->site)) + RECORD_OUTCOME_MS,
                    &receipt, f);
    if (rc != ESIGN_OK)
        return record_moved(j, rc, f);
    j->intended = false;
    return json_object_set_new(j->signature, "entry_seq", json_integer(receipt.seq)) == 0
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

/* An intent that ends without a signature. */
static void record_abort(const struct sign_job *j, struct store_change *change, json_t *intent,
                         json_t *ticket)
{
    site_put(change, "intent", j->signature_id, intent);
    site_put(change, "ticket", sign_job_ticket_id(j), ticket);
    site_guard(change, "intent", j->signature_id, j->intent_seq);
}

/* What of a refusal is an attempt at unauthorised use.  Source: requirements 1.7. */
static enum audit_alert record_alert(const struct sign_job *j, const struct fault *f)
{
    if (f->rc == ESIGN_E_CRED_STATE &&
        (strcmp(f->reason, "tampered") == 0 || strncmp(f->reason, "blob-", 5) == 0))
        return AUDIT_ALERT_TAMPERED;
    bool other_value = sign_is_card(j) && f->rc == ESIGN_E_HSM && strcmp(f->reason, "value") == 0;

    return f->rc == ESIGN_E_REPLAY                           ? AUDIT_ALERT_REPLAY
           : f->rc == ESIGN_E_RECORD_MISMATCH || other_value ? AUDIT_ALERT_RECORD_SWAP
                                                             : AUDIT_ALERT_NONE;
}

enum esign_rc sign_enter_failure(struct sign_job *j, struct fault *f)
{
    char object[SITE_ID_MAX + 16];
    struct fault failed = *f;
    struct store_change change = {0};
    struct store_receipt receipt;
    CLEANUP(json_decref_p) json_t *intent = j->intended ? record_intent(j, "aborted") : NULL;
    CLEANUP(json_decref_p) json_t *ticket = j->intended ? record_ticket(j, "failed") : NULL;

    (void)snprintf(object, sizeof(object), "%s/%s", j->intended ? "signature" : "ticket",
                   j->intended ? j->signature_id : sign_job_ticket_id(j));
    struct audit_act act =
        sign_job_act(j, j->intended ? "signature.aborted" : "signature.refused", object);
    act.result = failed.rc;
    act.alert = record_alert(j, &failed);
    act.result_reason = failed.reason;
    act.reason = j->end_reason;
    if (j->intended)
        record_abort(j, &change, intent, ticket);
    if (!j->settled)
        authn_release_into(&j->person, &change);
    enum esign_rc rc =
        site_commit(j->site, &act, &change, clock_mono_ms(site_clock(j->site)) + RECORD_OUTCOME_MS,
                    &receipt, f);
    if (rc != ESIGN_OK) {
        log_error("a failed signing could not be entered object=%s code=%s", object,
                  fault_name(rc));
        authn_session_end(site_sessions(j->site), &j->lease, SESSION_END_OUTCOME);
        return rc;
    }
    *f = failed;
    return failed.rc;
}
