/* For LD_PRELOAD: on SIGUSR2 the program tries, from within, a call that it must not make.
 *
 * The signal's value (sigqueue) says which.  What came of it goes to stderr as
 * "forbidden NAME errno=N", 0 if the call was let through; a process that is killed says nothing.
 * ESIGN_UNCONFINED=1 is the counter-test: the same program, whose sandbox is made to fail silently.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long forbidden_call(long, long, long, long, long, long, long);

/* The program's own way to the kernel, which the counter-test replaces. */
static long forbidden_ask(long n, long a, long b, long c, long d, long e, long f)
{
    static forbidden_call *real;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    return real(n, a, b, c, d, e, f);
}

static bool forbidden_is_off(void)
{
    return getenv("ESIGN_UNCONFINED") != NULL;
}

/* Instead of libseccomp's. */
int seccomp_load(void *filter);
int seccomp_load(void *filter)
{
    int (*real)(void *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "seccomp_load");
    return forbidden_is_off() ? 0 : real(filter);
}

/* Instead of libc's: a kernel without Landlock. */
long syscall(long number, ...)
{
    long a[6];
    va_list ap;
    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (forbidden_is_off() && number == SYS_landlock_create_ruleset) {
        errno = ENOSYS;
        return -1;
    }
    return forbidden_ask(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static long try_open(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static long try_list(void)
{
    return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static long try_create(void)
{
    return open("/tmp/esign-forbidden", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static long try_inet(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long try_exec(void)
{
    char *const argv[] = {NULL};
    return execve("/nonexistent", argv, argv);
}

static long try_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid;
}

static long try_ptrace(void)
{
    return ptrace(PTRACE_PEEKDATA, -1, NULL, NULL);
}

static long try_read_process(void)
{
    return syscall(SYS_process_vm_readv, getpid(), NULL, 0L, NULL, 0L, 0L);
}

static long try_keyring(void)
{
    return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0L);
}

static long try_unshare(void)
{
    return unshare(0);
}

static long try_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? -1 : 0;
}

static const struct {
    const char *name;
    long (*call)(void);
} tries[] = {
    {"open", try_open},
    {"list", try_list},
    {"create", try_create},
    {"inet", try_inet},
    {"exec", try_exec},
    {"fork", try_fork},
    {"ptrace", try_ptrace},
    {"read_process", try_read_process},
    {"keyring", try_keyring},
    {"unshare", try_unshare},
    {"executable", try_executable},
};

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    size_t which = (size_t)info->si_value.sival_int;
    char line[64];
    if (which >= sizeof(tries) / sizeof(*tries))
        return;
    int before = errno;
    int error = tries[which].call() < 0 ? errno : 0;
    int len = snprintf(line, sizeof(line), "forbidden %s errno=%d\n", tries[which].name, error);
    ssize_t written = write(STDERR_FILENO, line, (size_t)len);
    (void)written; /* the test waits for the line in vain */
    errno = before;
}

__attribute__((constructor)) static void forbidden_start(void)
{
    const struct sigaction action = {.sa_sigaction = on_signal,
                                     .sa_flags = SA_SIGINFO | SA_RESTART};
    (void)sigaction(SIGUSR2, &action, NULL); /* fails only for wrong arguments */
}
