/* The parent of the probe's children: starts them, waits with a bound, and collects what they say.
 */
#include "pkcs11/probe.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "pkcs11/probe_internal.h"
#include "pkcs11/worker.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PROBE_STARTS_MAX = 12 };

/* What children are started with. */
struct probe_parent {
    struct probe_run run;
    uint8_t id[PROBE_RUN_LEN];
    bool refused; /* a child's PIN was refused: no other sends it */
};

/* A child while it runs. */
struct probe_kid {
    pid_t pid;
    int fd;      /* its messages */
    int current; /* row that it is trying, -1: none */
    int64_t until_ms;
};

static int64_t probe_now(void)
{
    return clock_mono_ms(clock_system());
}

static struct probe probe_new(const struct probe_parent *parent, int fd)
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
static void probe_settle_in(void)
{
    struct fault f = {0};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* else the closed socket ends it */
    (void)signal(SIGPIPE, SIG_IGN);         /* a module may write to a server that has gone */
    if (secret_start(&f) != ESIGN_OK || pkcs11_worker_drop_capabilities(&f) != ESIGN_OK)
        _exit(1);
}

/* Fork a child with a socket to us.  what: 'r' rows from `first`, 'm' make the key of id, 'c' clean
 * up. */
static enum esign_rc probe_start(const struct probe_parent *parent, char what, size_t first,
                                 const uint8_t *id, struct probe_kid *ret, struct fault *f)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no socket for a child");
    pid_t pid = fork();
    if (pid == 0) {
        struct probe p = probe_new(parent, ends[1]);
        (void)close(ends[0]); /* ours is the other one */
        probe_settle_in();
        if (what == 'm')
            probe_child_make(&p, id);
        if (what == 'c')
            probe_child_clean(&p);
        probe_child(&p, first);
    }
    (void)close(ends[1]); /* the child's */
    if (pid < 0) {
        (void)close(ends[0]); /* nobody is at its other end */
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no process for a child");
    }
    *ret = (struct probe_kid){
        .pid = pid, .fd = ends[0], .current = -1, .until_ms = probe_now() + PROBE_TRY_S * 1000};
    return ESIGN_OK;
}

/* Wait for the end, which has come or is forced.  Its status. */
static int probe_reap(struct probe_kid *kid)
{
    int status = 0;

    while (waitpid(kid->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    (void)close(kid->fd); /* read to its end */
    return status;
}

/* The next message of a child.  false: it has ended, or its time is over (*ret_late). */
static bool probe_receive(const struct probe_kid *kid, struct probe_message *ret, bool *ret_late)
{
    struct pollfd waiting = {.fd = kid->fd, .events = POLLIN};

    *ret_late = false;
    for (;;) {
        int64_t left = kid->until_ms - probe_now();
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

/* Run a child that answers by its exit code, and kill it when it takes too long. */
static int probe_run_short(const struct probe_parent *parent, char what, const uint8_t *id,
                           struct probe_message *ret_last)
{
    struct probe_kid kid;
    struct probe_message m;
    struct fault f = {0};
    bool late = false;

    if (probe_start(parent, what, 0, id, &kid, &f) != ESIGN_OK)
        return 1;
    while (probe_receive(&kid, &m, &late))
        *ret_last = m;
    if (late)
        (void)kill(kid.pid, SIGKILL); /* not yet waited for */
    int status = probe_reap(&kid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* A child asks for a key that another process makes. */
static void probe_answer_make(struct probe_parent *parent, struct probe_kid *kid,
                              const struct probe_message *asked)
{
    struct probe_message last = {0};
    struct probe_message answer = {.kind = PROBE_MADE, .verdict = PROBE_FAIL};
    int code = probe_run_short(parent, 'm', asked->id, &last);

    if (code == 0)
        answer.verdict = PROBE_PASS;
    parent->refused |= code == PROBE_EXIT_REFUSED;
    answer.check = parent->refused;
    (void)send(kid->fd, &answer, sizeof(answer), MSG_NOSIGNAL); /* else it has ended: seen next */
}

static void probe_take(struct probe_parent *parent, struct probe_kid *kid,
                       const struct probe_message *m)
{
    bool known = m->check >= 0 && (size_t)m->check < probe_check_count;
    bool removal = known && (probe_checks[m->check].needs & PROBE_NEEDS_REMOVAL) != 0;

    switch ((enum probe_message_kind)m->kind) {
    case PROBE_BEGIN:
        kid->current = known ? m->check : kid->current;
        kid->until_ms = probe_now() + (removal ? 3 * PROBE_REMOVAL_S : PROBE_TRY_S) * 1000;
        return;
    case PROBE_END:
        if (!known || m->verdict < PROBE_UNTRIED || m->verdict > PROBE_FAIL)
            return;
        probe_say(&parent->run.results[m->check], (enum probe_verdict)m->verdict, "%s", m->detail);
        return;
    case PROBE_FACT:
        (void)json_object_set_new(parent->run.facts, m->name,
                                  json_string(m->detail)); /* text that is no UTF-8 is left out */
        return;
    case PROBE_MAKE:
        probe_answer_make(parent, kid, m);
        kid->until_ms = probe_now() + PROBE_TRY_S * 1000;
        return;
    case PROBE_MADE:
        return;
    }
}

/* How a child ended in the middle of a row. */
static void probe_say_end(struct probe_result *ret, bool late, int status)
{
    if (late)
        probe_say(ret, PROBE_FAIL, "the module did not return; its process was killed");
    else if (WIFSIGNALED(status))
        probe_say(ret, PROBE_FAIL, "the module crashed: signal %d", WTERMSIG(status));
    else
        probe_say(ret, PROBE_FAIL, "the module ended the process (exit %d)", WEXITSTATUS(status));
}

/* Run rows from *next in one child; *next: the row after the last that was tried. */
static enum esign_rc probe_rows(struct probe_parent *parent, size_t *next, struct fault *f)
{
    struct probe_kid kid;
    struct probe_message m;
    bool late = false;
    enum esign_rc rc = probe_start(parent, 'r', *next, NULL, &kid, f);

    if (rc != ESIGN_OK)
        return rc;
    while (probe_receive(&kid, &m, &late))
        probe_take(parent, &kid, &m);
    if (late)
        (void)kill(kid.pid, SIGKILL); /* not yet waited for */
    int status = probe_reap(&kid);
    if (!late && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        *next = probe_check_count;
        return ESIGN_OK;
    }
    size_t at = kid.current < 0 ? *next : (size_t)kid.current;
    struct probe_result *result = &parent->run.results[at];
    if (kid.current >= 0 && result->verdict == PROBE_UNTRIED)
        probe_say_end(result, late, status);
    *next = at + 1;
    /* a PIN whose fate is not known is not sent again */
    parent->refused |= at == probe_check_by_name("login");
    return ESIGN_OK;
}

static bool probe_logged_in(const struct probe_run *run)
{
    enum probe_verdict verdict = run->results[probe_check_by_name("login")].verdict;

    return verdict == PROBE_PASS || verdict == PROBE_WARN;
}

static void probe_clean(struct probe_parent *parent)
{
    size_t row = probe_check_by_name("clean");
    struct probe_message last = {0};

    if (!probe_logged_in(&parent->run)) {
        probe_say(&parent->run.results[row], PROBE_UNTRIED, "nothing was made without a login");
        return;
    }
    probe_say(&parent->run.results[row], PROBE_FAIL,
              "the process that cleans up did not end in order");
    (void)probe_run_short(parent, 'c', NULL, &last); /* it tells more than its exit code */
    if (last.kind == PROBE_END && (size_t)last.check == row)
        probe_say(&parent->run.results[row], (enum probe_verdict)last.verdict, "%s", last.detail);
}

static enum esign_rc probe_all(struct probe_parent *parent, struct fault *f)
{
    enum esign_rc rc = ESIGN_OK;
    size_t next = 0;

    for (int i = 0; rc == ESIGN_OK && next < probe_check_count && i < PROBE_STARTS_MAX; i++)
        rc = probe_rows(parent, &next, f);
    for (size_t i = next; i < probe_check_count; i++)
        if (probe_checks[i].run)
            probe_say(&parent->run.results[i], PROBE_UNTRIED, "the module failed too often");
    if (rc == ESIGN_OK)
        probe_clean(parent);
    return rc;
}

enum esign_rc pkcs11_probe_test(struct config *config, size_t index,
                                const struct pkcs11_probe_options *options, json_t **ret,
                                struct fault *f)
{
    CLEANUP(probe_copy_remove) struct probe_copy copy = {.lock_fd = -1};
    CLEANUP(json_decref_p) json_t *facts = json_object();
    struct probe_parent parent = {.run = {.config = config,
                                          .index = index,
                                          .facts = facts,
                                          .in_use = options->in_use,
                                          .removal = options->removal}};
    size_t old = 0;

    assert(probe_check_count <= PROBE_CHECKS_MAX);
    probe_new_run(parent.id);
    enum esign_rc rc = probe_copy_sweep(&old, f);
    if (rc == ESIGN_OK && options->in_use)
        rc = probe_copy_make(config, index, &copy, &parent.run.copied, f);
    if (rc == ESIGN_OK)
        rc = probe_all(&parent, f);
    if (rc != ESIGN_OK)
        return rc;
    if (old > 0)
        (void)json_object_set_new(facts, "old_copies", json_integer((json_int_t)old));
    *ret = probe_report(&parent.run);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for the report");
}
