/* The order of one signing.  This table is the only place where it stands.
 *
 *   step            where                     what exists afterwards
 *   socket          listen/                   peer by the kernel, bounded body
 *   request         api/                      typed request; raw body wiped
 *   repetition      sign/idempotency.c        the first answer, or the key: held until the reply
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

enum esign_rc sign_run(struct site *s, const struct sign_act *act, json_t **ret, struct fault *f)
{
    CLEANUP(sign_job_done) struct sign_job j = sign_job_new(s, act);

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
