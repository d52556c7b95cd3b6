/* Enrolment of a signer by two officers: evidence first, nothing is issued before the second says
 * yes. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "register/register_internal.h"

static const struct json_field enroll_fields[] = {
    {"user_id", JSON_FIELD_STR, true, 64},    {"printed_name", JSON_FIELD_STR, true, 64},
    {"title", JSON_FIELD_STR, true, 64},      {"role", JSON_FIELD_STR, false, 64},
    {"group", JSON_FIELD_STR, false, 32},     {"roles", JSON_FIELD_ARRAY, false, 4},
    {"evidence", JSON_FIELD_OBJECT, true, 0},
};

/* Roles that a person may be given. */
static enum esign_rc enroll_check_roles(const json_t *roles, struct fault *f)
{
    static const char *const known[] = {"signer", "regadmin", "secofficer"};

    for (size_t i = 0; i < json_array_size(roles); i++) {
        const char *role = json_string_value(json_array_get(roles, i));
        bool fits = false;
        for (size_t k = 0; role && k < sizeof(known) / sizeof(known[0]); k++)
            fits = fits || strcmp(role, known[k]) == 0;
        if (!fits)
            return fault_field(f, ESIGN_E_PROTO, "params.roles",
                               "roles are signer, regadmin and secofficer");
    }
    return json_array_size(roles) > 0
               ? ESIGN_OK
               : fault_field(f, ESIGN_E_PROTO, "params.roles", "at least one role is needed");
}

static enum esign_rc enroll_check(const json_t *params, struct fault *f)
{
    enum esign_rc rc = json_check(params, "params", enroll_fields,
                                  sizeof(enroll_fields) / sizeof(enroll_fields[0]), f);

    if (rc == ESIGN_OK)
        rc = register_check_names(params, "params:", f);
    if (rc == ESIGN_OK && json_object_get(params, "roles"))
        rc = enroll_check_roles(json_object_get(params, "roles"), f);
    if (rc == ESIGN_OK && json_str(params, "role") && !text_is_line(json_str(params, "role"), 64))
        rc = fault_field(f, ESIGN_E_PROTO, "params.role", "the role is a line of at most 64 bytes");
    return rc;
}

enum esign_rc register_add_signer(const json_t *params, const char *signer_id, const json_t *roles,
                                  const json_t *evidence, const char *state,
                                  const char *enrolled_by, json_t *bag, struct store_change *change,
                                  struct fault *f)
{
    static const char userid_kind[] = "userid", evidence_kind[] = "evidence",
                      signer_kind[] = "signer";
    char key[65];

    authn_user_key(json_str(params, "user_id"), key);
    json_t *signer = register_keep(
        bag, json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*, s:O, s:s, s:O, s:s}", "signer_id",
                       signer_id, "user_id", json_str(params, "user_id"), "printed_name",
                       json_str(params, "printed_name"), "title", json_str(params, "title"), "role",
                       json_str(params, "role"), "group", json_str(params, "group"), "roles", roles,
                       "state", state, "evidence", evidence, "enrolled_by", enrolled_by));
    json_t *link = register_keep(bag, json_pack("{s:s, s:s}", "signer_id", signer_id, "key", key));
    json_t *number = register_keep(bag, json_pack("{s:s}", "signer_id", signer_id));
    if (!signer || !link || !number)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    site_put(change, signer_kind, json_str(signer, "signer_id"), signer);
    site_put(change, userid_kind, json_str(link, "key"), link);
    site_put(change, evidence_kind, json_str(signer, "evidence.number_hash"), number);
    return ESIGN_OK;
}

/* New ids must never have been used. */
static void enroll_guard(struct store_change *change)
{
    for (size_t i = 0; i < change->row_count; i++)
        if (strcmp(change->rows[i].kind, "signer") == 0 ||
            strcmp(change->rows[i].kind, "userid") == 0 ||
            strcmp(change->rows[i].kind, "evidence") == 0)
            site_guard(change, change->rows[i].kind, change->rows[i].id, -1);
}

static enum esign_rc enroll_check_group(struct site *s, const json_t *params, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    enum esign_rc rc = site_policy(s, &policy, NULL, f);

    return rc == ESIGN_OK ? register_custody_check_group(policy, json_str(params, "group"), f) : rc;
}

static enum esign_rc enroll_request(struct site *s, const struct authn_person *officer,
                                    const json_t *params, struct store_change *change,
                                    json_t *approval, struct fault *f)
{
    CLEANUP(buf_done) struct buf key = buf_new(64);
    CLEANUP(json_decref_p) json_t *evidence = NULL;
    CLEANUP(json_decref_p) json_t *fallback = json_pack("[s]", "signer");
    char signer_id[SITE_ID_MAX], object[SITE_ID_MAX + 8];
    enum esign_rc rc = enroll_check(params, f);

    if (rc == ESIGN_OK)
        rc = enroll_check_group(s, params, f);
    if (rc == ESIGN_OK)
        rc = register_evidence_key(s, &key, f);
    if (rc == ESIGN_OK)
        rc = register_evidence(json_object_get(params, "evidence"), "params.evidence",
                               buf_bytes(&key), officer->signer_id, &evidence, f);
    if (rc != ESIGN_OK)
        return rc;
    site_new_id('S', signer_id);
    (void)snprintf(object, sizeof(object), "signer/%s", signer_id);
    const json_t *roles = json_object_get(params, "roles");
    json_t *bag = json_object_get(approval, "bag");
    rc = register_add_signer(params, signer_id, roles ? roles : fallback, evidence, "proofed",
                             officer->signer_id, bag, change, f);
    if (rc != ESIGN_OK)
        return rc;
    enroll_guard(change);
    if (json_object_set_new(approval, "object", json_string(object)) != 0 ||
        json_object_set_new(approval, "signer_id", json_string(signer_id)) != 0 ||
        json_object_set_new(approval, "user_id", json_string(json_str(params, "user_id"))) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an approval");
    return ESIGN_OK;
}

/* The signer's row, guarded; kept in the approval's bag. */
static enum esign_rc enroll_signer(struct site *s, json_t *approval, struct store_change *change,
                                   json_t **ret, struct fault *f)
{
    json_t *signer = NULL;
    int64_t seq = -1;
    const char *signer_id = json_str(approval, "signer_id");
    enum esign_rc rc = store_get(site_store(s), "signer", signer_id, &signer, &seq, f);

    if (rc != ESIGN_OK)
        return rc;
    if (!register_keep(json_object_get(approval, "bag"), signer))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    site_guard(change, "signer", signer_id, seq);
    *ret = signer;
    return ESIGN_OK;
}

/* The signer's row in its next state; only a draft moves. */
static enum esign_rc enroll_move(json_t *signer, const char *state, const char *approved_by,
                                 struct store_change *change, struct fault *f)
{
    const char *now = json_str(signer, "state");

    if (strcmp(now, "proofed") != 0)
        return fault_reason(f, ESIGN_E_CONFLICT, now, "the signer is %s", now);
    if (json_object_set_new(signer, "state", json_string(state)) != 0 ||
        (approved_by && json_object_set_new(signer, "approved_by", json_string(approved_by)) != 0))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    site_put(change, "signer", json_str(signer, "signer_id"), signer);
    return ESIGN_OK;
}

static enum esign_rc enroll_approve(struct site *s, const struct authn_person *officer,
                                    json_t *approval, struct store_change *change, json_t *reply,
                                    struct fault *f)
{
    json_t *signer = NULL;
    enum esign_rc rc = enroll_signer(s, approval, change, &signer, f);

    if (rc == ESIGN_OK)
        rc = enroll_move(signer, "approved", officer->signer_id, change, f);
    return rc == ESIGN_OK ? register_issue_secret(s, approval, change, reply, f) : rc;
}

static enum esign_rc enroll_decline(struct site *s, json_t *approval, struct store_change *change,
                                    struct fault *f)
{
    json_t *signer = NULL;
    enum esign_rc rc = enroll_signer(s, approval, change, &signer, f);

    if (rc != ESIGN_OK || strcmp(json_str(signer, "state"), "revoked") == 0)
        return rc; /* an officer was faster: only the request is left to be ended */
    return enroll_move(signer, "revoked", NULL, change, f);
}

const struct register_action register_enroll_action = {"signer.enroll", enroll_request,
                                                       enroll_approve, enroll_decline, true};
