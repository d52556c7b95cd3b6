/* What a confined process can and can't do, each tried in a child. */
#include "req.h"

#include "sandbox/sandbox.h"

#include "base/bytes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Run body in a child that is hardened and confined; its wait status. */
static int in_confined_child(void (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (sandbox_harden(NULL) || sandbox_confine_parser(NULL))
            _exit(99);
        body();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void open_file(void)
{
    if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0)
        _exit(1);
}

static void create_file(void)
{
    if (creat("/tmp/esign-sandbox-test", 0600) >= 0)
        _exit(1);
}

static void make_socket(void)
{
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
        _exit(1);
}

static void connect_socket(void)
{
    const struct sockaddr address = {.sa_family = AF_UNIX};
    if (connect(0, &address, sizeof address) == 0)
        _exit(1);
}

static void start_process(void)
{
    if (fork() >= 0)
        _exit(1);
}

static void run_program(void)
{
    char *const argv[] = {NULL};
    (void)execve("/bin/true", argv, argv);
}

static void signal_other(void)
{
    if (kill(getppid(), 0) == 0)
        _exit(1);
}

static void map_executable(void)
{
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        _exit(1);
}

static void test_sandbox_confine_parser__forbidden_call__killed(void **state)
{
    REQ("11.10(d)", "design 2");
    (void)state;
    static const struct {
        const char *name;
        void (*body)(void);
    } rows[] = {
        {"open", open_file},     {"create", create_file},
        {"socket", make_socket}, {"connect", connect_socket},
        {"fork", start_process}, {"exec", run_program},
        {"kill", signal_other},  {"executable memory", map_executable},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status = in_confined_child(rows[i].body);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: status %d", rows[i].name, status);
    }
}

/* Memory of every size, the clock, random bytes. */
static void work(void)
{
    uint8_t random[32];
    struct timespec at;
    for (size_t size = 16; size < 64u * 1024 * 1024; size *= 4) {
        uint8_t *room = malloc(size);
        if (!room)
            _exit(1);
        memset(room, 1, size);
        free(room);
    }
    bytes_random(random, sizeof random);
    if (clock_gettime(CLOCK_MONOTONIC, &at) != 0)
        _exit(2);
}

static void test_sandbox_confine_parser__memory_clock_random__allowed(void **state)
{
    REQ("design 2");
    (void)state;
    uint8_t random[1];
    bytes_random(random, sizeof random); /* what opens files lazily does so before */
    assert_int_equal(in_confined_child(work), 0);
}

static void test_sandbox_harden__child__no_dump_no_privileges(void **state)
{
    REQ("11.10(d)", "design 2");
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit core;
        bool good = !sandbox_harden(NULL) && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
                    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
                    getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0;
        _exit(good ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_sandbox_limit__given__set(void **state)
{
    REQ("design 2");
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct sandbox_limits limits = {.cpu_s = 7};
        struct rlimit cpu, memory;
        bool good = !sandbox_limit(&limits, NULL) && getrlimit(RLIMIT_CPU, &cpu) == 0 &&
                    cpu.rlim_max == 7 && getrlimit(RLIMIT_AS, &memory) == 0 &&
                    memory.rlim_max == RLIM_INFINITY;
        _exit(good ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox_confine_parser__forbidden_call__killed),
        cmocka_unit_test(test_sandbox_confine_parser__memory_clock_random__allowed),
        cmocka_unit_test(test_sandbox_harden__child__no_dump_no_privileges),
        cmocka_unit_test(test_sandbox_limit__given__set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
