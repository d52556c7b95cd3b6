/* Which files can be reached behind rules, each tried in a child. */
#include "req.h"

#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLACE_PATH = 128 };

/* A folder with readable/, writable/, listening/ and closed/, each with a file. */
struct place {
    char root[PLACE_PATH];
    char readable[PLACE_PATH], writable[PLACE_PATH], listening[PLACE_PATH], closed[PLACE_PATH];
};

static void place_file(const char *folder, const char *name, char path[PLACE_PATH * 2])
{
    assert_true(snprintf(path, PLACE_PATH * 2, "%s/%s", folder, name) < PLACE_PATH * 2);
}

static void place_folder(const struct place *p, const char *name, char ret[PLACE_PATH])
{
    char path[PLACE_PATH * 2];
    assert_true((size_t)snprintf(ret, PLACE_PATH, "%s/%s", p->root, name) < PLACE_PATH);
    assert_int_equal(mkdir(ret, 0700), 0);
    place_file(ret, "file", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static int place_setup(void **state)
{
    static struct place p;
    const char *base = getenv("TMPDIR");
    (void)snprintf(p.root, 64, "%s/esign-landlock-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(p.root))
        return -1;
    place_folder(&p, "readable", p.readable);
    place_folder(&p, "writable", p.writable);
    place_folder(&p, "listening", p.listening);
    place_folder(&p, "closed", p.closed);
    *state = &p;
    return 0;
}

static int place_teardown(void **state)
{
    const struct place *p = *state;
    const char *folders[] = {p->readable, p->writable, p->listening, p->closed};
    char path[PLACE_PATH * 2];
    for (size_t i = 0; i < 4; i++) {
        const char *names[] = {"file", "new", "socket"};
        for (size_t k = 0; k < 3; k++) {
            place_file(folders[i], names[k], path);
            (void)unlink(path); /* it may be none of those that the tests make */
        }
        (void)rmdir(folders[i]); /* what stays is seen in the folder of the run */
    }
    return rmdir(p->root);
}

static int try_open(const char *folder, const char *name, int flags)
{
    char path[PLACE_PATH * 2];
    place_file(folder, name, path);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0)
        (void)close(fd); /* of no account */
    return error;
}

static int try_unlink(const char *folder, const char *name)
{
    char path[PLACE_PATH * 2];
    place_file(folder, name, path);
    return unlink(path) == 0 ? 0 : errno;
}

static int try_bind(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[PLACE_PATH * 2];
    place_file(folder, "socket", path);
    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
        (int)sizeof(address.sun_path))
        return ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    (void)close(fd); /* of no account */
    return error;
}

#define EXPECT(call, wanted)                                                                       \
    do {                                                                                           \
        int got = (call);                                                                          \
        if (got != (wanted)) {                                                                     \
            fprintf(stderr, "%s: %d\n", #call, got);                                               \
            return false;                                                                          \
        }                                                                                          \
    } while (0)

static bool allowed_works(const struct place *p)
{
    EXPECT(try_open(p->readable, "file", O_RDONLY), 0);
    EXPECT(try_open(p->writable, "file", O_RDWR | O_TRUNC), 0);
    EXPECT(try_open(p->writable, "new", O_RDWR | O_CREAT), 0);
    EXPECT(try_unlink(p->writable, "new"), 0);
    EXPECT(try_bind(p->listening), 0);
    EXPECT(try_unlink(p->listening, "socket"), 0);
    return true;
}

static bool rest_is_refused(const struct place *p)
{
    EXPECT(try_open(p->readable, "file", O_WRONLY), EACCES);
    EXPECT(try_open(p->readable, "new", O_WRONLY | O_CREAT), EACCES);
    EXPECT(try_unlink(p->readable, "file"), EACCES);
    EXPECT(try_open(p->listening, "file", O_RDONLY), EACCES);
    EXPECT(try_bind(p->writable), EACCES);
    EXPECT(try_open(p->closed, "file", O_RDONLY), EACCES);
    EXPECT(try_open(p->closed, ".", O_RDONLY | O_DIRECTORY), EACCES);
    EXPECT(try_open("/etc", "passwd", O_RDONLY), EACCES);
    EXPECT(try_open("/proc/self", "mem", O_RDONLY), EACCES);
    return true;
}

/* Whether both hold in a child; without rules, only the first can. */
static int tried(const struct place *p, bool with_rules, bool (*body)(const struct place *))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct sandbox_path rules[] = {
            {p->readable, SANDBOX_READ},
            {p->writable, SANDBOX_READ | SANDBOX_WRITE},
            {p->listening, SANDBOX_LISTEN},
            {"/nonexistent", SANDBOX_READ},
        };
        if (with_rules && sandbox_landlock(rules, sizeof(rules) / sizeof(*rules), NULL))
            _exit(99);
        _exit(body(p) ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_sandbox_landlock__granted__works(void **state)
{
    REQ("design 2");
    assert_int_equal(tried(*state, true, allowed_works), 0);
}

static void test_sandbox_landlock__not_granted__refused(void **state)
{
    REQ("11.10(d)", "design 2");
    assert_int_equal(tried(*state, true, rest_is_refused), 0);
}

static void test_sandbox_landlock__no_rules_set__nothing_refused(void **state)
{
    REQ("design 2");
    assert_int_equal(tried(*state, false, rest_is_refused), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sandbox_landlock__granted__works, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(test_sandbox_landlock__not_granted__refused, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(test_sandbox_landlock__no_rules_set__nothing_refused,
                                        place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
