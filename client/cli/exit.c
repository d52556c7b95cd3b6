#include "exit.h"

#include <string.h>

enum cli_exit exit_of_error(const struct esign_error *error)
{
    const char *reason = esign_error_reason(error);

    if (strcmp(reason, "unreachable") == 0 || strcmp(reason, "no_answer") == 0)
        return CLI_UNREACHABLE;
    return CLI_REFUSED;
}

enum cli_exit exit_of_indication(const char *indication)
{
    if (indication && strcmp(indication, "TOTAL_PASSED") == 0)
        return CLI_DONE;
    if (indication && strcmp(indication, "TOTAL_FAILED") == 0)
        return CLI_REFUSED;
    return CLI_INDETERMINATE;
}
