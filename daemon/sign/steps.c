/* The order of one signing.  This table is the only place where it stands.
 *
 *   step            where                     what exists afterwards
 *   socket          listen/                   peer by the kernel, bounded body
 *   request         api/                      typed request; raw body wiped
 *   authenticate .. outcome                   the table below
 *   reply           api/ -> listen/           JSON, or problem+json
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "sign/job.h"

static const struct sign_step {
    const char *name;
    enum esign_rc (*run)(struct sign_job *j, struct fault *f);
} sign_steps[] = {
    {"authenticate", sign_step_authenticate}, /* attempt counted, components right, a person */
    {"authorise", sign_step_authorise},       /* permit, and the generations that it rests on */
    {"fix", sign_step_fix},                   /* envelope, signed attributes, digest: fixed */
    {"intent", sign_step_intent},             /* durable: who, which digest, which key */
    {"token", sign_step_token},               /* signature value, checked */
    {"assemble", sign_step_assemble},         /* the CMS object */
    {"outcome", sign_step_outcome},           /* durable, with the signature's row */
};

static void sign_job_done(struct sign_job *j)
{
    struct job_row *rows[] = {&j->ticket, &j->meaning, &j->plan, &j->policy, &j->key, &j->site_row};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        json_decref(rows[i]->body);
    authn_person_done(&j->person);
    json_decref(j->envelope);
    json_decref(j->intent);
    json_decref(j->signature);
    buf_done(&j->certificate);
    buf_done(&j->ca_certificate);
    buf_done(&j->envelope_text);
    buf_done(&j->signed_attributes);
    buf_done(&j->digest);
    buf_done(&j->value);
    buf_done(&j->cms);
}

const char *sign_job_ticket_id(const struct sign_job *j)
{
    return j->act->ticket_id ? j->act->ticket_id : json_str(j->act->new_ticket, "ticket");
}

struct audit_act sign_job_act(const struct sign_job *j, const char *action, const char *object)
{
    return (struct audit_act){.action = action,
                              .object = object,
                              .actor = {j->person.signer_id, j->person.user_id, "signer", 0},
                              .application = j->act->application,
                              .terminal = j->act->terminal};
}

enum esign_rc sign_run(struct site *s, const struct sign_act *act, json_t **ret, struct fault *f)
{
    CLEANUP(sign_job_done)
    struct sign_job j = {.site = s,
                         .act = act,
                         .certificate = buf_new(SITE_CERT_MAX),
                         .ca_certificate = buf_new(SITE_CERT_MAX),
                         .envelope_text = buf_new(CMS_ENVELOPE_MAX),
                         .signed_attributes = buf_new(CMS_SIGNED_MAX),
                         .digest = buf_new(64),
                         .value = buf_new(TOKEN_SIGNATURE_MAX),
                         .cms = buf_new(CMS_SIGNED_MAX)};

    for (size_t i = 0; i < sizeof(sign_steps) / sizeof(sign_steps[0]); i++) {
        enum esign_rc rc = sign_steps[i].run(&j, f);
        if (rc == ESIGN_OK)
            continue;
        log_info("signing refused step=%s code=%s reason=%s", sign_steps[i].name, fault_name(rc),
                 f->reason);
        return j.person.signer ? sign_enter_failure(&j, f) : rc;
    }
    *ret = sign_signature_view(j.signature);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}
