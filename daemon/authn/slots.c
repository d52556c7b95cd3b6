/* The slots in which tries are reserved before the slow hash: a signer has as many as failures are
 * left before the next delay or the lock, so that of many parallel tries no more are evaluated. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "authn/authn_internal.h"
#include "base/cleanup.h"

enum { SLOTS_REPLY_MS = 40 /* left of a request's time for saying that no slot became free */ };

/* The slots of a signer as they were seen. */
struct slots_seen {
    char ids[AUTHN_LOCK_MAX][96];
    struct store_guard guards[AUTHN_LOCK_MAX + 1]; /* of those that are taken, and of the counter */
    size_t taken;
    size_t free;      /* the lowest free one */
    int64_t free_seq; /* its generation, -1: never used */
};

static const struct authn_told slots_reserved = {"attempt.reserve", ESIGN_OK, NULL,
                                                 AUDIT_ALERT_NONE};

json_t *authn_slot_row(const struct authn_try *t, const char *state)
{
    return json_pack("{s:s, s:s}", "signer_id", t->attempt_id, "state", state);
}

void authn_slot_free_into(const struct authn_try *t, json_t *slot, struct store_change *change)
{
    if (!t->slot_id[0])
        return;
    change->rows[change->row_count++] = (struct store_row){"try", t->slot_id, slot};
    if (t->signer)
        change->guards[change->guard_count++] =
            (struct store_guard){"try", t->slot_id, t->slot_seq};
}

/* Look at slots until the lowest free one is known and all taken ones are counted. */
static enum esign_rc slots_look(const struct authn_try *t, struct slots_seen *ret, struct fault *f)
{
    int64_t count = t->claim->limits.lock_after;

    *ret = (struct slots_seen){.free = AUTHN_LOCK_MAX};
    for (size_t i = 0; i < AUTHN_LOCK_MAX && (int64_t)i < count; i++) {
        CLEANUP(json_decref_p) json_t *row = NULL;
        int64_t seq = -1;
        (void)snprintf(ret->ids[i], sizeof(ret->ids[i]), "%s.%zu", t->attempt_id, i);
        enum esign_rc rc = store_get(t->store, "try", ret->ids[i], &row, &seq, f);
        if (rc != ESIGN_OK && rc != ESIGN_E_NOT_FOUND)
            return rc;
        if (rc == ESIGN_OK && strcmp(json_str(row, "state"), "free") != 0) {
            ret->guards[ret->taken++] = (struct store_guard){"try", ret->ids[i], seq};
        } else if (ret->free == AUTHN_LOCK_MAX) {
            ret->free = i;
            ret->free_seq = rc == ESIGN_OK ? seq : -1;
        }
    }
    return ESIGN_OK;
}

/* Take the free slot that was seen.  Two who counted at once want the same one, and its guard lets
 * one pass: ESIGN_E_CONFLICT. */
static enum esign_rc slots_take_seen(struct authn_try *t, const struct slots_seen *seen,
                                     struct fault *f)
{
    struct store_change change = {0};

    assert(seen->free < AUTHN_LOCK_MAX); /* fewer are taken than there are */
    memcpy(t->slot_id, seen->ids[seen->free], sizeof(seen->ids[seen->free]));
    CLEANUP(json_decref_p) json_t *slot = authn_slot_row(t, "taken");
    change.rows[change.row_count++] = (struct store_row){"try", t->slot_id, slot};
    change.guards[change.guard_count++] = (struct store_guard){"try", t->slot_id, seen->free_seq};
    change.guards[change.guard_count++] =
        (struct store_guard){"attempt", t->attempt_id, t->failures_seq};
    return authn_enter(t, &slots_reserved, &change, t->claim->deadline_at_ms, &t->slot_seq, f);
}

/* What the counter and the slots are now, and whether they leave room for one more try. */
static enum esign_rc slots_see(struct authn_try *t, struct slots_seen *ret, bool *ret_room,
                               struct fault *f)
{
    enum esign_rc rc = authn_read_counter(t, f);

    if (rc == ESIGN_OK)
        rc = authn_check_counter(t, f);
    if (rc == ESIGN_OK)
        rc = slots_look(t, ret, f);
    *ret_room = rc == ESIGN_OK && t->failures + (int64_t)ret->taken <
                                      authn_parallel_until(&t->claim->limits, t->failures);
    return rc;
}

static const char slots_busy[] = "other tries of this signer are being checked; try again";

enum esign_rc authn_check_room(struct authn_try *t, struct fault *f)
{
    struct slots_seen seen;
    bool room = false;
    enum esign_rc rc = slots_see(t, &seen, &room, f);

    return rc != ESIGN_OK || room ? rc : fault_retry(f, ESIGN_E_RATE, "busy", 1, "%s", slots_busy);
}

/* One attempt at a slot, in the signer's turn.  ret_room: whether there was one. */
static enum esign_rc slots_take_room(struct authn_try *t, struct slots_seen *ret, bool *ret_room,
                                     struct fault *f)
{
    CLEANUP(turn_end) struct turn turn = {0};
    enum esign_rc rc =
        turn_take(t->claim->turns, t->attempt_id, t->claim->deadline_at_ms, &turn, f);

    if (rc == ESIGN_OK)
        rc = slots_see(t, ret, ret_room, f);
    return rc == ESIGN_OK && *ret_room ? slots_take_seen(t, ret, f) : rc;
}

/* ESIGN_E_CONFLICT: somebody was faster, or a slot has become free. */
static enum esign_rc slots_take_one(struct authn_try *t, struct fault *f)
{
    struct slots_seen seen;
    bool room = false;
    enum esign_rc rc = slots_take_room(t, &seen, &room, f);

    if (rc != ESIGN_OK || room)
        return rc;
    seen.guards[seen.taken] = (struct store_guard){"attempt", t->attempt_id, t->failures_seq};
    if (store_await(t->store, seen.guards, seen.taken + 1,
                    t->claim->deadline_at_ms - SLOTS_REPLY_MS))
        return ESIGN_E_CONFLICT;
    return fault_retry(f, ESIGN_E_RATE, "busy", 1, "%s", slots_busy);
}

/* An unknown code costs the same reads and writes, but nobody's slot. */
static enum esign_rc slots_take_unknown(struct authn_try *t, struct fault *f)
{
    struct store_change change = {0};
    struct slots_seen seen; /* tells nothing */
    enum esign_rc rc = authn_read_counter(t, f);

    if (rc == ESIGN_OK)
        rc = slots_look(t, &seen, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *slot = authn_slot_row(t, "taken");
    (void)snprintf(t->slot_id, sizeof(t->slot_id), "%s.0", t->attempt_id);
    change.rows[change.row_count++] = (struct store_row){"try", t->slot_id, slot};
    return authn_enter(t, &slots_reserved, &change, t->claim->deadline_at_ms, &t->slot_seq, f);
}

enum esign_rc authn_slot_take(struct authn_try *t, struct fault *f)
{
    enum esign_rc rc = ESIGN_E_CONFLICT;

    if (!t->signer)
        return slots_take_unknown(t, f);
    while (rc == ESIGN_E_CONFLICT)
        rc = slots_take_one(t, f);
    return rc;
}
