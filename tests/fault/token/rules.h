/* What the control file says now: a text that a test replaces (rename) while the module runs.
 *
 *     generation=3
 *     token sessions=8 flags=0x20000 session-epoch=1 object-epoch=0 away=0
 *     call=C_Sign skip=4 times=1 rv=0x30 late=1
 *     call=C_Sign net_us=5000 service_us=200 jitter_us=100 units=16
 *
 * One line of words, name=number or name=word; `#` starts a comment.  The file is looked at in each
 * call and read when it has changed; a line that can't be read ends the process, so that a test
 * with a slip in it does not pass.
 *
 * generation   grows with each file: rules count their calls anew
 * token        sessions: most open at once, also declared; flags: added to those of the token;
 *              session-epoch, object-epoch: handles given under an earlier number are invalid;
 *              away: no slots, all calls say CKR_DEVICE_REMOVED
 * call         a function, or * for all; skip: calls let through first; times: calls hit after them
 *              (0: all).  What is done with a call that is hit:
 *   net_us, service_us, jitter_us, units
 *              it takes half the network's time, one of so many units that all processes share, the
 *              time of service and up to so much jitter, the call itself, the other half
 *   rv         this value is returned; late: after the call was done
 *   signal, exit
 *              the process ends; late: after the call was done
 *   hang       it does not return while this file stands
 *   value      what C_Sign gave is made wrong (value.h)
 *   length     what the call says of a length or a count (C_Sign, C_GetAttributeValue,
 *              C_FindObjects, C_GetSlotList)
 */
#pragma once

#include "calls.h"

#include <stdbool.h>
#include <stdint.h>

enum { FAULT_RULES_MAX = 64 };

enum fault_value {
    FAULT_VALUE_RIGHT,
    FAULT_VALUE_FLIP,     /* one bit is another */
    FAULT_VALUE_OTHER,    /* by another key */
    FAULT_VALUE_DIGEST,   /* of another digest */
    FAULT_VALUE_PREVIOUS, /* the one given before */
    FAULT_VALUE_SHORT,    /* one byte less */
    FAULT_VALUE_EMPTY,
    FAULT_VALUE_LONG, /* one byte more */
    FAULT_VALUE_ZERO, /* of the right length */
    FAULT_VALUE_ONES, /* of the right length: r and s above the order, a value above the modulus */
    FAULT_VALUE_HIGH_S, /* n - s: as right as the other, for P-256 */
    FAULT_VALUE_COUNT
};

struct fault_rule {
    int call; /* enum fault_call_number, or -1: all */
    uint64_t skip, times;
    uint64_t net_us, service_us, jitter_us, units;
    bool has_rv, late, hang, has_length, has_exit;
    uint64_t rv, signal, exit, length;
    enum fault_value value;
};

struct fault_rules {
    uint64_t generation;
    uint64_t sessions, flags, session_epoch, object_epoch, away;
    unsigned count;
    struct fault_rule rows[FAULT_RULES_MAX];
};

/* The rules as they stand in $FAULT_CONTROL; borrowed until the next call.  Without the variable
 * there are none; a file that is not there, or not readable as such, ends the process. */
const struct fault_rules *fault_rules_now(void);

/* The name of a call. */
const char *fault_call_name(int call);

/* End the process: the test is wrong, not the module. */
_Noreturn void fault_die(const char *what, const char *word);
