/* Privileges and resource limits. */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum esign_rc sandbox_harden(struct fault *f)
{
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        setrlimit(RLIMIT_CORE, &none) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno,
                           "this process can't be hardened");
    return ESIGN_OK;
}

static bool limit(__rlimit_resource_t what, uint64_t value)
{
    const struct rlimit both = {value, value};
    return value == 0 || setrlimit(what, &both) == 0;
}

enum esign_rc sandbox_limit(const struct sandbox_limits *limits, struct fault *f)
{
    if (!limit(RLIMIT_AS, limits->memory_bytes) || !limit(RLIMIT_CPU, limits->cpu_s))
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno,
                           "this process can't be limited");
    return ESIGN_OK;
}
