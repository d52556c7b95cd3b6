/* After a crash: intents that were never ended. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "sign/sign.h"

enum { RECOVER_BATCH = 100, RECOVER_DEADLINE_MS = 30000 };

static enum esign_rc recover_one(struct site *s, json_t *intent, int64_t seq, struct fault *f)
{
    char object[SITE_ID_MAX + 16];
    const char *id = json_str(intent, "signature"), *ticket_id = json_str(intent, "ticket");
    struct store_change change = {0};
    struct store_receipt receipt;
    CLEANUP(json_decref_p) json_t *ticket = NULL;
    int64_t ticket_seq = -1;
    enum esign_rc rc = store_get(site_store(s), "ticket", ticket_id, &ticket, &ticket_seq, f);

    if (rc != ESIGN_OK)
        return rc;
    if (json_object_set_new(intent, "state", json_string("aborted")) ||
        json_object_set_new(ticket, "state", json_string("failed")))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a row");
    (void)snprintf(object, sizeof(object), "signature/%s", id);
    site_put(&change, "intent", id, intent);
    site_put(&change, "ticket", ticket_id, ticket);
    site_guard(&change, "intent", id, seq);
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
    char after[SITE_ID_MAX + 1] = "";
    size_t count = 0, tries = 0;
    enum esign_rc tried = authn_recover(
        site_store(s), before, clock_mono_ms(site_clock(s)) + RECOVER_DEADLINE_MS, &tries, f);

    if (tried != ESIGN_OK)
        return tried;

    for (;;) {
        CLEANUP(json_decref_p) json_t *open = NULL;
        enum esign_rc rc = store_list(site_store(s), "intent", "state", "open",
                                      after[0] ? after : NULL, RECOVER_BATCH, &open, f);
        for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(open); i++) {
            const json_t *item = json_array_get(open, i);
            (void)snprintf(after, sizeof(after), "%s",
                           json_str(item, "id")); /* at most SITE_ID_MAX */
            if (json_int(item, "seq", -1) >= before)
                continue;
            rc = recover_one(s, json_object_get(item, "body"), json_int(item, "seq", -1), f);
            count++;
        }
        if (rc != ESIGN_OK)
            return rc;
        if (json_array_size(open) < RECOVER_BATCH)
            break;
    }
    *ret = (struct sign_recovered){.intents = count, .tries = tries};
    return ESIGN_OK;
}
