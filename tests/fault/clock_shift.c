/* For LD_PRELOAD: adds to CLOCK_REALTIME the seconds that a file holds (int64, host order).
 *
 *   ESIGN_CLOCK_SHIFT   the file, which must exist; mapped before main() and any sandbox, so that
 *                       a test moves the clock of running programs by writing to it
 *
 * The state is global because the function that is replaced has nowhere to keep it. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int shift_call(clockid_t, struct timespec *);

static const volatile int64_t *shift_s;

__attribute__((constructor)) static void shift_open(void)
{
    const char *path = getenv("ESIGN_CLOCK_SHIFT");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof(*shift_s), PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (at != MAP_FAILED)
        shift_s = at;
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
    static shift_call *real;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(id, ret);
    if (rc == 0 && id == CLOCK_REALTIME && shift_s)
        ret->tv_sec += (time_t)*shift_s;
    return rc;
}
