/* The parent of the probe's children: starts them, waits with a bound, and collects what they say.
 */
#include "pkcs11/probe.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "pkcs11/probe_internal.h"

#include <assert.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PROBE_STARTS_MAX = 12 };

/* A child asks for a key that another process makes. */
static void probe_answer_make(struct probe_parent *parent, struct probe_kid *kid,
                              const struct probe_message *asked)
{
    struct probe_message last = {0};
    struct probe_message answer = {.kind = PROBE_MADE, .verdict = PROBE_FAIL};
    int code = probe_run_short(parent, probe_child_make, asked->id, &last);

    if (code == 0)
        answer.verdict = PROBE_PASS;
    /* a PIN whose fate is not known is not sent again, here neither */
    parent->refused |= code == PROBE_EXIT_REFUSED || (code != 0 && last.kind == PROBE_SENDING);
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
        kid->until_ms = probe_now_ms() + (removal ? 3 * PROBE_REMOVAL_S : PROBE_TRY_S) * 1000;
        return;
    case PROBE_END:
        if (!known || m->verdict < PROBE_UNTRIED || m->verdict > PROBE_FAIL)
            return;
        probe_say(&parent->run.results[m->check], (enum probe_verdict)m->verdict, "%s", m->detail);
        return;
    case PROBE_FACT:
        probe_take_fact(&parent->run, m);
        return;
    case PROBE_MAKE:
        probe_answer_make(parent, kid, m);
        kid->until_ms = probe_now_ms() + PROBE_TRY_S * 1000;
        return;
    case PROBE_MADE:
    case PROBE_SENDING:
    case PROBE_SENT:
    case PROBE_GO:
    case PROBE_DONE:
        return; /* not of these children */
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
    enum esign_rc rc = probe_start(parent, probe_child, next, &kid, f);

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

void probe_clean(struct probe_parent *parent)
{
    size_t row = probe_check_by_name("clean");
    struct probe_message last = {0};

    probe_say(&parent->run.results[row], PROBE_FAIL,
              "the process that cleans up did not end in order");
    (void)probe_run_short(parent, probe_child_clean, NULL,
                          &last); /* it tells more than its exit code */
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
    if (rc == ESIGN_OK && probe_logged_in(&parent->run))
        probe_clean(parent);
    else
        probe_say(&parent->run.results[probe_check_by_name("clean")], PROBE_UNTRIED,
                  "nothing was made without a login");
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
