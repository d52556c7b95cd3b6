/* One act of signing on its way through the steps (steps.c).  Each step fills what the next ones
 * read. */
#pragma once

#include "cms/cms.h"
#include "sign/sign.h"

struct sign_job {
    struct site *site;
    const struct sign_act *act;

    /* authenticate */
    struct authn_person person;
    struct session_lease lease; /* of the session; none: one-shot */
    enum {
        SIGN_ONE_SHOT,
        SIGN_FIRST,          /* of a session, with all components */
        SIGN_FIRST_BY_LOGIN, /* with the private component: the policy counts the opening */
        SIGN_SUBSEQUENT
    } mode;
    /* authorise */
    struct {
        json_t *body; /* owned */
        int64_t seq;
    } ticket;
    struct store_view meaning, plan, policy, key, site_row; /* what is decided from */
    /* fix what is signed */
    char signature_id[SITE_ID_MAX];
    int64_t time_ms;
    enum token_algorithm algorithm;
    uint8_t key_id[TOKEN_KEY_ID_LEN];
    struct buf certificate, ca_certificate;
    struct buf wrapped, spki; /* custody K2: the key as the token gave it, and its public half */
    json_t *envelope;         /* owned */
    struct buf envelope_text, signed_attributes, digest;
    /* record the intent */
    json_t *intent; /* row; owned */
    int64_t intent_seq;
    bool intended; /* it is on disk: it must be ended, whatever happens */
    bool settled;  /* the try's slot was freed with it */
    /* K3: between intent and value */
    bool roomed, rests;
    size_t next;            /* the step after the rest */
    const char *end_reason; /* why it was given up, as the terminal said; borrowed */
    /* token, assemble */
    struct buf value, cms;
    /* record the outcome */
    json_t *signature; /* row; owned */
};

/* A job at its beginning; s and act are borrowed. */
struct sign_job sign_job_new(struct site *s, const struct sign_act *act);
void sign_job_done(struct sign_job *j);

/* The steps; each is documented in its file. */
enum esign_rc sign_step_authenticate(struct sign_job *j, struct fault *f) MUST_CHECK;
enum esign_rc sign_step_authorise(struct sign_job *j, struct fault *f) MUST_CHECK;
enum esign_rc sign_step_fix(struct sign_job *j, struct fault *f) MUST_CHECK;
enum esign_rc sign_step_intent(struct sign_job *j, struct fault *f) MUST_CHECK;
enum esign_rc sign_step_room(struct sign_job *j, struct fault *f) MUST_CHECK;
enum esign_rc sign_step_rest(struct sign_job *j, struct fault *f) MUST_CHECK;
enum esign_rc sign_step_value(struct sign_job *j, struct fault *f) MUST_CHECK;
enum esign_rc sign_step_token(struct sign_job *j, struct fault *f) MUST_CHECK;
enum esign_rc sign_step_assemble(struct sign_job *j, struct fault *f) MUST_CHECK;
enum esign_rc sign_step_outcome(struct sign_job *j, struct fault *f) MUST_CHECK;

/* Enter that the job failed for *f (left as it is): a refusal, or the end of a written intent. */
enum esign_rc sign_enter_failure(struct sign_job *j, struct fault *f) MUST_CHECK;

/* An act of this job's signer for the trail. */
struct audit_act sign_job_act(const struct sign_job *j, const char *action, const char *object);
const char *sign_job_ticket_id(const struct sign_job *j);
