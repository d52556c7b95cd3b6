#include "room.h"

#include "base/log.h"
#include "register/register.h"
#include "sign/sign.h"

enum { ROOM_SLACK_MS = 1000 };

void room_start(struct room *r, struct site *s)
{
    *r = (struct room){.site = s, .seen = -1, .before = -1};
}

/* Requests that were under way when the disk was full could not enter how they ended: it is entered
 * once all of them are over.  One that is not is refused by its guards. */
static void room_recover(struct room *r)
{
    struct sign_recovered signing = {0};
    struct fault f = {0};
    size_t keys = 0;
    enum esign_rc rc = sign_recover(r->site, r->before, &signing, &f);

    if (rc == ESIGN_OK)
        rc = register_recover(r->site, r->before, &keys, &f);
    if (rc != ESIGN_OK) {
        log_error("what a full disk left open can't be ended yet code=%s detail=\"%s\"",
                  fault_name(rc), f.detail);
        return;
    }
    log_notice("what a full disk left open was ended intents=%zu tries=%zu keys=%zu",
               signing.intents, signing.tries, keys);
    r->before = -1;
}

void room_turn(struct room *r)
{
    struct store *store = site_store(r->site);
    int64_t now_ms = clock_mono_ms(site_clock(r->site));
    struct fault f = {0};

    if (store_state_now(store) == STORE_FULL && store_try_room(store, &f) != ESIGN_OK)
        return;
    int64_t seq = store_room_seq(store);
    if (seq > r->seen) {
        log_notice("the disk of the store has room again seq=%lld", (long long)seq);
        r->seen = r->before = seq;
        r->due_ms =
            now_ms + config_int(site_config(r->site), "request.deadline_ms") + ROOM_SLACK_MS;
    }
    if (r->before >= 0 && now_ms >= r->due_ms)
        room_recover(r);
}
