#include "base/turns.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void turns_init(struct turns *t)
{
    pthread_condattr_t monotonic;

    t->held = NULL;
    /* these fail only for wrong arguments */
    (void)pthread_mutex_init(&t->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&t->ended, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

void turns_done(struct turns *t)
{
    (void)pthread_cond_destroy(&t->ended); /* nobody waits */
    (void)pthread_mutex_destroy(&t->mutex);
}

/* Whether somebody has it.  With the mutex. */
static bool turns_is_held(const struct turns *t, const char *name)
{
    for (const struct turn *turn = t->held; turn; turn = turn->next)
        if (strcmp(turn->name, name) == 0)
            return true;
    return false;
}

enum esign_rc turn_take(struct turns *t, const char *name, int64_t deadline_at_ms, struct turn *ret,
                        struct fault *f)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline_at_ms / 1000),
                                   .tv_nsec = (long)(deadline_at_ms % 1000) * 1000000};
    int waited = 0;

    (void)snprintf(ret->name, sizeof(ret->name), "%s", name); /* bounded by the caller */
    (void)pthread_mutex_lock(&t->mutex); /* cannot fail: a valid, not recursive lock */
    while (turns_is_held(t, name) && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&t->ended, &t->mutex, &until);
    bool mine = !turns_is_held(t, name);
    if (mine) {
        ret->turns = t;
        ret->next = t->held;
        t->held = ret;
    }
    (void)pthread_mutex_unlock(&t->mutex);
    return mine ? ESIGN_OK
                : fault_set(f, ESIGN_E_DEADLINE, "the same request is still being worked on");
}

void turn_end(struct turn *turn)
{
    struct turns *t = turn->turns;

    if (!t)
        return;
    (void)pthread_mutex_lock(&t->mutex); /* as above */
    struct turn **at = &t->held;
    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    turn->turns = NULL;
    (void)pthread_cond_broadcast(&t->ended); /* waiters of all names wait here */
    (void)pthread_mutex_unlock(&t->mutex);
}
