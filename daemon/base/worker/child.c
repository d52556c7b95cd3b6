#include "base/worker/child.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Signals that we hold back or ignore are not held back there: Ctrl-C ends a child. */
static int child_signals(posix_spawnattr_t *attributes)
{
    sigset_t none, usual;

    (void)sigemptyset(&none); /* these five can't fail with valid arguments */
    (void)sigemptyset(&usual);
    (void)sigaddset(&usual, SIGINT);
    (void)sigaddset(&usual, SIGQUIT);
    (void)sigaddset(&usual, SIGTERM);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error)
        error = posix_spawnattr_setsigdefault(attributes, &usual);
    if (!error)
        error =
            posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return error;
}

/* The connection, an empty standard input and ours for output and errors; no more: another of ours
 * may have a password to be read. */
static int child_descriptors(posix_spawn_file_actions_t *actions, int socket_fd)
{
    int error = posix_spawn_file_actions_adddup2(actions, socket_fd, WORKER_CHILD_FD);

    if (!error)
        error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(actions, WORKER_CHILD_FD + 1);
    return error;
}

/* Returns the pid, or 0 with the errno in ret_error. */
static pid_t child_spawn(char *const argv[], char *const environment[], int socket_fd,
                         int *ret_error)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid = 0;

    *ret_error = posix_spawn_file_actions_init(&actions);
    if (*ret_error)
        return 0;
    *ret_error = posix_spawnattr_init(&attributes);
    if (!*ret_error) {
        *ret_error = child_descriptors(&actions, socket_fd);
        if (!*ret_error)
            *ret_error = child_signals(&attributes);
        if (!*ret_error)
            *ret_error = posix_spawn(&pid, argv[0], &actions, &attributes, argv, environment);
        (void)posix_spawnattr_destroy(&attributes); /* never fails for an initialised object */
    }
    (void)posix_spawn_file_actions_destroy(&actions); /* as above */
    return *ret_error ? 0 : pid;
}

enum esign_rc worker_child_start(const char *name, char *const argv[], char *const environment[],
                                 struct worker_child *ret, struct fault *f)
{
    int pair[2], error = 0;

    *ret = (struct worker_child){0};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no socket for a child");
    CLEANUP(close_p) int own = pair[0];
    CLEANUP(close_p) int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, WORKER_CHILD_FD + 1);
    (void)close(pair[1]); /* the copy is used: dup2 onto itself would leave FD_CLOEXEC set */
    if (theirs < 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no room for a child");
    pid_t pid = child_spawn(argv, environment, theirs, &error);
    if (!pid)
        return fault_reason(f, ESIGN_E_HSM, "worker", "%.150s can't be started: %s", argv[0],
                            strerror(error));
    enum esign_rc rc = worker_pool_adopt(name, TAKE_FD(own), &ret->pool, f);
    ret->pid = pid;
    if (rc)
        worker_child_end(ret);
    return rc;
}

void worker_child_end(struct worker_child *child)
{
    worker_pool_free(child->pool);
    if (child->pid > 0) {
        (void)kill(child->pid, SIGKILL); /* our child, not yet waited for */
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    *child = (struct worker_child){0};
}
