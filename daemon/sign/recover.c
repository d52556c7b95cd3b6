/* After a crash: intents that were never ended. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "sign/sign.h"

enum { RECOVER_DEADLINE_MS = 30000 };

/* The walk over the open intents. */
struct recover_walk {
    struct site *site;
    size_t count;
};

static enum esign_rc recover_one(void *ctx, const struct store_walked *row, struct fault *f)
{
    char object[SITE_ID_MAX + 16];
    struct recover_walk *w = ctx;
    struct site *s = w->site;
    json_t *intent = row->body;
    const char *id = row->id, *ticket_id = json_str(intent, "ticket");
    struct store_change change = {0};
    struct store_receipt receipt;
    CLEANUP(json_decref_p) json_t *ticket = NULL;
    int64_t ticket_seq = -1;

    w->count++;
    enum esign_rc rc = store_get(site_store(s), "ticket", ticket_id, &ticket, &ticket_seq, f);

    if (rc != ESIGN_OK)
        return rc;
    if (json_object_set_new(intent, "state", json_string("aborted")) ||
        json_object_set_new(ticket, "state", json_string("failed")))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a row");
    (void)snprintf(object, sizeof(object), "signature/%s", id);
    site_put(&change, "intent", id, intent);
    site_put(&change, "ticket", ticket_id, ticket);
    site_guard(&change, "intent", id, row->seq);
    site_guard(&change, "ticket", ticket_id, ticket_seq);
    const struct audit_act act = {.action = "signature.aborted",
                                  .object = object,
                                  .result = ESIGN_E_INTERNAL,
                                  .result_reason = "restart"};
    return site_commit(s, &act, &change, clock_mono_ms(site_clock(s)) + RECOVER_DEADLINE_MS,
                       &receipt, f);
}

enum esign_rc sign_recover(struct site *s, int64_t before, struct sign_recovered *ret,
                           struct fault *f)
{
    struct recover_walk w = {.site = s};
    const struct store_walk walk = {"intent", "state", "open", before, recover_one, &w};
    size_t tries = 0;
    enum esign_rc rc = authn_recover(site_store(s), before,
                                     clock_mono_ms(site_clock(s)) + RECOVER_DEADLINE_MS, &tries, f);

    if (rc == ESIGN_OK)
        rc = store_walk(site_store(s), &walk, f);
    if (rc == ESIGN_OK)
        *ret = (struct sign_recovered){.intents = w.count, .tries = tries};
    return rc;
}
