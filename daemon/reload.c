#include "reload.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "site/loaded.h"

enum { RELOAD_ENTER_MS = 10000 };

DEFINE_CLEANUP(struct config *, config_free)

static enum esign_rc reload_enter(const struct reload *r, enum esign_rc result, json_t *old_value,
                                  json_t *new_value, struct fault *f)
{
    struct store_change change = {0};
    struct store_receipt receipt;
    const struct audit_act act = {.action = "service.reload",
                                  .object = "service/esignd",
                                  .result = result,
                                  .old_value = old_value,
                                  .new_value = new_value};

    return site_commit(r->site, &act, &change, clock_mono_ms(site_clock(r->site)) + RELOAD_ENTER_MS,
                       &receipt, f);
}

enum esign_rc reload_start(const struct reload *r, struct fault *f)
{
    struct loaded loaded = {.since_ms = clock_now_ms(site_clock(r->site))};
    enum esign_rc rc = loaded_hash(r->config, loaded.hash, f);

    if (rc == ESIGN_OK)
        loaded_set(r->site, &loaded);
    return rc;
}

/* What is in force from now on. */
static void reload_apply(const struct reload *r, const struct config *next)
{
    const struct config *c = r->config;

    config_take_over(r->config, next);
    listen_change(r->listen, (unsigned)config_int(c, "socket.kept_for_terminals"),
                  (unsigned)config_int(c, "socket.per_application"),
                  (unsigned)config_int(c, "request.deadline_ms"));
}

/* Entered first, then in force: nothing changes that the trail does not tell. */
static enum esign_rc reload_take(const struct reload *r, const struct config *next,
                                 struct loaded *loaded, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *changed = NULL;
    char hash[LOADED_HASH_LEN];
    enum esign_rc rc = config_compare(r->config, next, &changed, f);

    if (rc == ESIGN_OK)
        rc = loaded_hash(next, hash, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *before = json_pack("{s:s}", "config", loaded->hash);
    CLEANUP(json_decref_p)
    json_t *after = json_pack("{s:s, s:O}", "config", hash, "changed", changed);
    if (!before || !after)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an entry");
    rc = reload_enter(r, ESIGN_OK, before, after, f);
    if (rc != ESIGN_OK)
        return rc;
    reload_apply(r, next);
    *loaded = (struct loaded){.since_ms = clock_now_ms(site_clock(r->site))};
    (void)snprintf(loaded->hash, sizeof(loaded->hash), "%s", hash); /* of the same size */
    log_notice("the configuration was read again options=%zu", json_object_size(changed));
    return ESIGN_OK;
}

static void reload_refuse(const struct reload *r, struct loaded *loaded, const struct fault *why)
{
    struct fault f = {0};

    log_error("the configuration stays as it was code=%s field=%s detail=\"%s\"",
              fault_name(why->rc), why->field, why->detail);
    loaded->refused = true;
    (void)snprintf(loaded->detail, sizeof(loaded->detail), "%s", why->detail); /* cut, it tells */
    CLEANUP(json_decref_p) json_t *before = json_pack("{s:s}", "config", loaded->hash);
    CLEANUP(json_decref_p)
    json_t *after = json_pack("{s:s, s:s}", "field", why->field, "detail", why->detail);
    if (!before || !after || reload_enter(r, why->rc, before, after, &f) != ESIGN_OK)
        log_error("that could not be entered code=%s detail=\"%s\"", fault_name(f.rc), f.detail);
}

void reload_run(const struct reload *r)
{
    CLEANUP(config_free_p) struct config *next = NULL;
    struct loaded loaded = loaded_get(r->site);
    struct fault f = {0};
    enum esign_rc rc = config_load_again(r->path, &next, &f);

    if (rc == ESIGN_OK)
        rc = reload_take(r, next, &loaded, &f);
    if (rc != ESIGN_OK)
        reload_refuse(r, &loaded, &f);
    loaded_set(r->site, &loaded);
}
