#include "site/counters.h"

#include "base/json.h"

#include <string.h>

/* A lock is entered in place of the failure that caused it: it counts as both. */
static const struct {
    const char *action;
    enum counter counter;
} counters_actions[] = {
    {"signature.outcome", COUNTER_SIGNED},  {"signature.aborted", COUNTER_ABORTED},
    {"signature.refused", COUNTER_REFUSED}, {"attempt.failed", COUNTER_AUTH_FAILED},
    {"signer.lock", COUNTER_AUTH_FAILED},   {"signer.lock", COUNTER_LOCKED},
};

void counters_note(struct counters *c, const json_t *entry)
{
    const char *action = json_str(entry, "action");

    for (size_t i = 0; action && i < sizeof(counters_actions) / sizeof(counters_actions[0]); i++)
        if (strcmp(action, counters_actions[i].action) == 0)
            atomic_fetch_add_explicit(&c->values[counters_actions[i].counter], 1,
                                      memory_order_relaxed);
}

uint64_t counters_get(const struct counters *c, enum counter which)
{
    return atomic_load_explicit(&c->values[which], memory_order_relaxed);
}
