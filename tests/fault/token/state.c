#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STATE_LOOK_NS = 50 * 1000 * 1000 }; /* a killed process wakes nobody */

static struct fault_state *state_map(void)
{
    const char *path = getenv("FAULT_STATE");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (path && (fd < 0 || ftruncate(fd, sizeof(struct fault_state)) != 0))
        fault_die(path, strerror(errno));
    void *at = mmap(NULL, sizeof(struct fault_state), PROT_READ | PROT_WRITE,
                    path ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
    if (at == MAP_FAILED)
        fault_die("no memory", strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    struct fault_state *state = at;
    for (int i = 0; i < FAULT_CALL_COUNT; i++) /* the same text from whoever comes first */
        (void)snprintf(state->counts[i].name, sizeof(state->counts[i].name), "%s",
                       fault_call_name(i));
    return state;
}

struct fault_state *fault_state(void)
{
    static struct fault_state *state;

    if (!state)
        state = state_map();
    return state;
}

uint64_t fault_state_count_rule(unsigned rule, uint64_t generation)
{
    _Atomic uint64_t *hits = &fault_state()->hits[rule];
    uint64_t before = atomic_load(hits), number;

    do
        number = before >> 32 == generation ? before & UINT32_MAX : 0;
    while (!atomic_compare_exchange_weak(hits, &before, generation << 32 | (number + 1)));
    return number;
}

/* Forget owners that have ended without a word. */
static void state_bury(_Atomic int32_t *owners, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        int32_t owner = atomic_load(&owners[i]);
        if (owner != 0 && kill(owner, 0) != 0 && errno == ESRCH)
            (void)atomic_compare_exchange_strong(&owners[i], &owner, 0); /* or somebody else has */
    }
}

static int state_take(_Atomic int32_t *owners, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        int32_t nobody = 0;
        if (atomic_compare_exchange_strong(&owners[i], &nobody, (int32_t)getpid()))
            return (int)i;
    }
    return -1;
}

int fault_state_take_unit(uint64_t count)
{
    struct fault_state *state = fault_state();
    const struct timespec look = {.tv_nsec = STATE_LOOK_NS};

    if (count > FAULT_STATE_UNITS_MAX)
        fault_die("too many units", "");
    for (;;) {
        uint32_t released = atomic_load(&state->released);
        int unit = state_take(state->units, count);
        if (unit >= 0)
            return unit;
        atomic_fetch_add(&state->sleeping, 1);
        if (syscall(SYS_futex, &state->released, FUTEX_WAIT, released, &look, NULL, 0) != 0 &&
            errno == ETIMEDOUT)
            state_bury(state->units, count);
        atomic_fetch_sub(&state->sleeping, 1);
    }
}

void fault_state_give_unit(int unit)
{
    struct fault_state *state = fault_state();

    atomic_store(&state->units[unit], 0);
    atomic_fetch_add(&state->released, 1);
    if (atomic_load(&state->sleeping) > 0) /* one that was killed asleep costs a call, no more */
        (void)syscall(SYS_futex, &state->released, FUTEX_WAKE, 1, NULL, NULL, 0);
}

bool fault_state_begin_session(uint64_t count)
{
    struct fault_state *state = fault_state();
    uint64_t most = count ? count : FAULT_STATE_SESSIONS_MAX;

    if (most > FAULT_STATE_SESSIONS_MAX)
        fault_die("too many sessions", "");
    if (state_take(state->sessions, most) >= 0)
        return true;
    state_bury(state->sessions, most);
    return state_take(state->sessions, most) >= 0;
}

static void state_end_sessions(uint64_t most)
{
    struct fault_state *state = fault_state();

    for (uint64_t i = FAULT_STATE_SESSIONS_MAX; i-- > 0 && most > 0;) {
        int32_t own = (int32_t)getpid();
        if (atomic_compare_exchange_strong(&state->sessions[i], &own, 0))
            most--;
    }
}

void fault_state_end_session(void)
{
    state_end_sessions(1);
}

void fault_state_end_sessions(void)
{
    state_end_sessions(FAULT_STATE_SESSIONS_MAX);
}
