/* What esign-hash, the supervisors and programs with a vendor's module can and can't do, each tried
 * in a child. */
#include "req.h"

#include "sandbox/forbidden.h"

#include "base/bytes.h"

#include <time.h>

static const struct forbidden_call forbidden_to_workers[] = {
    {"fork", forbidden_fork},
    {"socket AF_INET", forbidden_inet},
    {"kill", forbidden_kill},
    {"mmap PROT_EXEC", forbidden_executable},
    {"mprotect PROT_EXEC", forbidden_make_executable},
};

static const struct forbidden_call forbidden_to_supervisors[] = {
    {"socket AF_INET", forbidden_inet},
    {"socket AF_NETLINK", forbidden_netlink},
    {"socket AF_VSOCK", forbidden_vsock},
    {"mmap PROT_EXEC", forbidden_executable},
    {"mprotect PROT_EXEC", forbidden_make_executable},
};

static void check_killed(enum esign_rc (*confine)(struct fault *f),
                         const struct forbidden_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int status = forbidden_in_child(confine, calls[i].body);
        if (!forbidden_was_killed(status))
            fail_msg("%s: status %d", calls[i].name, status);
    }
}

static long open_file(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static long create_file(void)
{
    return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static void test_sandbox_confine_hash__forbidden_call__killed(void **state)
{
    REQ("11.10(d)", "design 2");
    (void)state;
    check_killed(sandbox_confine_hash, forbidden_to_all, FORBIDDEN_TO_ALL);
    check_killed(sandbox_confine_hash, forbidden_to_workers,
                 sizeof(forbidden_to_workers) / sizeof(*forbidden_to_workers));
    assert_true(forbidden_was_killed(forbidden_in_child(sandbox_confine_hash, open_file)));
}

/* A megabyte that is locked, and as much as a hash needs that is not. */
static long lock_memory(void)
{
    const size_t large = 64u * 1024 * 1024;
    uint8_t random[32];
    void *room = mmap(NULL, large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (room == MAP_FAILED || mlock(room, 4096) != 0)
        return -1;
    memset(room, 1, large);
    bytes_random(random, sizeof(random));
    return munlock(room, 4096) != 0 || munmap(room, large) != 0 ? -1 : 0;
}

static void test_sandbox_confine_hash__memory_locked_and_large__allowed(void **state)
{
    REQ("design 2");
    (void)state;
    uint8_t random[1];
    bytes_random(random, sizeof(random)); /* what opens files lazily does so before */
    assert_int_equal(forbidden_in_child(sandbox_confine_hash, lock_memory), 0);
}

static void test_sandbox_confine_supervisor__forbidden_call__killed(void **state)
{
    REQ("11.10(d)", "design 2");
    (void)state;
    check_killed(sandbox_confine_supervisor, forbidden_to_all, FORBIDDEN_TO_ALL);
    check_killed(sandbox_confine_supervisor, forbidden_to_supervisors,
                 sizeof(forbidden_to_supervisors) / sizeof(*forbidden_to_supervisors));
    assert_true(forbidden_was_killed(forbidden_in_child(sandbox_confine_supervisor, create_file)));
}

/* Fork a worker that confines itself, wait for it, and look at a file. */
static long supervise(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(sandbox_confine_parser(NULL) ? 1 : 0);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return -1;
    return open_file();
}

static void test_sandbox_confine_supervisor__worker_confines_itself__allowed(void **state)
{
    REQ("design 2");
    (void)state;
    assert_int_equal(forbidden_in_child(sandbox_confine_supervisor, supervise), 0);
}

static void test_sandbox_confine_module__forbidden_call__refused(void **state)
{
    REQ("11.10(d)", "design 2");
    (void)state;
    for (size_t i = 0; i < FORBIDDEN_TO_ALL; i++) {
        int status = forbidden_in_child(sandbox_confine_module, forbidden_to_all[i].body);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != EPERM)
            fail_msg("%s: status %d", forbidden_to_all[i].name, status);
    }
    int status = forbidden_in_child(sandbox_confine_module, forbidden_typing);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EPERM);
}

static void test_sandbox_confine_module__what_modules_do__allowed(void **state)
{
    REQ("design 2");
    (void)state;
    static const struct forbidden_call rows[] = {{"fork", forbidden_fork},
                                                 {"socket AF_INET", forbidden_inet},
                                                 {"open", open_file},
                                                 {"mmap PROT_EXEC", forbidden_executable}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (forbidden_in_child(sandbox_confine_module, rows[i].body) != 0)
            fail_msg("%s is refused", rows[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox_confine_hash__forbidden_call__killed),
        cmocka_unit_test(test_sandbox_confine_hash__memory_locked_and_large__allowed),
        cmocka_unit_test(test_sandbox_confine_supervisor__forbidden_call__killed),
        cmocka_unit_test(test_sandbox_confine_supervisor__worker_confines_itself__allowed),
        cmocka_unit_test(test_sandbox_confine_module__forbidden_call__refused),
        cmocka_unit_test(test_sandbox_confine_module__what_modules_do__allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
