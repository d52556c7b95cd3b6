/* Taking rights away from this process, for ever.  Each call is made once at start, before anything
 * foreign is read, and only ever narrows. */
#pragma once

#include "base/fault.h"

#include <stdint.h>

/* No new privileges by exec, no core dump, not readable by other processes of the same user.
 * ESIGN_E_INTERNAL (cause errno).  Source: prctl(2) PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE. */
enum esign_rc sandbox_harden(struct fault *f) MUST_CHECK;

struct sandbox_limits {
    uint64_t memory_bytes; /* of address space, beyond which memory is out; 0: as it is */
    uint64_t cpu_s;        /* of processor time, beyond which the process is killed; 0: as it is */
};

/* Limits for this process and its children.  ESIGN_E_INTERNAL (cause errno). */
enum esign_rc sandbox_limit(const struct sandbox_limits *limits, struct fault *f) MUST_CHECK;

/* From now on only what a parser needs that answers on connections: memory, clock, random bytes,
 * reading and writing open descriptors, accepting from the socket it already has.  No file is
 * opened, no socket is made or connected, no program or process is started, no memory becomes
 * executable: every other system call kills the process (SIGSYS).  What opens files lazily (time
 * zone, OpenSSL's configuration) must have done so before; sandbox_harden() too.
 * ESIGN_E_INTERNAL: the filter can't be loaded; the caller must then not go on.
 * Source: seccomp(2). */
enum esign_rc sandbox_confine_parser(struct fault *f) MUST_CHECK;
