/* What all processes with this module share, in the file $FAULT_STATE: counts, the units of the
 * simulated device, its sessions.  Tests read the counts from the file. */
#pragma once

#include "rules.h"

enum { FAULT_STATE_UNITS_MAX = 64, FAULT_STATE_SESSIONS_MAX = 1024 };

/* One call's counts; 64 bytes, the name first, so that a test can find it. */
struct fault_counts {
    char name[32];
    _Atomic uint64_t calls;  /* begun */
    _Atomic uint64_t hit;    /* in which a rule's fault took place */
    _Atomic uint64_t failed; /* that the module behind did not answer with CKR_OK */
    _Atomic uint64_t us;     /* within the module behind */
};

/* Whom a unit or a session belongs to is a process id, 0 for nobody: what a killed process had is
 * found by its absence. */
struct fault_state {
    struct fault_counts counts[FAULT_CALL_COUNT];
    _Atomic uint64_t hits[FAULT_RULES_MAX]; /* generation << 32 | calls of the rule */
    _Atomic uint32_t released;              /* units, ever: what waiters wait on */
    _Atomic uint32_t sleeping;
    _Atomic int32_t units[FAULT_STATE_UNITS_MAX];
    _Atomic int32_t sessions[FAULT_STATE_SESSIONS_MAX];
};

/* Mapped at the first call; without $FAULT_STATE it is the process's own. */
struct fault_state *fault_state(void);

/* The number of this call among those of a rule, from 0. */
uint64_t fault_state_count_rule(unsigned rule, uint64_t generation);

/* Take one of the first `count` units for this process; waits until one is free. */
int fault_state_take_unit(uint64_t count);
void fault_state_give_unit(int unit);

/* Note a session of this process; false: `count` are open (0: any number may be). */
bool fault_state_begin_session(uint64_t count);
/* One session of this process, or all, have ended. */
void fault_state_end_session(void);
void fault_state_end_sessions(void);
