/* The system calls that a worker may make which only answers on connections. */
#include "sandbox/filter.h"
#include "sandbox/sandbox.h"

enum esign_rc sandbox_confine_parser(struct fault *f)
{
    const struct filter_table tables[] = {filter_common, {NULL, 0}};

    return filter_load(SCMP_ACT_KILL_PROCESS, tables, f);
}

enum esign_rc sandbox_confine_hash(struct fault *f)
{
    const struct filter_table tables[] = {filter_common, filter_locking, {NULL, 0}};

    return filter_load(SCMP_ACT_KILL_PROCESS, tables, f);
}
