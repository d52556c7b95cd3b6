/* Tickets: signing requests that a person authorises once. */
#include <stdio.h>
#include <string.h>

#include "authz/authz.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "sign/sign.h"

enum { TICKET_NONCE_LEN = 16, TICKET_TEXT_MAX = 500 };

static const struct json_field ticket_record_fields[] = {
    {"type", JSON_FIELD_STR, true, 64},
    {"id", JSON_FIELD_STR, true, 128},
    {"version", JSON_FIELD_STR, true, 64},
    {"media_type", JSON_FIELD_STR, true, 128},
    {"content", JSON_FIELD_STR, false, SIGN_RECORD_MAX / 3 * 4 + 4},
    {"sha256", JSON_FIELD_STR, false, 2 * SHA256_LEN},
    {"length", JSON_FIELD_INT, false, 0},
};

/* The hash of the bytes that were handed over. */
static enum esign_rc ticket_hash_content(const char *content, char ret_hash[2 * SHA256_LEN + 1],
                                         int64_t *ret_length, struct fault *f)
{
    CLEANUP(buf_done) struct buf bytes = buf_new(SIGN_RECORD_MAX);
    uint8_t hash[SHA256_LEN];
    enum esign_rc rc = decode_base64(content, strlen(content), &bytes);

    if (rc != ESIGN_OK)
        return fault_field(f, rc, "record.content",
                           "the content must be base64 of at most %d bytes", SIGN_RECORD_MAX);
    bytes_sha256(buf_bytes(&bytes), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), ret_hash);
    *ret_length = (int64_t)bytes.len;
    return ESIGN_OK;
}

/* A hash instead of the bytes: a right of the application, and marked in the envelope. */
static enum esign_rc ticket_take_digest(const struct sign_request *r,
                                        char ret_hash[2 * SHA256_LEN + 1], int64_t *ret_length,
                                        struct fault *f)
{
    const char *text = json_str(r->record, "sha256");
    uint8_t hash[SHA256_LEN];

    if (!text || decode_hex(text, hash, sizeof(hash)) != ESIGN_OK)
        return fault_field(f, ESIGN_E_PROTO, "record.content",
                           "the record's content is missing (or sha256 and length)");
    if (!json_object_get(r->record, "length"))
        return fault_field(f, ESIGN_E_PROTO, "record.length",
                           "the length of the record is missing");
    if (!r->may_digest_only)
        return fault_reason(f, ESIGN_E_AUTHZ, "digest_only",
                            "only an application with the right \"digest_only\" may give a hash");
    (void)snprintf(ret_hash, 2 * SHA256_LEN + 1, "%s", text);
    *ret_length = json_int(r->record, "length", 0);
    return ESIGN_OK;
}

static enum esign_rc ticket_record(const struct sign_request *r, json_t **ret, struct fault *f)
{
    static const char *const lines[] = {"type", "id", "version", "media_type"};
    char hash[2 * SHA256_LEN + 1], field[32];
    int64_t length = 0;
    enum esign_rc rc =
        json_check(r->record, "record", ticket_record_fields,
                   sizeof(ticket_record_fields) / sizeof(ticket_record_fields[0]), f);

    for (size_t i = 0; rc == ESIGN_OK && i < sizeof(lines) / sizeof(lines[0]); i++) {
        (void)snprintf(field, sizeof(field), "record.%s", lines[i]);
        if (!text_is_line(json_str(r->record, lines[i]), 128))
            rc = fault_field(f, ESIGN_E_PROTO, field, "%s must be a line of text", field);
    }
    if (rc != ESIGN_OK)
        return rc;
    const char *content = json_str(r->record, "content");
    if (content && (json_object_get(r->record, "sha256") || json_object_get(r->record, "length")))
        return fault_field(f, ESIGN_E_PROTO, "record.sha256",
                           "give the content, or sha256 and length, not both");
    rc = content ? ticket_hash_content(content, hash, &length, f)
                 : ticket_take_digest(r, hash, &length, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:b}", "type", json_str(r->record, "type"),
                  "id", json_str(r->record, "id"), "version", json_str(r->record, "version"),
                  "media_type", json_str(r->record, "media_type"), "length", (json_int_t)length,
                  "hash_algorithm", "sha-256", "hash", hash, "digest_only", content ? 0 : 1);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a record");
}

/* The step that is asked for: named, or the plan's first. */
static enum esign_rc ticket_step(struct site *s, const struct sign_request *r,
                                 struct store_view *ret_plan, const char **ret_step,
                                 struct fault *f)
{
    const char *plan = r->plan ? r->plan : "single";
    enum esign_rc rc = store_look(site_store(s), "plan", plan, ret_plan, f);

    if (rc == ESIGN_E_NOT_FOUND)
        return fault_field(f, ESIGN_E_SEQUENCE, "plan", "there is no plan \"%.40s\"", plan);
    if (rc != ESIGN_OK)
        return rc;
    const json_t *first = json_array_get(json_object_get(ret_plan->body, "steps"), 0);
    *ret_step = r->step ? r->step : json_str(first, "id");
    return ESIGN_OK;
}

static enum esign_rc ticket_check_texts(const struct sign_request *r, struct fault *f)
{
    if (r->reason && !text_is_line(r->reason, TICKET_TEXT_MAX))
        return fault_field(f, ESIGN_E_PROTO, "reason", "the reason must be a line of text");
    if (r->comment && !text_is_line(r->comment, TICKET_TEXT_MAX))
        return fault_field(f, ESIGN_E_PROTO, "comment", "the comment must be a line of text");
    if (r->signer && !text_is_id(r->signer, 64))
        return fault_field(f, ESIGN_E_PROTO, "signer", "the signer must be an identification code");
    return ESIGN_OK;
}

/* A ticket for somebody who can't sign it would wait in vain. */
static enum esign_rc ticket_check_signer(struct site *s, const char *user_id, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *signer = NULL;
    enum esign_rc rc = authn_find_signer(site_store(s), user_id, &signer, NULL, f);

    if (rc == ESIGN_E_NOT_FOUND)
        return fault_field(f, rc, "signer", "nobody has the identification code %.64s", user_id);
    if (rc != ESIGN_OK)
        return rc;
    const char *state = json_str(signer, "state");
    if (strcmp(state, "revoked") == 0)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, state, "the signer is %s", state);
    return authz_has_role(signer, "signer")
               ? ESIGN_OK
               : fault_field(f, ESIGN_E_AUTHZ, "signer", "this person does not sign");
}

/* What was found for a request. */
struct ticket_parts {
    json_t *record; /* owned */
    struct store_view meaning, plan, policy;
    const char *step;
};

static void ticket_parts_done(struct ticket_parts *p)
{
    json_decref(p->record);
    store_view_done(&p->meaning);
    store_view_done(&p->plan);
    store_view_done(&p->policy);
}

static enum esign_rc ticket_find(struct site *s, const struct sign_request *r,
                                 struct ticket_parts *p, struct fault *f)
{
    enum esign_rc rc = ticket_check_texts(r, f);

    if (rc == ESIGN_OK && r->signer)
        rc = ticket_check_signer(s, r->signer, f);
    if (rc == ESIGN_OK)
        rc = ticket_record(r, &p->record, f);
    if (rc != ESIGN_OK)
        return rc;
    if (!r->meaning)
        return fault_reason(f, ESIGN_E_MEANING, "missing", "say what the signature means");
    rc = text_is_id(r->meaning, 64)
             ? store_look(site_store(s), "meaning", r->meaning, &p->meaning, f)
             : ESIGN_E_NOT_FOUND;
    if (rc == ESIGN_E_NOT_FOUND)
        return fault_reason(f, ESIGN_E_MEANING, "unknown", "there is no meaning \"%.40s\"",
                            r->meaning);
    if (rc == ESIGN_OK)
        rc = ticket_step(s, r, &p->plan, &p->step, f);
    if (rc == ESIGN_OK)
        rc = store_look(site_store(s), "policy", "policy", &p->policy, f);
    return rc;
}

enum esign_rc sign_ticket_make(struct site *s, const struct sign_request *r, json_t **ret,
                               struct fault *f)
{
    CLEANUP(ticket_parts_done) struct ticket_parts p = {0};
    char id[SITE_ID_MAX], nonce[2 * TICKET_NONCE_LEN + 1], created[CLOCK_TEXT], expires[CLOCK_TEXT];
    uint8_t random[TICKET_NONCE_LEN];
    enum esign_rc rc = ticket_find(s, r, &p, f);

    if (rc != ESIGN_OK)
        return rc;
    int64_t now_ms = clock_now_ms(site_clock(s));
    int64_t expires_ms = now_ms + json_int(p.policy.body, "ticket.ttl_s", 900) * 1000;
    site_new_id('T', id);
    bytes_random(random, sizeof(random));
    encode_hex(bytes_of(random, sizeof(random)), nonce);
    clock_format_utc(now_ms, created);
    clock_format_utc(expires_ms, expires);
    json_t *ticket = json_pack(
        "{s:s, s:s, s:s, s:O, s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:s, s:s, s:I, s:I}",
        "ticket", id, "state", "ready", "nonce", nonce, "record", p.record, "meaning",
        json_str(p.meaning.body, "code"), "plan", json_str(p.plan.body, "id"), "step", p.step,
        "signer", r->signer, "reason", r->reason, "comment", r->comment, "application",
        r->application, "terminal", r->terminal, "created", created, "expires", expires,
        "expires_ms", (json_int_t)expires_ms, "uid", (json_int_t)r->uid);
    if (!ticket)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a ticket");
    *ret = ticket;
    return ESIGN_OK;
}

/* An act of the peer that owns or shows the ticket. */
static struct audit_act ticket_act(const char *action, const char *object, const char *application,
                                   const char *terminal, int64_t uid)
{
    return (struct audit_act){.action = action,
                              .object = object,
                              .actor = {.role = "peer", .uid = uid},
                              .application = application,
                              .terminal = terminal};
}

enum esign_rc sign_ticket_create(struct site *s, const json_t *ticket, struct sign_key *key,
                                 int64_t deadline_at_ms, struct fault *f)
{
    char object[SITE_ID_MAX + 16];
    struct store_change change = {0};
    struct store_receipt receipt;
    const char *id = json_str(ticket, "ticket");
    CLEANUP(json_decref_p)
    json_t *new_value = json_pack("{s:O, s:s}", "record", json_object_get(ticket, "record"),
                                  "meaning", json_str(ticket, "meaning"));

    (void)snprintf(object, sizeof(object), "ticket/%s", id);
    site_put(&change, "ticket", id, (json_t *)(uintptr_t)ticket); /* the store only reads bodies */
    site_guard(&change, "ticket", id, -1);
    sign_key_into(key, "ticket", id, &change);
    struct audit_act act = ticket_act("ticket.create", object, json_str(ticket, "application"),
                                      json_str(ticket, "terminal"), json_int(ticket, "uid", -1));
    act.new_value = new_value;
    return site_commit(s, &act, &change, deadline_at_ms, &receipt, f);
}

enum esign_rc sign_ticket_get(struct site *s, const char *id, json_t **ret, int64_t *ret_seq,
                              struct fault *f)
{
    enum esign_rc rc = store_get(site_store(s), "ticket", id, ret, ret_seq, f);

    return rc == ESIGN_E_NOT_FOUND ? fault_field(f, rc, "ticket", "there is no ticket %.64s", id)
                                   : rc;
}

static enum esign_rc ticket_end_check(const json_t *ticket, const struct sign_end *end,
                                      int64_t now_ms, struct fault *f)
{
    const char *state = authz_ticket_state(ticket, now_ms);
    const char *owner = json_str(ticket, "application");

    if (strcmp(state, "ready") != 0)
        return fault_reason(f, ESIGN_E_CONFLICT, state, "this ticket is %s", state);
    if (!end->reason)
        return fault_field(f, ESIGN_E_REASON_REQUIRED, "reason", "say why; it is entered");
    if (end->application && (!owner || strcmp(owner, end->application) != 0))
        return fault_set(f, ESIGN_E_AUTHZ, "this ticket belongs to another application");
    /* at a terminal whoever asked for the signature takes it back, others decline with components
     */
    if (!end->person && !end->application && json_int(ticket, "uid", -1) != end->uid)
        return fault_set(f, ESIGN_E_AUTHZ, "this ticket was made by somebody else");
    if (end->person && !authz_ticket_is_for(ticket, end->person->user_id))
        return fault_set(f, ESIGN_E_AUTHZ, "this ticket is for another signer");
    return ESIGN_OK;
}

enum esign_rc sign_ticket_end(struct site *s, const char *id, const struct sign_end *end,
                              int64_t deadline_at_ms, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *ticket = NULL;
    char object[SITE_ID_MAX + 16], action[32];
    struct store_change change = {0};
    struct store_receipt receipt;
    int64_t seq = -1;
    enum esign_rc rc = sign_ticket_get(s, id, &ticket, &seq, f);

    if (rc == ESIGN_OK)
        rc = ticket_end_check(ticket, end, clock_now_ms(site_clock(s)), f);
    if (rc != ESIGN_OK)
        return rc;
    if (json_object_set_new(ticket, "state", json_string(end->state)) ||
        json_object_set_new(ticket, "end_reason", json_string(end->reason)))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a ticket");
    (void)snprintf(object, sizeof(object), "ticket/%s", id);
    (void)snprintf(action, sizeof(action), "ticket.%s", end->state);
    site_put(&change, "ticket", id, ticket);
    site_guard(&change, "ticket", id, seq);
    struct audit_act act = ticket_act(action, object, end->application, end->terminal, end->uid);
    act.reason = end->reason;
    if (end->person) {
        authn_settle_into(end->person, &change);
        act.actor = (struct audit_actor){end->person->signer_id, end->person->user_id, "signer", 0};
    }
    return site_commit(s, &act, &change, deadline_at_ms, &receipt, f);
}

json_t *sign_ticket_view(struct site *s, const json_t *ticket)
{
    CLEANUP(json_decref_p) json_t *meaning = NULL;
    json_t *view = json_deep_copy(ticket);

    if (!view)
        return NULL;
    (void)json_object_del(view, "expires_ms"); /* "expires" says it for people */
    (void)json_object_del(view, "uid");
    int failed = json_object_set_new(
        view, "state", json_string(authz_ticket_state(ticket, clock_now_ms(site_clock(s)))));
    if (store_get(site_store(s), "meaning", json_str(ticket, "meaning"), &meaning, NULL, NULL) ==
        ESIGN_OK)
        failed |= json_object_set_new(
            view, "meaning",
            json_pack("{s:s, s:I, s:s, s:s}", "code", json_str(meaning, "code"), "version",
                      (json_int_t)json_int(meaning, "version", 0), "text",
                      json_str(meaning, "text"), "language", json_str(meaning, "language")));
    if (failed) {
        json_decref(view);
        return NULL;
    }
    return view;
}
