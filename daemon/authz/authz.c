#include "authz/authz.h"

#include <string.h>
#include <strings.h>

static const struct authz_dual authz_duals[] = {
    {"signer.enroll", "regadmin", "secofficer"},  {"application.add", "regadmin", "secofficer"},
    {"terminal.add", "regadmin", "secofficer"},   {"credential.reset", "regadmin", "secofficer"},
    {"restore.accept", "regadmin", "secofficer"}, {"card.register", "regadmin", "secofficer"},
};

bool authz_has_role(const json_t *signer, const char *role)
{
    const json_t *roles = json_object_get(signer, "roles");

    for (size_t i = 0; i < json_array_size(roles); i++)
        if (strcmp(json_string_value(json_array_get(roles, i)), role) == 0)
            return true;
    return false;
}

const struct authz_dual *authz_dual_find(const char *action)
{
    for (size_t i = 0; i < sizeof(authz_duals) / sizeof(authz_duals[0]); i++)
        if (strcmp(authz_duals[i].action, action) == 0)
            return &authz_duals[i];
    return NULL;
}

enum esign_rc authz_dual_decide(const struct authz_dual *dual, const json_t *signer,
                                const char *requester, const char *subject, struct fault *f)
{
    const char *signer_id = json_str(signer, "signer_id");

    /* persons are compared, not accounts: one person has one signer_id for ever */
    if (strcmp(signer_id, requester) == 0)
        return fault_set(f, ESIGN_E_DUAL_SELF, "another person than the one who asked must decide");
    if (subject && strcmp(signer_id, subject) == 0)
        return fault_set(f, ESIGN_E_DUAL_SELF, "the person whom it concerns can't decide");
    if (!authz_has_role(signer, dual->approve_role))
        return fault_reason(f, ESIGN_E_AUTHZ, dual->approve_role, "this needs the role %s",
                            dual->approve_role);
    return ESIGN_OK;
}

const char *authz_ticket_state(const json_t *ticket, int64_t now_ms)
{
    const char *state = json_str(ticket, "state");

    if (strcmp(state, "ready") == 0 && now_ms >= json_int(ticket, "expires_ms", 0))
        return "expired";
    return state;
}

bool authz_ticket_is_for(const json_t *ticket, const char *user_id)
{
    const char *wanted = json_str(ticket, "signer");

    return !wanted || strcasecmp(wanted, user_id) == 0; /* codes are ASCII */
}

static enum esign_rc authz_ticket(const struct authz_signing *s, struct fault *f)
{
    const char *state = authz_ticket_state(s->ticket, s->now_ms);
    const char *owner = json_str(s->ticket, "application");

    if (strcmp(state, "signing") == 0 || strcmp(state, "signed") == 0)
        return fault_set(f, ESIGN_E_REPLAY, "this ticket was authorised before");
    if (strcmp(state, "ready") != 0)
        return fault_reason(f, ESIGN_E_CONFLICT, state, "this ticket is %s", state);
    if (!authz_ticket_is_for(s->ticket, json_str(s->signer, "user_id")))
        return fault_set(f, ESIGN_E_AUTHZ, "this ticket is for another signer");
    /* an application may authorise its own tickets only; at a terminal every signer sees his own */
    if (s->application && (!owner || strcmp(owner, s->application) != 0))
        return fault_set(f, ESIGN_E_AUTHZ, "this ticket belongs to another application");
    return ESIGN_OK;
}

static enum esign_rc authz_meaning(const struct authz_signing *s, struct fault *f)
{
    if (json_flag(s->meaning, "reason_required") && !json_str(s->ticket, "reason"))
        return fault_field(f, ESIGN_E_REASON_REQUIRED, "reason",
                           "the meaning \"%s\" needs a reason", json_str(s->meaning, "code"));
    return ESIGN_OK;
}

/* The plan's step: it exists and allows the meaning. */
static enum esign_rc authz_step(const struct authz_signing *s, struct fault *f)
{
    const json_t *steps = json_object_get(s->plan, "steps");
    const char *step = json_str(s->ticket, "step"), *code = json_str(s->meaning, "code");

    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *row = json_array_get(steps, i);
        if (strcmp(json_str(row, "id"), step) != 0)
            continue;
        const json_t *meanings = json_object_get(row, "meanings");
        for (size_t k = 0; k < json_array_size(meanings); k++)
            if (strcmp(json_string_value(json_array_get(meanings, k)), code) == 0)
                return ESIGN_OK;
        return fault_reason(f, ESIGN_E_MEANING, "denied",
                            "the step %s does not allow the meaning \"%s\"", step, code);
    }
    return fault_field(f, ESIGN_E_SEQUENCE, "step", "the plan has no step \"%.40s\"", step);
}

enum esign_rc authz_sign(const struct authz_signing *s, struct fault *f)
{
    enum esign_rc rc = authz_ticket(s, f);

    if (rc == ESIGN_OK && !authz_has_role(s->signer, "signer"))
        rc = fault_reason(f, ESIGN_E_AUTHZ, "signer", "this person does not have the role signer");
    if (rc == ESIGN_OK)
        rc = authz_meaning(s, f);
    if (rc == ESIGN_OK)
        rc = authz_step(s, f);
    return rc;
}
