/* Opening and closing a session, as acts of the trail. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "sign/sign.h"

enum { SESSION_IDLE_S = 300, SESSION_ABSOLUTE_S = 28800, SESSION_ABSENT_S = 30 };

/* What the policy says of sessions, and its generation. */
struct session_rules {
    int64_t idle_s, absolute_s, policy_seq;
    int64_t absent_s; /* 0: connections don't matter */
};

static enum esign_rc session_rules(struct site *s, const struct sign_opening *o,
                                   struct session_rules *ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    enum esign_rc rc = site_policy(s, &policy, &ret->policy_seq, f);

    ret->idle_s = json_int(policy, "session.idle_s", SESSION_IDLE_S);
    ret->absolute_s = json_int(policy, "session.absolute_s", SESSION_ABSOLUTE_S);
    ret->absent_s = o->presence ? json_int(policy, "session.absent_s", SESSION_ABSENT_S) : 0;
    return rc;
}

/* Entered before the handle leaves: with the try of the person, and only if nothing has moved. */
static enum esign_rc session_enter(struct site *s, const struct sign_opening *o,
                                   const struct session_rules *rules, const char *hash,
                                   struct fault *f)
{
    char object[SESSION_HANDLE_LEN + 16];
    struct store_change change = {0};
    struct store_receipt receipt;
    CLEANUP(json_decref_p)
    json_t *new_value =
        json_pack("{s:I, s:I, s:I}", "idle_s", (json_int_t)rules->idle_s, "absolute_s",
                  (json_int_t)rules->absolute_s, "absent_s", (json_int_t)rules->absent_s);

    authn_settle_into(o->person, &change);
    site_guard(&change, "policy", "policy", rules->policy_seq);
    (void)snprintf(object, sizeof(object), "session/%s", hash);
    const struct audit_act act = {.action = "session.open",
                                  .object = object,
                                  .actor = {o->person->signer_id, o->person->user_id, "signer", 0},
                                  .application = o->place.application,
                                  .terminal = o->place.terminal,
                                  .new_value = new_value};
    return site_commit(s, &act, &change, o->deadline_at_ms, &receipt, f);
}

/* When the signer last signed and how often: who sees what is not theirs can report it.
 * ret: owned by the caller; NULL: never.  Source: 21 CFR 11.200(a)(2). */
static enum esign_rc session_last(struct site *s, const char *user_id, json_t **ret,
                                  struct fault *f)
{
    CLEANUP(json_decref_p) json_t *newest = NULL;
    int64_t count = 0;
    enum esign_rc rc =
        store_tally(site_store(s), "signature", "user_id", user_id, &count, &newest, f);

    if (rc != ESIGN_OK || !newest)
        return rc;
    *ret = json_pack("{s:I, s:s, s:s}", "count", (json_int_t)count, "signature",
                     json_str(newest, "signature"), "time", json_str(newest, "envelope.time.utc"));
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

/* That officers ended the password since the signer's last signature, and which.
 * ret: owned by the caller; NULL: nobody did.  Source: requirements 1.6, A1. */
static enum esign_rc session_reset(struct site *s, const char *signer_id, const json_t *last,
                                   json_t **ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *credential = NULL;
    enum esign_rc rc = store_get(site_store(s), "credential", signer_id, &credential, NULL, f);
    const char *at = json_str(credential, "reset_at"), *signed_at = json_str(last, "time");

    if (rc != ESIGN_OK || !at || (signed_at && strcmp(signed_at, at) > 0)) /* both in UTC */
        return rc;
    *ret = json_pack("{s:s, s:O}", "time", at, "by", json_object_get(credential, "reset_by"));
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

/* What only the signer can judge: {"last_signing"?, "password_reset"?}.  ret: owned by the caller.
 */
static enum esign_rc session_tell(struct site *s, const struct authn_person *person, json_t **ret,
                                  struct fault *f)
{
    CLEANUP(json_decref_p) json_t *last = NULL;
    CLEANUP(json_decref_p) json_t *reset = NULL;
    enum esign_rc rc = session_last(s, person->user_id, &last, f);

    if (rc == ESIGN_OK)
        rc = session_reset(s, person->signer_id, last, &reset, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret = json_pack("{s:O*, s:O*}", "last_signing", last, "password_reset", reset);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

static json_t *session_view(const struct sign_opening *o, const struct session_rules *rules,
                            const char *handle, json_t *told)
{
    json_t *view = json_pack("{s:s, s:I, s:I, s:I, s:{s:s, s:s, s:s}}", "session", handle, "idle_s",
                             (json_int_t)rules->idle_s, "absolute_s", (json_int_t)rules->absolute_s,
                             "absent_s", (json_int_t)rules->absent_s, "signer", "signer_id",
                             o->person->signer_id, "user_id", o->person->user_id, "printed_name",
                             json_str(o->person->signer, "printed_name"));

    if (view && json_object_update(view, told) != 0) {
        json_decref(view);
        return NULL;
    }
    return view;
}

/* From the set to the reply: entered while it is leased, then given to its opener or dropped. */
static enum esign_rc session_open(struct site *s, const struct sign_opening *o,
                                  const struct session_rules *rules, json_t *told, json_t **ret,
                                  struct fault *f)
{
    char handle[SESSION_HANDLE_LEN + 1];
    struct session_lease lease = {0};
    const struct session_opening opening = {
        .signer_id = o->person->signer_id,
        .user_id = o->person->user_id,
        .password = o->person->sealing ? NULL : o->password, /* custody K2: see authenticate.c */
        .place = o->place,
        .limits = {rules->idle_s * 1000, rules->absolute_s * 1000, rules->absent_s * 1000},
        .generations = {o->person->signer_seq, o->person->credential_seq, rules->policy_seq}};
    enum esign_rc rc = authn_session_open(site_sessions(s), &opening, handle, &lease, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = session_enter(s, o, rules, lease.hash, f);
    if (rc == ESIGN_OK)
        *ret = session_view(o, rules, handle, told);
    if (rc == ESIGN_OK && !*ret)
        rc = fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    if (rc == ESIGN_OK)
        authn_session_give(site_sessions(s), &lease, true, false);
    else
        authn_session_end(site_sessions(s), &lease, SESSION_END_NONE);
    secret_wipe(handle, sizeof(handle));
    return rc;
}

enum esign_rc sign_session_open(struct site *s, const struct sign_opening *o, json_t **ret,
                                struct fault *f)
{
    struct session_rules rules = {0};
    CLEANUP(json_decref_p) json_t *told = NULL;
    enum esign_rc rc = session_rules(s, o, &rules, f);

    if (rc == ESIGN_OK)
        rc = session_tell(s, o->person, &told, f);
    return rc == ESIGN_OK ? session_open(s, o, &rules, told, ret, f) : rc;
}

enum esign_rc sign_session_close(struct site *s, const char *handle,
                                 const struct session_place *place, struct fault *f)
{
    return authn_session_close(site_sessions(s), handle, place, f);
}
