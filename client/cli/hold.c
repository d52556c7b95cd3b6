#include "cli/hold.h"

#include <stddef.h>

static const int hold_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

enum { HOLD_SIGNALS = sizeof(hold_signals) / sizeof(hold_signals[0]) };

/* None of the calls below can fail with valid arguments. */
void hold_begin(struct hold *ret)
{
    struct sigaction now;
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < HOLD_SIGNALS; i++)
        if (sigaction(hold_signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            (void)sigaddset(&set, hold_signals[i]);
    (void)sigprocmask(SIG_BLOCK, &set, &ret->before);
}

bool hold_is_ended(void)
{
    sigset_t pending;

    if (sigpending(&pending) != 0)
        return false;
    for (size_t i = 0; i < HOLD_SIGNALS; i++)
        if (sigismember(&pending, hold_signals[i]) == 1)
            return true;
    return false;
}

void hold_done(struct hold *hold)
{
    (void)sigprocmask(SIG_SETMASK, &hold->before, NULL);
}
