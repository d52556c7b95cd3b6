/* Where the other programs of esignd are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The path of a program in the libexec directory that belongs to the running esign (found from
 * /proc/self/exe, so that any prefix works).  ret: size bytes.  Whether that could be found. */
bool programs_path(const char *name, char *ret, size_t size);
