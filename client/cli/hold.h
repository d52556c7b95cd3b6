/* Signals that end the program, held back while something that was begun must be put back first. */
#pragma once

#include <signal.h>
#include <stdbool.h>

/* What was so before. */
struct hold {
    sigset_t before;
};

/* From now on SIGINT, SIGTERM, SIGHUP and SIGQUIT wait (those that are ignored stay so); a prompt
 * of ask.h then ends with ESIGN_E_CONFLICT, reason "interrupted".  ret: hold_done() it. */
void hold_begin(struct hold *ret);

/* Whether one of them waits. */
bool hold_is_ended(void);

/* They act again; one that waits ends the program here.  hold: from hold_begin(). */
void hold_done(struct hold *hold);
