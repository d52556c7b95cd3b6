/* The first two steps: who signs, and may this person sign this now. */
#include <stdio.h>
#include <string.h>

#include "authz/authz.h"
#include "base/cleanup.h"
#include "sign/card.h"

static enum esign_rc authorise_ticket(struct sign_job *j, struct fault *f)
{
    if (j->act->new_ticket) {
        j->ticket.body = json_incref(j->act->new_ticket);
        j->ticket.seq = -1;
        return ESIGN_OK;
    }
    return sign_ticket_get(j->site, j->act->ticket_id, &j->ticket.body, &j->ticket.seq, f);
}

/* The authorisation names the nonce and the hash that were shown: another ticket or record is
 * refused. Source: requirements 3.6, A7, A8. */
static enum esign_rc authorise_presented(const struct sign_job *j, struct fault *f)
{
    if (j->act->new_ticket)
        return ESIGN_OK;
    if (strcmp(j->act->nonce, json_str(j->ticket.body, "nonce")) != 0)
        return fault_field(f, ESIGN_E_REPLAY, "nonce", "the nonce is not that of this ticket");
    if (strcmp(j->act->presented_hash, json_str(j->ticket.body, "record.hash")) != 0)
        return fault_field(f, ESIGN_E_RECORD_MISMATCH, "presented_hash",
                           "the record that was shown is not the one of this ticket");
    return ESIGN_OK;
}

static enum esign_rc authorise_no_key(const struct sign_job *j, struct fault *f)
{
    const char *custody = json_str(j->person.signer, "custody");

    return custody && strcmp(custody, "K3") == 0
               ? fault_reason(f, ESIGN_E_CRED_STATE, "no_card",
                              "no card is registered for this signer")
               : fault_reason(f, ESIGN_E_AUTHZ, "signer", "this person has no signing key");
}

static enum esign_rc authorise_read(struct sign_job *j, struct fault *f)
{
    struct store *store = site_store(j->site);
    const char *key = json_str(j->person.signer, "key");
    enum esign_rc rc =
        store_look(store, "meaning", json_str(j->ticket.body, "meaning"), &j->meaning, f);

    if (rc == ESIGN_OK)
        rc = store_look(store, "plan", json_str(j->ticket.body, "plan"), &j->plan, f);
    if (rc == ESIGN_OK)
        rc = store_look(store, "site", "site", &j->site_row, f);
    if (rc == ESIGN_OK && !key)
        rc = authorise_no_key(j, f);
    if (rc == ESIGN_OK)
        rc = store_look(store, "key", key, &j->key, f);
    return rc;
}

/* The statement in force must be the one that the signer accepted.  Source: 21 CFR 11.10(j). */
static enum esign_rc authorise_statement(const struct sign_job *j, struct fault *f)
{
    CLEANUP(store_view_done) struct store_view statement = {0};
    enum esign_rc rc = store_look(site_store(j->site), "statement", "statement", &statement, f);

    if (rc != ESIGN_OK)
        return rc;
    if (json_int(statement.body, "version", 0) !=
        json_int(j->person.signer, "statement.version", -1))
        return fault_reason(f, ESIGN_E_SIGNER_STATE, "statement_pending",
                            "the signer must accept the statement in force first");
    return ESIGN_OK;
}

/* An own card must be in use, have been tested, and the caller must be able to ask it.
 * Source: 21 CFR 11.300(e). */
static enum esign_rc authorise_card(const struct sign_job *j, struct fault *f)
{
    const char *state = json_str(j->key.body, "state");
    int64_t tested_ms = json_int(j->key.body, "tested_ms", -1);
    int64_t days = json_int(j->policy.body, "card.test_days", 0);

    if (!sign_is_card(j))
        return j->act->card ? fault_field(f, ESIGN_E_PROTO, "card",
                                          "this signer has no card: sign without it")
                            : ESIGN_OK;
    if (j->act->new_ticket)
        return fault_reason(f, ESIGN_E_UNSUPPORTED, "card",
                            "this signer signs with a card: make a ticket and authorise it");
    if (!j->act->card)
        return fault_reason(f, ESIGN_E_COMPONENTS_REQUIRED, "card",
                            "this signer signs with a card: sign with --card");
    if (state)
        return fault_reason(f, ESIGN_E_CRED_STATE, state, "the card is %s", state);
    if (tested_ms < 0)
        return fault_reason(f, ESIGN_E_CRED_STATE, "untested",
                            "the card must be tested before its first use");
    if (days > 0 && clock_now_ms(site_clock(j->site)) - tested_ms > days * 24 * 3600 * 1000)
        return fault_reason(f, ESIGN_E_CRED_STATE, "test_due",
                            "the card must be tested again, which is due every %lld days",
                            (long long)days);
    return ESIGN_OK;
}

enum esign_rc sign_step_authorise(struct sign_job *j, struct fault *f)
{
    enum esign_rc rc = authorise_ticket(j, f);

    if (rc == ESIGN_OK)
        rc = authorise_read(j, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct authz_signing signing = {.signer = j->person.signer,
                                          .ticket = j->ticket.body,
                                          .meaning = j->meaning.body,
                                          .plan = j->plan.body,
                                          .application = j->act->place.application,
                                          .now_ms = clock_now_ms(site_clock(j->site))};
    rc = authz_sign(&signing, f);
    if (rc == ESIGN_OK)
        rc = authorise_presented(j, f);
    if (rc == ESIGN_OK)
        rc = authorise_statement(j, f);
    if (rc == ESIGN_OK)
        rc = authorise_card(j, f);
    return rc;
}
