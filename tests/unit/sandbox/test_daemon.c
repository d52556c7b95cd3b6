/* What esignd can and can't do once it is confined, each tried in a child. */
#include "req.h"

#include "sandbox/forbidden.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <pthread.h>

static const struct forbidden_call forbidden_to_daemon[] = {
    {"fork", forbidden_fork},
    {"vfork", forbidden_vfork},
    {"socket AF_INET", forbidden_inet},
    {"socket AF_NETLINK", forbidden_netlink},
    {"socket AF_VSOCK", forbidden_vsock},
    {"kill", forbidden_kill},
    {"mmap PROT_EXEC", forbidden_executable},
    {"mprotect PROT_EXEC", forbidden_make_executable},
};

static void check_killed(const struct forbidden_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int status = forbidden_in_child(sandbox_confine_daemon, calls[i].body);
        if (!forbidden_was_killed(status))
            fail_msg("%s: status %d", calls[i].name, status);
    }
}

static void test_sandbox_confine_daemon__forbidden_call__killed(void **state)
{
    REQ("11.10(d)", "design 2");
    (void)state;
    check_killed(forbidden_to_all, FORBIDDEN_TO_ALL);
    check_killed(forbidden_to_daemon, sizeof(forbidden_to_daemon) / sizeof(*forbidden_to_daemon));
}

static void test_sandbox_confine_daemon__not_confined__not_killed(void **state)
{
    REQ("design 2");
    (void)state;
    for (size_t i = 0; i < FORBIDDEN_TO_ALL; i++)
        if (forbidden_was_killed(forbidden_in_child(NULL, forbidden_to_all[i].body)))
            fail_msg("%s: killed without a filter", forbidden_to_all[i].name);
    assert_int_equal(forbidden_in_child(NULL, forbidden_inet), 0);
}

static void test_sandbox_confine_daemon__terminal__told_that_it_is_none(void **state)
{
    REQ("design 2");
    (void)state;
    int status = forbidden_in_child(sandbox_confine_daemon, forbidden_typing);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ENOTTY);
}

static void *thread_body(void *made)
{
    void *room = malloc(1024 * 1024); /* from an arena of its own */
    *(bool *)made = room != NULL;
    free(room);
    return NULL;
}

/* Threads, sockets of this machine, files, the clock: 0, or -1 with the errno of what failed. */
static long daemon_work(void)
{
    pthread_t thread;
    bool made = false;
    int64_t error_ms = 0;
    uint8_t random[32];
    int file = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (file < 0 || write(file, "x", 1) != 1)
        return -1;
    errno = pthread_create(&thread, NULL, thread_body, &made);
    if (errno || (errno = pthread_join(thread, NULL)) || !made)
        return -1;
    bytes_random(random, sizeof(random));
    (void)clock_synchronised(&error_ms); /* it is about the call */
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static void test_sandbox_confine_daemon__threads_files_local_sockets__allowed(void **state)
{
    REQ("design 2");
    (void)state;
    assert_int_equal(forbidden_in_child(sandbox_confine_daemon, daemon_work), 0);
}

/* A thread that was there before is confined too. */
static long thread_of_before(void)
{
    return -1;
}

static void *thread_forbidden(void *gate)
{
    (void)pthread_mutex_lock(gate);
    (void)forbidden_inet();
    return NULL;
}

static enum esign_rc confine_with_thread(struct fault *f)
{
    static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;

    (void)pthread_mutex_lock(&gate);
    if (pthread_create(&thread, NULL, thread_forbidden, &gate) != 0)
        return ESIGN_E_INTERNAL;
    enum esign_rc rc = sandbox_confine_daemon(f);
    (void)pthread_mutex_unlock(&gate);
    (void)pthread_join(thread, NULL);
    return rc;
}

static void test_sandbox_confine_daemon__other_thread__confined_too(void **state)
{
    REQ("design 2");
    (void)state;
    assert_true(forbidden_was_killed(forbidden_in_child(confine_with_thread, thread_of_before)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox_confine_daemon__forbidden_call__killed),
        cmocka_unit_test(test_sandbox_confine_daemon__not_confined__not_killed),
        cmocka_unit_test(test_sandbox_confine_daemon__terminal__told_that_it_is_none),
        cmocka_unit_test(test_sandbox_confine_daemon__threads_files_local_sockets__allowed),
        cmocka_unit_test(test_sandbox_confine_daemon__other_thread__confined_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
