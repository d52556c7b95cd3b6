#include "sign/card.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/log.h"
#include "cms/keys.h"
#include "site/waiting.h"

enum { CARD_VALUE_S = 120, CARD_ENTER_MS = 10000 };

bool sign_is_card(const struct sign_job *j)
{
    const char *custody = json_str(j->key.body, "custody");

    return custody && strcmp(custody, "K3") == 0;
}

/* ---- the steps */

/* Room for the job is kept before the intent, so that none is written in vain. */
enum esign_rc sign_step_room(struct sign_job *j, struct fault *f)
{
    enum esign_rc rc =
        waiting_reserve(site_waiting(j->site), sign_job_ticket_id(j), j->person.signer_id, f);

    j->roomed = rc == ESIGN_OK;
    return rc;
}

enum esign_rc sign_step_rest(struct sign_job *j, struct fault *f)
{
    (void)f;
    j->rests = true;
    return ESIGN_OK;
}

/* The value is the signature of the digest that was fixed, by the card that was registered: one
 * that was made for another digest is worth nothing here.  Source: requirements 1.6, A8. */
enum esign_rc sign_step_value(struct sign_job *j, struct fault *f)
{
    bool right = false;
    enum esign_rc rc = cms_keys_check(site_public_keys(j->site), buf_bytes(&j->certificate),
                                      buf_bytes(&j->digest), buf_bytes(&j->value), &right, f);

    if (rc == ESIGN_OK && !right)
        rc = fault_reason(f, ESIGN_E_HSM, "value",
                          "this value is not the signature of what was authorised by the card "
                          "that is registered for this signer");
    return rc;
}

/* ---- the job while it waits */

/* What the terminal must know.  NULL: no memory. */
static json_t *card_wanted(const struct sign_job *j, int64_t expires_ms)
{
    char digest[2 * 64 + 1], expires[CLOCK_TEXT];

    encode_hex(buf_bytes(&j->digest), digest);
    clock_format_utc(expires_ms, expires);
    /* texts are copied: the row is shared with others */
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "state", "value-wanted",
                     "signature_id", j->signature_id, "ticket", sign_job_ticket_id(j), "digest",
                     digest, "algorithm", json_str(j->key.body, "algorithm"), "spki",
                     json_str(j->key.body, "spki"), "certificate",
                     json_str(j->key.body, "certificate"), "expires_at", expires);
}

/* What the act says of ticket and place, kept with the job. */
static void card_keep_act(struct sign_card_wait *w, const struct sign_job *j)
{
    const struct session_place *place = &j->act->place;

    /* identifiers of the register: they fit */
    (void)snprintf(w->ticket_id, sizeof(w->ticket_id), "%s", sign_job_ticket_id(j));
    if (place->application)
        (void)snprintf(w->application, sizeof(w->application), "%s", place->application);
    if (place->terminal)
        (void)snprintf(w->terminal, sizeof(w->terminal), "%s", place->terminal);
    w->act = (struct sign_act){.ticket_id = w->ticket_id,
                               .place = {place->application ? w->application : NULL,
                                         place->terminal ? w->terminal : NULL, place->uid}};
}

enum esign_rc sign_card_rest(struct sign_job *j, json_t **ret, struct fault *f)
{
    struct site *s = j->site;
    int64_t wait_ms = json_int(j->policy.body, "card.value_s", CARD_VALUE_S) * 1000;
    struct sign_card_wait *w = calloc(1, sizeof(*w));
    json_t *wanted = card_wanted(j, clock_now_ms(site_clock(s)) + wait_ms);

    if (!w || !wanted) {
        free(w);
        json_decref(wanted);
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signing that waits");
    }
    card_keep_act(w, j);
    w->job = *j;
    w->job.act = &w->act;
    w->job.rests = w->job.roomed = false;
    *j = sign_job_new(s, j->act);
    waiting_put(site_waiting(s), w->ticket_id, w, clock_mono_ms(site_clock(s)) + wait_ms);
    *ret = wanted;
    return ESIGN_OK;
}

void sign_card_wait_free(struct sign_card_wait *w)
{
    if (!w)
        return;
    sign_job_done(&w->job);
    free(w);
}

/* ---- the answer */

static bool card_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : !a && !b;
}

/* Whether somebody at that place may end the signing: the application, or the user of the terminal.
 */
static bool card_is_peer(const struct session_place *own, const struct session_place *other)
{
    return card_same(own->application, other->application) && own->uid == other->uid &&
           (own->application || card_same(own->terminal, other->terminal));
}

static bool card_fits_peer(const void *what, void *ctx)
{
    const struct sign_card_wait *w = what;
    const struct sign_answer *a = ctx;

    return card_is_peer(&w->act.place, &a->place);
}

static bool card_fits(const void *what, void *ctx)
{
    const struct sign_card_wait *w = what;
    const struct sign_answer *a = ctx;
    char hash[SESSION_HANDLE_LEN + 1] = "";

    if (a->session)
        authn_session_hash(a->session, hash);
    return card_is_peer(&w->act.place, &a->place) &&
           card_same(w->act.place.terminal, a->place.terminal) &&
           strcmp(w->job.lease.hash, hash) == 0 &&
           strcmp(w->job.signature_id, a->signature_id) == 0;
}

/* An answer that belongs to nothing: who sent it is known as a peer only.  *f stays as it is. */
static enum esign_rc card_refused(struct site *s, const struct sign_answer *a, struct fault *f)
{
    char object[SITE_ID_MAX + 16];
    struct fault refused = *f;
    struct store_change change = {0};
    struct store_receipt receipt;

    (void)snprintf(object, sizeof(object), "ticket/%.64s", a->ticket_id);
    const struct audit_act act = {.action = "signature.refused",
                                  .object = object,
                                  .result = refused.rc,
                                  .result_reason = refused.reason,
                                  .actor = {.role = "peer", .uid = a->place.uid},
                                  .application = a->place.application,
                                  .terminal = a->place.terminal,
                                  .alert = refused.rc == ESIGN_E_REPLAY ? AUDIT_ALERT_REPLAY
                                                                        : AUDIT_ALERT_NONE};
    enum esign_rc rc =
        site_commit(s, &act, &change, clock_mono_ms(site_clock(s)) + CARD_ENTER_MS, &receipt, f);
    if (rc != ESIGN_OK)
        return rc;
    *f = refused;
    return refused.rc;
}

/* Why nothing waits for the answer. */
static enum esign_rc card_missing(struct site *s, const struct sign_answer *a, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *ticket = NULL;
    enum esign_rc rc = sign_ticket_get(s, a->ticket_id, &ticket, NULL, f);

    if (rc != ESIGN_OK)
        return rc;
    const char *state = json_str(ticket, "state");
    if (strcmp(state, "signed") == 0)
        (void)fault_set(f, ESIGN_E_REPLAY, "this signing has had its answer");
    else
        (void)fault_reason(f, ESIGN_E_CONFLICT, state,
                           "no card's answer is waited for: the ticket is %s", state);
    return card_refused(s, a, f);
}

enum esign_rc sign_card_take(struct site *s, const struct sign_answer *a,
                             struct sign_card_wait **ret, struct fault *f)
{
    bool there = false;

    sign_card_tick(s); /* an answer that is late finds nothing, however busy the main thread is */
    struct sign_card_wait *w = waiting_take(site_waiting(s), a->ticket_id, card_fits,
                                            (void *)(uintptr_t)a, &there); /* only read */

    if (!w && !there)
        return card_missing(s, a, f);
    if (!w) {
        (void)fault_reason(f, ESIGN_E_SESSION, "peer",
                           "the answer must come from where the signing was authorised, with its "
                           "session and signature_id");
        return card_refused(s, a, f);
    }
    w->act.deadline_at_ms = a->deadline_at_ms;
    buf_put(&w->job.value, a->value);
    *ret = w;
    return ESIGN_OK;
}

/* ---- other ends */

/* End what waited, and enter why. */
static enum esign_rc card_end(struct sign_card_wait *w, struct fault *f)
{
    char id[SITE_ID_MAX];
    enum esign_rc wanted = f->rc;

    (void)snprintf(id, sizeof(id), "%s", w->job.signature_id);
    enum esign_rc rc = sign_enter_failure(&w->job, f);
    sign_card_wait_free(w);
    if (rc == wanted)
        return ESIGN_OK;
    log_error("a signing that waited for its card could not be ended signature=%s code=%s", id,
              fault_name(rc));
    return rc;
}

enum esign_rc sign_give_up(struct site *s, const struct sign_answer *a, const char *reason,
                           bool *ret_done, struct fault *f)
{
    bool there = false;

    if (!reason)
        return fault_field(f, ESIGN_E_REASON_REQUIRED, "reason", "say why; it is entered");
    struct sign_card_wait *w = waiting_take(site_waiting(s), a->ticket_id, card_fits_peer,
                                            (void *)(uintptr_t)a, &there); /* only read */
    *ret_done = w != NULL;
    if (!w)
        return ESIGN_OK;
    w->job.end_reason = reason;
    (void)fault_reason(f, ESIGN_E_CONFLICT, "cancelled", "given up at the terminal");
    return card_end(w, f);
}

static void card_end_due(struct site *s, int64_t now_ms, enum esign_rc code, const char *reason)
{
    struct sign_card_wait *w;
    struct fault f = {0};

    while ((w = waiting_take_due(site_waiting(s), now_ms))) {
        (void)fault_reason(&f, code, reason, "the card did not answer");
        if (card_end(w, &f) != ESIGN_OK)
            return; /* logged; what is left is ended by the next start */
    }
}

void sign_card_tick(struct site *s)
{
    card_end_due(s, clock_mono_ms(site_clock(s)), ESIGN_E_DEADLINE, "card");
}

void sign_card_stop(struct site *s)
{
    card_end_due(s, INT64_MAX, ESIGN_E_INTERNAL, "restart");
}
