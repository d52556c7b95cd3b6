/* LD_PRELOAD: parts of esignd (of no other program) hang while a file of ESIGN_HANG_FOLDER stands
 * there, which the sandbox must let it look for.
 *
 *   hang-sync     whoever syncs a file: the store's writer
 *   hang-accept   the thread that accepts connections
 *   hang-reply    every connection's thread, before its reply */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HANG_LOOK_MS = 10, HANG_PATH_MAX = 4096 };

/* The function behind ours. */
#define REAL(name)                                                                                 \
    ({                                                                                             \
        static __typeof__(&(name)) real_;                                                          \
        if (!real_)                                                                                \
            real_ = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name);                                  \
        real_;                                                                                     \
    })

static void hang_while(const char *name)
{
    char path[HANG_PATH_MAX];
    const char *folder = getenv("ESIGN_HANG_FOLDER");

    if (!folder || strcmp(program_invocation_short_name, "esignd") != 0)
        return;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    while (access(path, F_OK) == 0)
        (void)poll(NULL, 0, HANG_LOOK_MS);
}

int fsync(int fd)
{
    hang_while("hang-sync");
    return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    hang_while("hang-sync");
    return REAL(fdatasync)(fd);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    hang_while("hang-accept");
    return REAL(accept4)(fd, address, len, flags);
}

int MHD_queue_response(void *connection, unsigned status, void *response);

int MHD_queue_response(void *connection, unsigned status, void *response)
{
    hang_while("hang-reply");
    return REAL(MHD_queue_response)(connection, status, response);
}
