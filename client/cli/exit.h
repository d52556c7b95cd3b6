/* What the command's exit says. */
#pragma once

#include "esign/client.h"

enum cli_exit {
    CLI_DONE = 0,          /* done, or the signature is valid */
    CLI_REFUSED = 1,       /* refused or failed, or the signature is not valid */
    CLI_USAGE = 2,         /* the command line can't be understood */
    CLI_UNREACHABLE = 3,   /* the daemon did not answer */
    CLI_INDETERMINATE = 4, /* the signature can be called neither valid nor not valid */
};

/* The exit that belongs to a failed call. */
enum cli_exit exit_of_error(const struct esign_error *error);

/* The exit that belongs to an indication of ETSI EN 319 102-1; unknown words are indeterminate. */
enum cli_exit exit_of_indication(const char *indication);
