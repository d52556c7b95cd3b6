/* Where the other programs of esignd are, and how one that was started is followed to its end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

/* The path of a program in the libexec directory that belongs to the running esign (found from
 * /proc/self/exe, so that any prefix works).  ret: size bytes.  Whether that could be found. */
bool programs_path(const char *name, char *ret, size_t size);

/* In a child before it becomes another program: out_fd is its standard output, its standard input
 * is empty, and it gets none of our other descriptors; one of them may have a password to be read.
 * False: that failed, with errno. */
bool programs_settle_in(int out_fd);

/* Wait for a child to end.  While hold.h holds signals back, one that comes ends the child with
 * SIGTERM, so that what was prepared for it can be put away.  fd: what it writes is appended to ret
 * up to its end, or -1.  Its exit code; -1: a signal ended it, or it can't be waited for. */
int programs_follow(pid_t pid, int fd, struct buf *ret);
