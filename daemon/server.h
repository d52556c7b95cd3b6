/* The service: owns every part, opens them in order, runs until told to stop, closes in reverse. */
#pragma once

#include "base/fault.h"

/* Run with the configuration at path.  Returns the program's exit code: 0 stopped on request; 1 it
 * could not start or run, and the log says why. */
int server_run(const char *config_path);
