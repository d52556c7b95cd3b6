#include "cli/programs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool programs_path(const char *name, char *ret, size_t size)
{
    char own[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);

    for (int up = 0; up < 2; up++) { /* PREFIX/bin/esign: two names off */
        while (len > 0 && own[len - 1] != '/')
            len--;
        if (len <= 0)
            return false;
        len--;
    }
    int made = snprintf(ret, size, "%.*s/" ESIGN_LIBEXEC "/%s", (int)len, own, name);
    return made > 0 && (size_t)made < size;
}
