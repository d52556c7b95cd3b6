#include "store/reserve.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

bool store_make_reserve(const char *path)
{
    CLEANUP(close_p)
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    if (posix_fallocate(fd, 0, STORE_RESERVE_LEN) == 0 && fsync(fd) == 0)
        return true;
    store_drop_reserve(path);
    return false;
}

void store_drop_reserve(const char *path)
{
    (void)unlink(path); /* if it is not there, there is nothing to give up */
}
