#include "sign/job.h"

#include "base/cleanup.h"
#include "site/waiting.h"

struct sign_job sign_job_new(struct site *s, const struct sign_act *act)
{
    return (struct sign_job){.site = s,
                             .act = act,
                             .certificate = buf_new(SITE_CERT_MAX),
                             .ca_certificate = buf_new(SITE_CERT_MAX),
                             .spki = buf_new(TOKEN_SPKI_MAX),
                             .envelope_text = buf_new(CMS_ENVELOPE_MAX),
                             .signed_attributes = buf_new(CMS_SIGNED_MAX),
                             .digest = buf_new(64),
                             .value = buf_new(TOKEN_SIGNATURE_MAX),
                             .cms = buf_new(CMS_SIGNED_MAX)};
}

void sign_job_done(struct sign_job *j)
{
    struct store_view *views[] = {&j->meaning, &j->plan, &j->policy, &j->key, &j->site_row};

    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
        store_view_done(views[i]);
    json_decref(j->ticket.body);
    /* whoever proved a component was active; only a recorded signature used the ordinal */
    authn_session_give(site_sessions(j->site), &j->lease, j->person.signer != NULL,
                       j->signature && !j->intended);
    if (j->roomed)
        waiting_release(site_waiting(j->site), sign_job_ticket_id(j));
    authn_person_done(&j->person);
    json_decref(j->envelope);
    json_decref(j->intent);
    json_decref(j->signature);
    buf_done(&j->certificate);
    buf_done(&j->ca_certificate);
    buf_done(&j->wrapped);
    buf_done(&j->spki);
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
                              .application = j->act->place.application,
                              .terminal = j->act->place.terminal};
}
