#include "base/cleanup.h"
#include "base/worker/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { LISTEN_PASSED_FD = 3, LISTEN_BACKLOG = 128 };

/* Whether the service manager passed exactly one descriptor to this process.
 * Source: sd_listen_fds(3). */
static bool listen_was_passed(void)
{
    const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
    char own[16];

    (void)snprintf(own, sizeof(own), "%d", (int)getpid());
    return count && strcmp(count, "1") == 0 && (!pid || strcmp(pid, own) == 0);
}

static bool listen_option_is(int fd, int option, int wanted)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

static enum esign_rc listen_take_passed(int type, int *ret_fd, struct fault *f)
{
    int fd = LISTEN_PASSED_FD;

    if (!listen_option_is(fd, SO_DOMAIN, AF_UNIX) || !listen_option_is(fd, SO_TYPE, type) ||
        !listen_option_is(fd, SO_ACCEPTCONN, 1))
        return fault_set(f, ESIGN_E_POLICY,
                         "descriptor 3 is not a listening Unix socket of the right type; look at "
                         "the socket unit");
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "descriptor 3");
    (void)unsetenv("LISTEN_FDS"); /* fails only for a malformed name */
    (void)unsetenv("LISTEN_PID");
    *ret_fd = fd;
    return ESIGN_OK;
}

/* Remove a socket that nobody listens on. */
static enum esign_rc listen_remove_stale(const struct sockaddr_un *address, int type,
                                         struct fault *f)
{
    struct stat st;

    if (lstat(address->sun_path, &st) != 0)
        return ESIGN_OK; /* nothing there, or bind tells */
    if (!S_ISSOCK(st.st_mode))
        return fault_set(f, ESIGN_E_POLICY, "%.150s exists and is not a socket", address->sun_path);
    CLEANUP(close_p) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
        errno != ECONNREFUSED)
        return fault_set(f, ESIGN_E_CONFLICT, "somebody listens on %.150s already",
                         address->sun_path);
    if (unlink(address->sun_path) != 0)
        return fault_cause(f, ESIGN_E_POLICY, (unsigned long)errno, "%.150s can't be replaced",
                           address->sun_path);
    return ESIGN_OK;
}

enum esign_rc worker_listen(const char *path, int type, mode_t mode, int *ret_fd, struct fault *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (listen_was_passed())
        return listen_take_passed(type, ret_fd, f);
    if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path))
        return fault_set(f, ESIGN_E_POLICY, "the socket's path is empty or too long");
    memcpy(address.sun_path, path, strlen(path) + 1);
    enum esign_rc rc = listen_remove_stale(&address, type, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(close_p) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no socket");
    mode_t before = umask((mode_t)(~mode & 0777));
    int bound = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    int error = errno;
    (void)umask(before); /* never fails */
    if (bound != 0)
        return fault_cause(f, ESIGN_E_POLICY, (unsigned long)error, "%.120s can't be bound: %s",
                           path, strerror(error));
    if (listen(fd, LISTEN_BACKLOG) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "listen on %.150s", path);
    *ret_fd = TAKE_FD(fd);
    return ESIGN_OK;
}

void worker_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    CLEANUP(close_p) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    /* a manager that doesn't listen is no reason to stop serving */
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, len);
}
