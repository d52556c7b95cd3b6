/* What has happened since the start, counted from the entries of the audit trail.  Kept in memory:
 * for monitors, not evidence.  Source: requirements 2.4 (missed detection). */
#pragma once

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>

enum counter {
    COUNTER_SIGNED,      /* signatures with their outcome in the trail */
    COUNTER_ABORTED,     /* ceremonies that ended after their intent without a signature */
    COUNTER_REFUSED,     /* ceremonies that ended before their intent */
    COUNTER_AUTH_FAILED, /* tries with a wrong component */
    COUNTER_LOCKED,      /* signers locked by such tries */
    COUNTER_COUNT
};

struct counters {
    atomic_uint_fast64_t values[COUNTER_COUNT];
};

/* Count one entry by its action.  From any thread. */
void counters_note(struct counters *c, const json_t *entry);

uint64_t counters_get(const struct counters *c, enum counter which);
