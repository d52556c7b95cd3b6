#include "ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(struct secret *, secret_free)

/* The terminal while something is asked. */
struct ask_terminal {
    int fd, signal_fd;
    sigset_t before;       /* signal mask to be restored */
    struct termios saved;  /* settings to be restored */
    bool quiet;            /* echo is to be off */
    const struct ask *ask; /* NULL: nothing is done meanwhile */
    const char *prompt;
};

static void ask_write(int fd, const char *text)
{
    /* a terminal that can't be written to shows in the read that follows */
    ssize_t written = write(fd, text, strlen(text));
    (void)written;
}

static void ask_prompt(const struct ask_terminal *t)
{
    struct termios now = t->saved;

    if (t->quiet)
        now.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    (void)tcsetattr(t->fd, TCSAFLUSH, &now); /* a refusal means that it is no terminal: checked */
    ask_write(t->fd, t->prompt);
    ask_write(t->fd, ": ");
}

static void ask_restore(const struct ask_terminal *t)
{
    (void)tcsetattr(t->fd, TCSAFLUSH, &t->saved); /* nothing else can be done */
    if (t->quiet)
        ask_write(t->fd, "\n");
}

/* instead: what serves where there is no terminal. */
static enum esign_rc ask_open(const char *prompt, bool quiet, const char *instead,
                              struct ask_terminal *ret, struct fault *f)
{
    sigset_t set;

    *ret = (struct ask_terminal){.fd = -1, .signal_fd = -1, .prompt = prompt, .quiet = quiet};
    ret->fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ret->fd < 0 || tcgetattr(ret->fd, &ret->saved) != 0) {
        close_p(&ret->fd);
        return fault_set(f, ESIGN_E_POLICY,
                         "there is no terminal to ask on (%.60s); give %.60s or run it on one",
                         prompt, instead);
    }
    (void)sigemptyset(&set); /* these five cannot fail with valid arguments */
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGQUIT);
    (void)sigaddset(&set, SIGTSTP);
    (void)sigprocmask(SIG_BLOCK, &set, &ret->before);
    ret->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (ret->signal_fd < 0) {
        int cause = errno;
        (void)sigprocmask(SIG_SETMASK, &ret->before, NULL);
        close_p(&ret->fd);
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)cause, "signals can't be watched");
    }
    ask_prompt(ret);
    return ESIGN_OK;
}

static void ask_close(struct ask_terminal *t)
{
    ask_restore(t);
    (void)sigprocmask(SIG_SETMASK, &t->before, NULL); /* cannot fail with a valid mask */
    close_p(&t->signal_fd);
    close_p(&t->fd);
}

/* Deliver a signal as if nothing had been asked; go on if the program survives it (SIGTSTP).
 * Whether it is held back by the caller (hold.h): it waits again, and the prompt is over. */
static bool ask_deliver(const struct ask_terminal *t)
{
    struct signalfd_siginfo info;
    sigset_t blocked;

    if (read(t->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return false;
    int number = (int)info.ssi_signo;
    (void)raise(number); /* pending until the mask is restored */
    if (sigismember(&t->before, number) == 1)
        return true;
    ask_restore(t);
    (void)sigprocmask(SIG_SETMASK, &t->before, &blocked); /* it ends or stops the program here */
    (void)sigprocmask(SIG_SETMASK, &blocked, NULL);
    ask_prompt(t);
    return false;
}

enum { ASK_GONE = -1, ASK_INTERRUPTED = -2 };

/* Read up to the end of the line; ASK_GONE: too long, or the terminal is gone; ASK_INTERRUPTED. */
static ssize_t ask_read(const struct ask_terminal *t, char *ret, size_t size)
{
    size_t len = 0;

    for (;;) {
        struct pollfd fds[2] = {{.fd = t->fd, .events = POLLIN},
                                {.fd = t->signal_fd, .events = POLLIN}};
        bool busy = t->ask && t->ask->meanwhile;
        int ready = poll(fds, 2, busy ? ASK_MEANWHILE_MS : -1);
        if (ready < 0 && errno != EINTR)
            return ASK_GONE;
        if (ready == 0)
            t->ask->meanwhile(t->ask->ctx);
        if (ready <= 0)
            continue;
        if (fds[1].revents) {
            if (ask_deliver(t))
                return ASK_INTERRUPTED;
            len = 0;
            continue;
        }
        ssize_t got = read(t->fd, ret + len, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ASK_GONE;
        if (got == 0 || ret[len] == '\n')
            return (ssize_t)len;
        if (++len == size)
            return ASK_GONE;
    }
}

static enum esign_rc ask_interrupted(struct fault *f)
{
    return fault_reason(f, ESIGN_E_CONFLICT, "interrupted", "interrupted before an answer");
}

static enum esign_rc ask_nothing(struct fault *f)
{
    return fault_reason(f, ESIGN_E_PROTO, ASK_NOTHING, "nothing was entered");
}

static enum esign_rc ask_terminal_secret(const struct ask *ask, const char *prompt,
                                         struct secret **ret, struct fault *f)
{
    struct ask_terminal terminal;
    char line[SECRET_MAX + 1];
    enum esign_rc rc =
        ask_open(prompt, true, ask->instead ? ask->instead : "--password-fd N", &terminal, f);

    if (rc != ESIGN_OK)
        return rc;
    terminal.ask = ask;
    ssize_t len = ask_read(&terminal, line, sizeof(line));
    ask_close(&terminal);
    struct secret *secret = len > 0 ? secret_new(bytes_of(line, (size_t)len)) : NULL;
    secret_wipe(line, sizeof(line));
    if (len == ASK_INTERRUPTED)
        return ask_interrupted(f);
    if (len == 0)
        return ask_nothing(f);
    if (!secret)
        return fault_set(f, ESIGN_E_TOO_LARGE, "a secret has at most %d bytes", SECRET_MAX);
    *ret = secret;
    return ESIGN_OK;
}

/* Wait until fd has something; false: a signal that is held back (hold.h) came first. */
static bool ask_wait(int fd)
{
    sigset_t held;

    if (sigprocmask(SIG_SETMASK, NULL, &held) != 0)
        return true;
    CLEANUP(close_p) int signal_fd = signalfd(-1, &held, SFD_CLOEXEC);
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        continue;
    return fds[0].revents || !fds[1].revents;
}

static enum esign_rc ask_fd_secret(int fd, const char *prompt, struct secret **ret, struct fault *f)
{
    CLEANUP(secret_free_p) struct secret *secret = NULL;
    enum esign_rc rc = ask_wait(fd) ? secret_read_fd(fd, &secret, f) : ask_interrupted(f);

    if (rc != ESIGN_OK)
        return rc;
    if (secret_bytes(secret).len == 0)
        return fault_set(f, ESIGN_E_PROTO, "descriptor %d has no line for: %s", fd, prompt);
    *ret = TAKE(secret);
    return ESIGN_OK;
}

enum esign_rc ask_secret(const struct ask *ask, const char *prompt, bool twice, struct secret **ret,
                         struct fault *f)
{
    if (ask->fd >= 0)
        return ask_fd_secret(ask->fd, prompt, ret, f);
    CLEANUP(secret_free_p) struct secret *first = NULL;
    CLEANUP(secret_free_p) struct secret *second = NULL;
    enum esign_rc rc = ask_terminal_secret(ask, prompt, &first, f);
    if (rc == ESIGN_OK && twice)
        rc = ask_terminal_secret(ask, "the same again", &second, f);
    if (rc != ESIGN_OK)
        return rc;
    if (twice && !secret_equal(first, secret_bytes(second)))
        return fault_set(f, ESIGN_E_PROTO, "the two are not the same; nothing was done");
    *ret = TAKE(first);
    return ESIGN_OK;
}

enum esign_rc ask_line(const char *prompt, const char *instead, char *ret, struct fault *f)
{
    struct ask_terminal terminal;
    enum esign_rc rc = ask_open(prompt, false, instead, &terminal, f);

    if (rc != ESIGN_OK)
        return rc;
    ssize_t len = ask_read(&terminal, ret, ASK_LINE_MAX - 1);
    ask_close(&terminal);
    if (len == ASK_INTERRUPTED)
        return ask_interrupted(f);
    if (len == 0)
        return ask_nothing(f);
    if (len < 0)
        return fault_set(f, ESIGN_E_PROTO, "the line is too long");
    ret[len] = '\0';
    return ESIGN_OK;
}
