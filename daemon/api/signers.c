/* /v1/signers: the people who sign. */
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "base/cleanup.h"

enum { SIGNERS_HISTORY_MAX = 500 };

/* Evidence of identity and what was done to the password are shown at terminals only. */
static json_t *signers_view_application(struct site *s, const json_t *signer)
{
    json_t *view = register_signer_view(s, signer);

    if (!view)
        return NULL;
    (void)json_object_del(view, "evidence"); /* absent: nothing to do, also below */
    (void)json_object_del(view, "credential");
    return view;
}

static json_t *signers_view(const struct api_request *request, const json_t *signer)
{
    return handler_application(request) ? signers_view_application(handler_site(request), signer)
                                        : register_signer_view(handler_site(request), signer);
}

HANDLER(handle_signer_list)
{
    const struct handler_list list = {
        .kind = "signer",
        .view = handler_application(request) ? signers_view_application : register_signer_view};

    return handler_list(request, &list, reply, f);
}

/* The signer's certificate beside the row. */
static enum esign_rc signers_add_certificate(struct site *s, const json_t *signer, json_t *view,
                                             struct fault *f)
{
    CLEANUP(json_decref_p) json_t *key = NULL;
    CLEANUP(buf_done) struct buf der = buf_new(SITE_CERT_MAX);
    const char *key_id = json_str(signer, "key");

    if (!key_id)
        return ESIGN_OK;
    enum esign_rc rc = store_get(site_store(s), "key", key_id, &key, NULL, f);
    if (rc == ESIGN_OK)
        rc = site_decode(key, "certificate", &der, f);
    if (rc != ESIGN_OK)
        return rc;
    /* by its key the terminal finds the signer's own card */
    bool card = strcmp(json_str(key, "custody"), "K3") == 0;
    return json_object_set_new(view, "certificate", handler_pem(buf_bytes(&der))) == 0 &&
                   (!card ||
                    (json_object_set(view, "spki", json_object_get(key, "spki")) == 0 &&
                     json_object_set(view, "card_sha256", json_object_get(key, "card_sha256")) ==
                         0 &&
                     (!json_object_get(key, "tested") ||
                      json_object_set(view, "card_tested", json_object_get(key, "tested")) == 0)))
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

/* Whether the signer has not signed since the last reset: then the next signing must show it. */
static enum esign_rc signers_add_unseen(struct site *s, const json_t *signer, json_t *view,
                                        struct fault *f)
{
    CLEANUP(json_decref_p) json_t *newest = NULL;
    json_t *credential = json_object_get(view, "credential");
    const char *at = json_str(credential, "reset_at");
    int64_t count = 0;

    if (!at)
        return ESIGN_OK;
    enum esign_rc rc = store_tally(site_store(s), "signature", "user_id",
                                   json_str(signer, "user_id"), &count, &newest, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *signed_at = json_str(newest, "envelope.time.utc");
    bool unseen = !signed_at || strcmp(signed_at, at) <= 0; /* both in UTC */
    return json_object_set_new(credential, "reset_unseen", json_boolean(unseen)) == 0
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

HANDLER(handle_signer_get)
{
    struct site *s = handler_site(request);
    CLEANUP(json_decref_p) json_t *signer = NULL;
    enum esign_rc rc = authn_find_signer(site_store(s), request->id, &signer, NULL, f);

    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *view = signers_view(request, signer);
    if (!view)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    rc = signers_add_certificate(s, signer, view, f);
    if (rc == ESIGN_OK)
        rc = signers_add_unseen(s, signer, view, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, TAKE(view), f) : rc;
}

static const struct json_field signers_statement_fields[] = {
    {"code", JSON_FIELD_STR, true, 64},
    {"version", JSON_FIELD_INT, true, 0},
};

HANDLER(handle_signer_activate)
{
    CLEANUP(handler_secrets_done) struct handler_secrets secrets = {0};
    const struct register_origin origin = handler_origin(request);
    const json_t *statement = json_object_get(request->body, "accept_statement");
    json_t *view = NULL;
    enum esign_rc rc = json_check(statement, "accept_statement", signers_statement_fields, 2, f);

    if (rc == ESIGN_OK)
        rc = handler_take_secrets(request, &secrets, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct register_activation activation = {
        .user_id = request->id,
        .receipt = secrets.receipt,
        .half = secrets.half,
        .password = secrets.password,
        .statement_code = json_str(statement, "code"),
        .statement_version = json_int(statement, "version", 0),
        .algorithm = json_str(request->body, "algorithm")};
    rc = register_activate(handler_site(request), &origin, &activation, &view, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, json_pack("{s:o}", "signer", view), f) : rc;
}

enum esign_rc handler_signer_act(struct api_request *request, const char *role2, const char *action,
                                 handler_signer_change change, struct api_reply *reply,
                                 struct fault *f)
{
    CLEANUP(authn_person_done) struct authn_person officer = {0};
    CLEANUP(json_decref_p) json_t *signer = NULL;
    const struct register_origin origin = handler_origin(request);
    struct site *s = handler_site(request);
    char object[API_ID_MAX + 16];
    enum esign_rc rc = handler_officer(request, "secofficer", role2, &officer, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = change(s, &origin, &officer, request->id, json_str(request->body, "reason"), f);
    (void)snprintf(object, sizeof(object), "userid/%s", request->id);
    rc = handler_settle(request, &officer, action, object, rc, f);
    if (rc == ESIGN_OK)
        rc = authn_find_signer(site_store(s), request->id, &signer, NULL, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, register_signer_view(s, signer), f) : rc;
}

HANDLER(handle_signer_revoke)
{
    return handler_signer_act(request, "regadmin", "signer.revoke", register_revoke, reply, f);
}

HANDLER(handle_signer_unlock)
{
    return handler_signer_act(request, NULL, "signer.unlock", register_unlock, reply, f);
}

HANDLER(handle_signer_unlock_officer)
{
    const struct register_origin origin = handler_origin(request);
    CLEANUP(json_decref_p) json_t *signer = NULL;
    struct site *s = handler_site(request);
    enum esign_rc rc = register_unlock_officer(s, &origin, request->peer.uid, request->id,
                                               json_str(request->body, "reason"), f);

    if (rc == ESIGN_OK)
        rc = authn_find_signer(site_store(s), request->id, &signer, NULL, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, register_signer_view(s, signer), f) : rc;
}

/* One entry of the trail, if it is about this signer's state. */
static enum esign_rc signers_history_one(struct site *s, int64_t seq, const char *object,
                                         json_t *items, struct fault *f)
{
    CLEANUP(buf_done) struct buf text = buf_new(STORE_ENTRY_MAX);
    CLEANUP(json_decref_p) json_t *entry = NULL;
    enum esign_rc rc = store_entry(site_store(s), seq, &text, f);

    if (rc == ESIGN_OK)
        rc = json_parse_object(buf_bytes(&text), &entry, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *about = json_str(entry, "object");
    if (!about || strcmp(about, object) != 0 || json_array_size(items) >= SIGNERS_HISTORY_MAX)
        return ESIGN_OK;
    return json_array_append(items, entry) == 0
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a list");
}

HANDLER(handle_signer_history)
{
    struct site *s = handler_site(request);
    CLEANUP(json_decref_p) json_t *signer = NULL;
    CLEANUP(json_decref_p) json_t *items = json_array();
    char object[SITE_ID_MAX + 16];
    enum esign_rc rc = authn_find_signer(site_store(s), request->id, &signer, NULL, f);

    if (rc != ESIGN_OK)
        return rc;
    (void)snprintf(object, sizeof(object), "signer/%s", json_str(signer, "signer_id"));
    for (int64_t seq = 0; rc == ESIGN_OK && seq < store_size(site_store(s)); seq++) {
        rc = signers_history_one(s, seq, object, items, f);
        if (rc == ESIGN_OK && clock_mono_ms(site_clock(s)) >= request->deadline_at_ms)
            rc = fault_set(f, ESIGN_E_DEADLINE, "the trail is too long to be searched in time");
    }
    return rc == ESIGN_OK ? handler_reply(reply, 200, json_pack("{s:O}", "items", items), f) : rc;
}
