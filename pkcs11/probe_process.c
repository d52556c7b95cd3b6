/* Child processes of the probe: forked before any module is loaded, waited for with a bound. */
#include "pkcs11/probe_internal.h"
#include "pkcs11/worker.h"

#include "base/clock.h"
#include "base/secret.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int64_t probe_now_ms(void)
{
    return clock_mono_ms(clock_system());
}

static struct probe process_new(const struct probe_parent *parent, int fd)
{
    const struct probe_run *run = &parent->run;
    struct probe p = {.config = run->config,
                      .index = run->index,
                      .in_use = run->in_use,
                      .copied = run->copied,
                      .removal = run->removal,
                      .on_token = !run->in_use || run->copied,
                      .refused = parent->refused,
                      .parent_fd = fd};

    memcpy(p.run, parent->id, sizeof(p.run));
    return p;
}

/* In the child, before anything else. */
static void process_settle_in(void)
{
    struct fault f = {0};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* else the closed socket ends it */
    (void)signal(SIGPIPE, SIG_IGN);         /* a module may write to a server that has gone */
    if (secret_start(&f) != ESIGN_OK || pkcs11_worker_drop_capabilities(&f) != ESIGN_OK)
        _exit(1);
}

enum esign_rc probe_start(const struct probe_parent *parent, probe_main run, const void *arg,
                          struct probe_kid *ret, struct fault *f)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no socket for a child");
    pid_t pid = fork();
    if (pid == 0) {
        struct probe p = process_new(parent, ends[1]);
        (void)close(ends[0]); /* ours is the other one */
        process_settle_in();
        run(&p, arg);
        _exit(1); /* not reached */
    }
    (void)close(ends[1]); /* the child's */
    if (pid < 0) {
        (void)close(ends[0]); /* nobody is at its other end */
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no process for a child");
    }
    *ret = (struct probe_kid){
        .pid = pid, .fd = ends[0], .current = -1, .until_ms = probe_now_ms() + PROBE_TRY_S * 1000};
    return ESIGN_OK;
}

int probe_reap(struct probe_kid *kid)
{
    int status = 0;

    while (waitpid(kid->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    (void)close(kid->fd); /* read to its end */
    return status;
}

bool probe_receive(const struct probe_kid *kid, struct probe_message *ret, bool *ret_late)
{
    struct pollfd waiting = {.fd = kid->fd, .events = POLLIN};

    *ret_late = false;
    for (;;) {
        int64_t left = kid->until_ms - probe_now_ms();
        int n = left > 0 ? poll(&waiting, 1, (int)left) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            *ret_late = n == 0;
            return false;
        }
        if (recv(kid->fd, ret, sizeof(*ret), 0) != sizeof(*ret))
            return false;
        ret->name[sizeof(ret->name) - 1] = ret->detail[sizeof(ret->detail) - 1] = '\0';
        return true;
    }
}

int probe_run_short(const struct probe_parent *parent, probe_main run, const void *arg,
                    struct probe_message *ret_last)
{
    struct probe_kid kid;
    struct probe_message m;
    struct fault f = {0};
    bool late = false;

    if (probe_start(parent, run, arg, &kid, &f) != ESIGN_OK)
        return 1;
    while (probe_receive(&kid, &m, &late))
        *ret_last = m;
    if (late)
        (void)kill(kid.pid, SIGKILL); /* not yet waited for */
    int status = probe_reap(&kid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

void probe_take_fact(struct probe_run *run, const struct probe_message *m)
{
    (void)json_object_set_new(run->facts, m->name,
                              json_string(m->detail)); /* text that is no UTF-8 is left out */
}
