#include "base/worker/serve.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "req.h"

static int setup(void **state)
{
    static char path[64];

    (void)snprintf(path, sizeof(path), "/tmp/esign-listen-XXXXXX");
    assert_non_null(mkdtemp(path));
    (void)snprintf(path + strlen(path), 8, "/sock");
    *state = path;
    return 0;
}

static int teardown(void **state)
{
    char *path = *state;

    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
    return 0;
}

static void test_worker_listen__new_socket__has_the_mode(void **state)
{
    REQ("11.10(d)");
    CLEANUP(close_p) int fd = -1;
    struct stat st;

    assert_int_equal(worker_listen(*state, SOCK_SEQPACKET, 0600, &fd, NULL), ESIGN_OK);
    assert_int_equal(stat(*state, &st), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0600);
}

static void test_worker_listen__stale_socket__replaced(void **state)
{
    REQ("design 2");
    CLEANUP(close_p) int second = -1;
    int first = -1;

    assert_int_equal(worker_listen(*state, SOCK_SEQPACKET, 0600, &first, NULL), ESIGN_OK);
    assert_int_equal(worker_listen(*state, SOCK_SEQPACKET, 0600, &second, NULL), ESIGN_E_CONFLICT);
    assert_int_equal(close(first), 0);
    assert_int_equal(worker_listen(*state, SOCK_SEQPACKET, 0600, &second, NULL), ESIGN_OK);
}

static void test_worker_listen__file_in_the_way__kept(void **state)
{
    REQ("design 2");
    int fd = open(*state, O_WRONLY | O_CREAT | O_EXCL, 0600), never = -1;

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(worker_listen(*state, SOCK_SEQPACKET, 0600, &never, NULL), ESIGN_E_POLICY);
    assert_int_equal(access(*state, F_OK), 0);
}

/* In a child, with descriptor 3 and the manager's environment: the code that worker_listen gives,
 * or 100 if it is fine and gave 3. */
static int listen_passed(int fd, const char *pid_text, int type)
{
    pid_t pid = fork();
    int status = 0, got = -1;

    if (pid == 0) {
        char own[16];
        (void)snprintf(own, sizeof(own), "%d", (int)getpid());
        if (dup2(fd, 3) != 3 || setenv("LISTEN_FDS", "1", 1) != 0 ||
            (pid_text && setenv("LISTEN_PID", *pid_text ? pid_text : own, 1) != 0))
            _exit(255);
        enum esign_rc rc = worker_listen("", type, 0600, &got, NULL);
        _exit(rc == ESIGN_OK && got == 3 ? 100 : rc == ESIGN_E_POLICY ? 1 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_worker_listen__passed_descriptor__used_if_it_is_right(void **state)
{
    REQ("design 2");
    CLEANUP(close_p) int fd = -1;
    CLEANUP(close_p) int other = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    assert_int_equal(worker_listen(*state, SOCK_SEQPACKET, 0600, &fd, NULL), ESIGN_OK);
    assert_int_equal(listen_passed(fd, NULL, SOCK_SEQPACKET), 100); /* the launcher */
    assert_int_equal(listen_passed(fd, "", SOCK_SEQPACKET), 100);   /* systemd */
    assert_int_equal(listen_passed(fd, "1", SOCK_SEQPACKET), 1);    /* meant for another process */
    assert_int_equal(listen_passed(fd, NULL, SOCK_STREAM), 1);
    assert_int_equal(listen_passed(other, NULL, SOCK_SEQPACKET), 1); /* does not listen */
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_worker_listen__new_socket__has_the_mode),
        CASE(test_worker_listen__stale_socket__replaced),
        CASE(test_worker_listen__file_in_the_way__kept),
        CASE(test_worker_listen__passed_descriptor__used_if_it_is_right),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
