#include "exit.h"

#include <string.h>

enum cli_exit exit_of_error(const struct esign_error *error)
{
    static const char *const reasons[] = {"no_socket", "permission",  "refused",
                                          "full",      "unreachable", "no_answer"};
    const char *reason = esign_error_reason(error);

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (strcmp(reason, reasons[i]) == 0)
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
