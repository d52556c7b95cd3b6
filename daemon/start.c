#include "start.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "register/register.h"
#include "sign/sign.h"
#include "site/loaded.h"
#include "site/restored.h"

enum { START_ENTER_MS = 10000 };

/* How the service ended before: a trail whose newest entry is a stop was left in order. */
static enum esign_rc start_find_stop(struct site *s, struct site_start *ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf bytes = buf_new(STORE_ENTRY_MAX);
    CLEANUP(json_decref_p) json_t *entry = NULL;
    enum esign_rc rc = ESIGN_OK;

    *ret = (struct site_start){.at_ms = clock_now_ms(site_clock(s)),
                               .stop = SITE_STOP_NONE,
                               .from = store_size(site_store(s))};
    if (ret->from == 0)
        return ESIGN_OK;
    rc = store_entry(site_store(s), ret->from - 1, &bytes, f);
    if (rc == ESIGN_OK)
        rc = json_parse_object(buf_bytes(&bytes), &entry, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *action = json_str(entry, "action");
    ret->stop = action && strcmp(action, "service.stop") == 0 ? SITE_STOP_CLEAN : SITE_STOP_UNCLEAN;
    return ESIGN_OK;
}

static enum esign_rc start_recover(struct site *s, struct site_start *start, struct fault *f)
{
    struct sign_recovered signing = {0};
    enum esign_rc rc = sign_recover(s, INT64_MAX, &signing, f);

    if (rc == ESIGN_OK)
        rc = register_recover(s, INT64_MAX, &start->keys, f);
    start->intents = signing.intents;
    start->tries = signing.tries;
    if (rc == ESIGN_OK && start->stop == SITE_STOP_UNCLEAN)
        log_warn("the last stop was not in order; what it left open was ended intents=%zu "
                 "tries=%zu keys=%zu from=%lld",
                 start->intents, start->tries, start->keys, (long long)start->from);
    return rc;
}

enum esign_rc start_enter(struct site *s, struct fault *f)
{
    const struct config *c = site_config(s);
    struct site_start start;
    struct store_change change = {0};
    struct store_receipt receipt;
    enum esign_rc rc = start_find_stop(s, &start, f);

    if (rc == ESIGN_OK)
        rc = start_recover(s, &start, f);
    if (rc != ESIGN_OK)
        return rc;
    site_set_start(s, &start);
    const struct loaded loaded = loaded_get(s);
    bool waits = site_waits(s);
    CLEANUP(json_decref_p)
    json_t *new_value = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o*}", "version", ESIGN_VERSION,
                                  "system_class", config_str(c, "system_class"), "system",
                                  site_system(s), "separation", config_str(c, "separation"),
                                  "config", loaded.hash, "recovery", site_start_json(&start),
                                  "restored", waits ? site_restored_json(site_restored(s)) : NULL);
    const struct audit_act act = {.action = "service.start",
                                  .object = "service/esignd",
                                  .new_value = new_value,
                                  .alert = waits ? AUDIT_ALERT_ROLLBACK : AUDIT_ALERT_NONE};
    if (!new_value)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an entry");
    return site_commit(s, &act, &change, clock_mono_ms(site_clock(s)) + START_ENTER_MS, &receipt,
                       f);
}
