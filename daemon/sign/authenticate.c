/* Who signs: the components that this signing needs, by the session that it belongs to.
 *
 * Source: 21 CFR 11.200(a)(1)(i), (ii); requirements 3.4. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/turns.h"
#include "sign/job.h"

enum { AUTHENTICATE_ENTER_MS = 10000 };

static struct authn_claim authenticate_claim(const struct sign_job *j, const char *user_id)
{
    return (struct authn_claim){user_id,
                                j->act->password,
                                j->act->place.application,
                                j->act->place.terminal,
                                authn_limits_of(j->policy.body),
                                j->act->deadline_at_ms,
                                site_turns(j->site)};
}

/* Every signing outside of a session needs all components.  Source: 21 CFR 11.200(a)(1)(ii). */
static enum esign_rc authenticate_one_shot(struct sign_job *j, struct fault *f)
{
    if (!j->act->user_id || !j->act->password)
        return fault_reason(f, ESIGN_E_COMPONENTS_REQUIRED, "noncontinuous",
                            "outside of a session each signing needs components.user_id and "
                            "components.password");
    const struct authn_claim claim = authenticate_claim(j, j->act->user_id);
    j->mode = SIGN_ONE_SHOT;
    return authn_components(site_store(j->site), site_hash(j->site), &claim, &j->person, f);
}

/* Somebody else's code on a session: alarmed, and the session's signer is told by the refusal.
 * Source: 21 CFR 11.200(a)(2); requirements 3.4, S11. */
static enum esign_rc authenticate_other(struct sign_job *j, struct fault *f)
{
    char object[SESSION_HANDLE_LEN + 16];
    struct store_change change = {0};
    struct store_receipt receipt;

    (void)snprintf(object, sizeof(object), "session/%s", j->lease.hash);
    const struct audit_act act = {.action = "session.refused",
                                  .object = object,
                                  .result = ESIGN_E_SESSION,
                                  .result_reason = "peer",
                                  .actor = {.role = "peer", .uid = j->act->place.uid},
                                  .application = j->act->place.application,
                                  .terminal = j->act->place.terminal,
                                  .alert = AUDIT_ALERT_SESSION_OTHER_SIGNER};
    enum esign_rc rc =
        site_commit(j->site, &act, &change,
                    clock_mono_ms(site_clock(j->site)) + AUTHENTICATE_ENTER_MS, &receipt, f);
    return rc != ESIGN_OK
               ? rc
               : fault_reason(f, ESIGN_E_SESSION, "peer",
                              "the session is another signer's; sign without it, with all "
                              "components, or open a session");
}

static bool authenticate_policy_wants_id(const struct sign_job *j)
{
    return json_array_size(
               json_object_get(json_object_get(j->policy.body, "components"), "subsequent")) > 1;
}

/* Whether what was given is enough, and which kind of signing it makes. */
static enum esign_rc authenticate_given(struct sign_job *j, struct fault *f)
{
    const struct sign_act *act = j->act;
    bool first = j->lease.ordinal == 1;
    bool login = json_flag(j->policy.body, "session.login_counts_as_first");

    j->mode = !first ? SIGN_SUBSEQUENT : act->user_id ? SIGN_FIRST : SIGN_FIRST_BY_LOGIN;
    if (first && !login && (!act->user_id || !act->password))
        return fault_reason(f, ESIGN_E_COMPONENTS_REQUIRED, "first",
                            "the first signing of a session needs components.user_id and "
                            "components.password");
    /* a handle is no component, and an identification code is not private */
    if (!act->password)
        return fault_reason(f, ESIGN_E_COMPONENTS_REQUIRED, "policy",
                            "each signing needs components.password");
    if (!act->user_id && authenticate_policy_wants_id(j))
        return fault_reason(f, ESIGN_E_COMPONENTS_REQUIRED, "policy",
                            "the policy wants components.user_id at each signing");
    return ESIGN_OK;
}

/* A wrong password in a session counts as anywhere; a lock ends the session. */
static enum esign_rc authenticate_failed(struct sign_job *j, enum esign_rc refused, struct fault *f)
{
    struct fault asked = {0};
    bool locked = false;

    if (refused == ESIGN_E_AUTH_FAILED &&
        authn_is_locked(site_store(j->site), j->lease.signer_id,
                        authn_limits_of(j->policy.body).lock_after, &locked, &asked) == ESIGN_OK &&
        locked)
        refused = fault_reason(f, ESIGN_E_SIGNER_STATE, "locked",
                               "too many failures; ask an officer to unlock this signer");
    if (refused == ESIGN_E_SIGNER_STATE)
        authn_session_end(site_sessions(j->site), &j->lease, SESSION_END_SIGNER);
    return refused;
}

static enum esign_rc authenticate_still(struct sign_job *j, struct fault *f)
{
    const struct session_generations now = {j->person.signer_seq, j->person.credential_seq,
                                            j->policy.seq};

    return authn_session_still(site_sessions(j->site), &j->lease, &now, f);
}

/* By the slow hash: the first signing, and each one if the policy says so. */
static enum esign_rc authenticate_all(struct sign_job *j, struct fault *f)
{
    const struct authn_claim claim = authenticate_claim(j, j->lease.user_id);
    enum esign_rc rc =
        authn_components(site_store(j->site), site_hash(j->site), &claim, &j->person, f);

    if (rc != ESIGN_OK)
        return authenticate_failed(j, rc, f);
    rc = authenticate_still(j, f);
    /* custody K2 needs the password's key each time: the slow hash, not a verifier */
    if (rc == ESIGN_OK && !j->person.sealing && !authn_session_remembers(&j->lease))
        authn_session_remember(site_sessions(j->site), &j->lease, j->act->password);
    return rc;
}

/* What a refusal by the rows means for the session: it is over, and of the states only "locked" is
 * told to somebody who has proved nothing in this request. */
static enum esign_rc authenticate_moved(struct sign_job *j, enum esign_rc rc, struct fault *f)
{
    bool locked = strcmp(f->reason, "locked") == 0;

    if (rc != ESIGN_E_SIGNER_STATE && rc != ESIGN_E_CRED_STATE)
        return rc;
    authn_session_end(site_sessions(j->site), &j->lease,
                      rc == ESIGN_E_SIGNER_STATE ? SESSION_END_SIGNER : SESSION_END_CREDENTIAL);
    return locked ? rc
                  : fault_reason(f, ESIGN_E_COMPONENTS_REQUIRED, "noncontinuous",
                                 "the session has ended; sign with all components");
}

/* A wrong password that could not be counted ends the session: none is tried twice for nothing. */
static enum esign_rc authenticate_count(struct sign_job *j, const struct authn_claim *claim,
                                        struct fault *f)
{
    enum esign_rc rc = authn_count_failure(site_store(j->site), claim, j->lease.signer_id, f);

    if (rc != ESIGN_E_AUTH_FAILED)
        authn_session_end(site_sessions(j->site), &j->lease, SESSION_END_OUTCOME);
    return authenticate_failed(j, rc, f);
}

/* By the session's verifier: what the rows say comes first, since the verifier is as old as the
 * session.  The signer's turn is held until a failure is counted, so that of guesses here and in
 * slots, in all sessions, no more are looked at than failures are left. */
static enum esign_rc authenticate_quickly(struct sign_job *j, struct fault *f)
{
    const struct authn_claim claim = authenticate_claim(j, j->lease.user_id);
    CLEANUP(turn_end) struct turn turn = {0};
    enum esign_rc rc = turn_take(claim.turns, j->lease.signer_id, claim.deadline_at_ms, &turn, f);

    if (rc == ESIGN_OK)
        rc = authn_person_of(site_store(j->site), &claim, j->lease.signer_id, &j->person, f);
    if (rc != ESIGN_OK)
        return authenticate_moved(j, rc, f);
    rc = authenticate_still(j, f);
    if (rc != ESIGN_OK)
        return rc;
    if (authn_session_matches(&j->lease, j->act->password))
        return ESIGN_OK;
    authn_person_done(&j->person); /* proved nothing */
    return authenticate_count(j, &claim, f);
}

static bool authenticate_by_verifier(const struct sign_job *j)
{
    const char *verifier = json_str(j->policy.body, "session.verifier");

    return j->mode != SIGN_FIRST && authn_session_remembers(&j->lease) &&
           !(verifier && strcmp(verifier, "argon2id") == 0);
}

static enum esign_rc authenticate_in_session(struct sign_job *j, struct fault *f)
{
    const struct sign_act *act = j->act;
    enum esign_rc rc = authn_session_take(site_sessions(j->site), act->session, &act->place,
                                          act->deadline_at_ms, &j->lease, f);

    if (rc != ESIGN_OK)
        return rc;
    if (act->user_id && strcasecmp(act->user_id, j->lease.user_id) != 0) /* codes are ASCII */
        return authenticate_other(j, f);
    rc = authenticate_given(j, f);
    if (rc != ESIGN_OK)
        return rc;
    return authenticate_by_verifier(j) ? authenticate_quickly(j, f) : authenticate_all(j, f);
}

/* Components first; nothing else is told to a caller who has not proved them. */
enum esign_rc sign_step_authenticate(struct sign_job *j, struct fault *f)
{
    enum esign_rc rc = store_look(site_store(j->site), "policy", "policy", &j->policy, f);

    if (rc != ESIGN_OK)
        return rc;
    return j->act->session ? authenticate_in_session(j, f) : authenticate_one_shot(j, f);
}
