#include "base/worker/worker_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum {
    SUPERVISE_TICK_MS = 250, /* workers are looked at this often: a kill is at most so late */
    SUPERVISE_STOP_TICK_MS = 20,
};

/* What the supervisor alone knows of one worker. */
struct supervise_child {
    pid_t pid; /* 0: not running */
    int64_t started_at_ms;
    int64_t restart_at_ms; /* while not running */
    unsigned young_deaths; /* in a row */
};

struct supervisor {
    const struct worker_service *service;
    struct worker_page *page;
    struct supervise_child children[WORKERS_MAX];
    int listen_fd, ready_fd, signal_fd;
    sigset_t old_mask;
    bool may_login, ready_told, stopping;
};

static int64_t supervise_now(void)
{
    return clock_mono_ms(clock_system());
}

static unsigned supervise_ready(const struct supervisor *s)
{
    unsigned count = 0;

    for (unsigned i = 0; i < s->service->workers; i++)
        if (s->children[i].pid > 0 && atomic_load(&s->page->slots[i].ready))
            count++;
    return count;
}

/* The life of a worker process. */
static _Noreturn void supervise_be_worker(const struct supervisor *s, unsigned index, pid_t parent)
{
    sigset_t mask = s->old_mask, stop;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* these calls fail only for wrong arguments */
    if (getppid() != parent)
        _exit(WORKER_EXIT_FAILED);
    (void)prctl(PR_SET_NAME, "worker");
    (void)signal(SIGINT, SIG_IGN); /* a terminal's ^C is the supervisor's business */
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&mask, SIGTERM); /* a stop is taken between requests, never inside a module */
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    (void)close(s->signal_fd);
    const struct worker_place place = {.service = s->service,
                                       .page = s->page,
                                       .index = index,
                                       .listen_fd = s->listen_fd,
                                       .connection_fd = -1,
                                       .ready_fd = s->ready_fd,
                                       .stop_fd = signalfd(-1, &stop, SFD_CLOEXEC),
                                       .how = {s->may_login, supervise_ready(s)}};
    _exit(worker_run(&place));
}

static void supervise_fork(struct supervisor *s, unsigned index)
{
    struct supervise_child *child = &s->children[index];
    struct worker_slot *slot = &s->page->slots[index];
    pid_t parent = getpid();

    child->started_at_ms = supervise_now();
    atomic_store(&slot->connections, 0);
    atomic_store(&slot->answered, 0);
    atomic_store(&slot->ready, 0);
    atomic_store(&slot->busy_until_ms, child->started_at_ms + WORKER_START_MS);
    child->pid = fork();
    if (child->pid == 0)
        supervise_be_worker(s, index, parent);
    if (child->pid < 0) {
        child->pid = 0;
        child->restart_at_ms = child->started_at_ms + WORKER_BACKOFF_MAX_MS;
        log_error("no worker process service=%s errno=%d", s->service->name, errno);
    }
}

/* Whether a worker died without having been of use: then its successor waits. */
static bool supervise_died_young(const struct supervisor *s, unsigned index, int64_t now)
{
    const struct worker_slot *slot = &s->page->slots[index];

    if (atomic_load(&slot->answered) > 0)
        return false;
    if (atomic_load(&slot->ready) && s->service->requests_each == 1)
        return false; /* a process for each document: one that dies of it says nothing of the rest
                       */
    return now - s->children[index].started_at_ms < WORKER_YOUNG_MS;
}

static int64_t supervise_pause_ms(unsigned young_deaths)
{
    int64_t pause = WORKER_BACKOFF_MS;

    for (unsigned i = 1; i < young_deaths && pause < WORKER_BACKOFF_MAX_MS; i++)
        pause *= 2;
    return pause > WORKER_BACKOFF_MAX_MS ? WORKER_BACKOFF_MAX_MS : pause;
}

static void supervise_log_death(const struct supervisor *s, pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        log_warn("worker killed service=%s pid=%d signal=%d", s->service->name, (int)pid,
                 WTERMSIG(status));
    else if (WEXITSTATUS(status) == WORKER_EXIT_NO_PIN)
        log_error("the token refused the PIN, which is not sent again until a restart service=%s",
                  s->service->name);
    else if (WEXITSTATUS(status) == WORKER_EXIT_SPARE)
        log_warn("no room for another worker, tried again in %d s service=%s running=%u",
                 WORKER_SPARE_MS / 1000, s->service->name, supervise_ready(s));
    else if (WEXITSTATUS(status) != WORKER_EXIT_DONE)
        log_warn("worker ended service=%s pid=%d status=%d", s->service->name, (int)pid,
                 WEXITSTATUS(status));
}

/* A worker has ended: decide when its successor starts. */
static void supervise_bury(struct supervisor *s, unsigned index, int status)
{
    struct supervise_child *child = &s->children[index];
    int64_t now = supervise_now();
    bool done = WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_DONE;
    bool no_pin = WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_NO_PIN;
    bool spare = WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_SPARE;
    bool was_ready = atomic_load(&s->page->slots[index].ready) != 0;
    bool useful_end = no_pin || spare || (done && was_ready);

    supervise_log_death(s, child->pid, status);
    if (no_pin)
        s->may_login = false;
    if (useful_end || !supervise_died_young(s, index, now))
        child->young_deaths = 0;
    else
        child->young_deaths++;
    unsigned free_deaths = was_ready ? 1 : 0; /* callers wait: one that was ready has a successor */
    child->restart_at_ms = spare ? now + WORKER_SPARE_MS : now;
    if (child->young_deaths > free_deaths)
        child->restart_at_ms += supervise_pause_ms(child->young_deaths - free_deaths);
    child->pid = 0;
    atomic_store(&s->page->slots[index].ready, 0);
    atomic_store(&s->page->slots[index].connections, 0);
}

static void supervise_reap(struct supervisor *s)
{
    for (unsigned i = 0; i < s->service->workers; i++) {
        int status = 0;
        if (s->children[i].pid > 0 &&
            waitpid(s->children[i].pid, &status, WNOHANG) == s->children[i].pid)
            supervise_bury(s, i, status);
    }
}

/* Kill a worker whose time is over.  Only the number in the page is believed, and a worker can
 * harm nobody but itself by writing there. */
static void supervise_kill(struct supervisor *s, unsigned index, int64_t limit_ms)
{
    if (supervise_now() <= limit_ms)
        return;
    log_warn("worker is past its deadline service=%s pid=%d", s->service->name,
             (int)s->children[index].pid);
    (void)kill(s->children[index].pid, SIGKILL); /* our child, not yet waited for: it exists */
}

static void supervise_kill_late(struct supervisor *s)
{
    for (unsigned i = 0; i < s->service->workers; i++) {
        int64_t until = atomic_load(&s->page->slots[i].busy_until_ms);
        if (s->children[i].pid > 0 && until > 0)
            supervise_kill(s, i, until + s->service->grace_ms);
    }
}

static bool supervise_is_starting(const struct supervisor *s)
{
    for (unsigned i = 0; i < s->service->workers; i++)
        if (s->children[i].pid > 0 && !atomic_load(&s->page->slots[i].ready))
            return true;
    return false;
}

/* Whether as many run as may. */
static bool supervise_is_full(const struct supervisor *s)
{
    unsigned limit = s->service->limit ? s->service->limit(s->service->ctx) : 0, count = 0;

    for (unsigned i = 0; i < s->service->workers; i++)
        if (s->children[i].pid > 0)
            count++;
    return limit > 0 && count >= limit;
}

static void supervise_start_due(struct supervisor *s)
{
    for (unsigned i = 0; i < s->service->workers; i++) {
        if (supervise_is_full(s) || (s->service->serial_start && supervise_is_starting(s)))
            return;
        if (s->children[i].pid == 0 && s->children[i].restart_at_ms <= supervise_now())
            supervise_fork(s, i);
    }
}

/* How long to wait for events: to the next restart or the next look. */
static int supervise_timeout(const struct supervisor *s)
{
    int64_t now = supervise_now(), wait = SUPERVISE_TICK_MS;

    for (unsigned i = 0; i < s->service->workers; i++) {
        int64_t until = s->children[i].pid > 0 ? atomic_load(&s->page->slots[i].busy_until_ms)
                                               : s->children[i].restart_at_ms;
        if (s->children[i].pid > 0 && until > 0)
            until += s->service->grace_ms;
        if (until > 0 && until - now < wait)
            wait = until - now;
    }
    return wait < 1 ? 1 : (int)wait;
}

/* Wait for signals and news from workers. */
static void supervise_wait(struct supervisor *s, int timeout_ms)
{
    struct pollfd events[2] = {{.fd = s->signal_fd, .events = POLLIN},
                               {.fd = s->ready_fd, .events = POLLIN}};
    struct signalfd_siginfo info;
    eventfd_t ready;

    if (poll(events, 2, timeout_ms) <= 0)
        return;
    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            s->stopping = true;
    if (eventfd_read(s->ready_fd, &ready) == 0 && !s->ready_told) {
        s->ready_told = true;
        log_info("ready service=%s", s->service->name);
        worker_notify("READY=1");
    }
}

static bool supervise_has_workers(const struct supervisor *s)
{
    for (unsigned i = 0; i < s->service->workers; i++)
        if (s->children[i].pid > 0)
            return true;
    return false;
}

/* Let the workers end what they do, within bounds: a module must not be killed in a login if that
 * can be avoided: SoftHSM rewrites its token file there. */
static void supervise_stop(struct supervisor *s)
{
    int64_t began = supervise_now();

    worker_notify("STOPPING=1");
    for (unsigned i = 0; i < s->service->workers; i++)
        if (s->children[i].pid > 0)
            (void)kill(s->children[i].pid, SIGTERM); /* our child, not yet waited for */
    while (supervise_has_workers(s)) {
        for (unsigned i = 0; i < s->service->workers; i++) {
            int64_t until = atomic_load(&s->page->slots[i].busy_until_ms);
            if (until < began)
                until = began;
            if (until > began + WORKER_START_MS)
                until = began + WORKER_START_MS;
            if (s->children[i].pid > 0)
                supervise_kill(s, i, until + WORKER_STOP_MS);
        }
        supervise_wait(s, SUPERVISE_STOP_TICK_MS);
        supervise_reap(s);
    }
}

/* Descriptors, signals and the shared page. */
static bool supervise_prepare(struct supervisor *s)
{
    sigset_t mask;
    int flags = fcntl(s->listen_fd, F_GETFL);

    (void)signal(SIGPIPE, SIG_IGN); /* these calls fail only for wrong arguments */
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGCHLD);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &mask, &s->old_mask);
    s->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    s->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    void *page =
        mmap(NULL, sizeof(*s->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s->page = page == MAP_FAILED ? NULL : page;
    return s->signal_fd >= 0 && s->ready_fd >= 0 && s->page && flags >= 0 &&
           fcntl(s->listen_fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static void supervise_done(struct supervisor *s)
{
    if (s->page)
        (void)munmap(s->page, sizeof(*s->page)); /* a mapping of ours */
    close_p(&s->signal_fd);
    close_p(&s->ready_fd);
    (void)sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
}

int worker_supervise(int listen_fd, const struct worker_service *service)
{
    CLEANUP(supervise_done)
    struct supervisor s = {.service = service,
                           .listen_fd = listen_fd,
                           .ready_fd = -1,
                           .signal_fd = -1,
                           .may_login = true};

    assert(service->workers >= 1 && service->workers <= WORKERS_MAX);
    if (!supervise_prepare(&s)) {
        log_error("the supervisor can't start service=%s errno=%d", service->name, errno);
        return EXIT_FAILURE;
    }
    while (!s.stopping) {
        supervise_start_due(&s);
        supervise_wait(&s, supervise_timeout(&s));
        supervise_reap(&s);
        supervise_kill_late(&s);
    }
    supervise_stop(&s);
    return EXIT_SUCCESS;
}
