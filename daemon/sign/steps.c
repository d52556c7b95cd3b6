/* The order of one signing.  This table is the only place where it stands.
 *
 *   step            where                     what exists afterwards
 *   socket          listen/                   peer by the kernel, bounded body
 *   request         api/                      typed request; raw body wiped
 *   repetition      sign/idempotency.c        the first answer, or the key: held until the reply
 *   authenticate .. outcome                   the table below
 *   reply           api/ -> listen/           JSON, or problem+json
 *
 * With a signer's own card there are two requests: the first is answered at "rest", the second,
 * with the card's value, goes on behind it.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "sign/card.h"

static const struct sign_step {
    const char *name;
    enum { STEP_ALL, STEP_SERVICE, STEP_CARD } custody; /* whose key: K1 and K2, or K3 */
    enum esign_rc (*run)(struct sign_job *j, struct fault *f);
} sign_steps[] = {
    {"authenticate", STEP_ALL, sign_step_authenticate}, /* attempt counted, components right */
    {"authorise", STEP_ALL, sign_step_authorise},       /* permit, and what it rests on */
    {"fix", STEP_ALL, sign_step_fix},           /* envelope, signed attributes, digest: fixed */
    {"room", STEP_CARD, sign_step_room},        /* room in memory until the card answers */
    {"intent", STEP_ALL, sign_step_intent},     /* durable: who, which digest, which key */
    {"token", STEP_SERVICE, sign_step_token},   /* signature value, checked */
    {"rest", STEP_CARD, sign_step_rest},        /* the digest is with the terminal; the job waits */
    {"value", STEP_CARD, sign_step_value},      /* signature value, checked */
    {"assemble", STEP_ALL, sign_step_assemble}, /* the CMS object */
    {"outcome", STEP_ALL, sign_step_outcome},   /* durable, with the signature's row */
};

static bool step_applies(const struct sign_step *step, const struct sign_job *j)
{
    return step->custody == STEP_ALL || (step->custody == STEP_CARD) == sign_is_card(j);
}

/* From j->next to the end or the rest.  A failure is entered. */
static enum esign_rc steps_go(struct sign_job *j, struct fault *f)
{
    for (; j->next < sizeof(sign_steps) / sizeof(sign_steps[0]) && !j->rests; j->next++) {
        const struct sign_step *step = &sign_steps[j->next];
        if (!step_applies(step, j))
            continue;
        enum esign_rc rc = step->run(j, f);
        if (rc == ESIGN_OK)
            continue;
        log_info("signing refused step=%s code=%s reason=%s", step->name, fault_name(rc),
                 f->reason);
        return j->person.signer ? sign_enter_failure(j, f) : rc;
    }
    return ESIGN_OK;
}

static enum esign_rc steps_view(const struct sign_job *j, json_t **ret, struct fault *f)
{
    *ret = sign_signature_view(j->signature);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

enum esign_rc sign_run(struct site *s, const struct sign_act *act, json_t **ret, struct fault *f)
{
    CLEANUP(sign_job_done) struct sign_job j = sign_job_new(s, act);
    enum esign_rc rc = steps_go(&j, f);

    if (rc != ESIGN_OK)
        return rc;
    if (!j.rests)
        return steps_view(&j, ret, f);
    rc = sign_card_rest(&j, ret, f);
    return rc == ESIGN_OK ? rc : sign_enter_failure(&j, f);
}

DEFINE_CLEANUP(struct sign_card_wait *, sign_card_wait_free)

enum esign_rc sign_answer(struct site *s, const struct sign_answer *a, json_t **ret,
                          struct fault *f)
{
    CLEANUP(sign_card_wait_free_p) struct sign_card_wait *wait = NULL;
    enum esign_rc rc = sign_card_take(s, a, &wait, f);

    if (rc == ESIGN_OK)
        rc = steps_go(&wait->job, f);
    return rc == ESIGN_OK ? steps_view(&wait->job, ret, f) : rc;
}
