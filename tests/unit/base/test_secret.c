#include "base/secret.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "req.h"

static int setup(void **state)
{
    struct fault f;

    (void)state;
    return secret_start(&f) == ESIGN_OK ? 0 : -1;
}

static void test_secret_start__afterwards__no_core(void **state)
{
    REQ("11.300 opening");
    (void)state;
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_int_equal(limit.rlim_cur, 0);
    assert_int_equal(limit.rlim_max, 0);
}

static void test_secret_new__too_long__refused_not_cut(void **state)
{
    REQ("11.300(b)");
    (void)state;
    char text[SECRET_MAX + 1];

    memset(text, 'x', sizeof(text));
    assert_null(secret_new(bytes_of(text, sizeof(text))));
    struct secret *s = secret_new(bytes_of(text, SECRET_MAX));
    assert_non_null(s);
    assert_true(secret_equal(s, bytes_of(text, SECRET_MAX)));
    assert_false(secret_equal(s, bytes_of(text, SECRET_MAX - 1)));
    secret_free(s);
}

static void test_secret_read_fd__two_lines__one_each(void **state)
{
    REQ("design 5");
    (void)state;
    int fds[2];
    struct fault f;
    struct secret *first = NULL, *second = NULL;

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "one\ntwo\n", 8), 8);
    assert_int_equal(close(fds[1]), 0);
    assert_int_equal(secret_read_fd(fds[0], &first, &f), ESIGN_OK);
    assert_int_equal(secret_read_fd(fds[0], &second, &f), ESIGN_OK);
    assert_true(secret_equal(first, bytes_of_str("one")));
    assert_true(secret_equal(second, bytes_of_str("two")));
    secret_free(first);
    secret_free(second);
    assert_int_equal(close(fds[0]), 0);
}

static void test_secret_read_file__readable_by_others__refused(void **state)
{
    REQ("11.300 opening");
    (void)state;
    char path[] = "/tmp/esign-secret-XXXXXX";
    int fd = mkstemp(path);
    struct fault f;
    struct secret *s = NULL;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "1234\n", 5), 5);
    assert_int_equal(fchmod(fd, 0444), 0);
    assert_int_equal(secret_read_file(path, &s, &f), ESIGN_E_POLICY);
    assert_int_equal(fchmod(fd, 0400), 0);
    assert_int_equal(secret_read_file(path, &s, &f), ESIGN_OK);
    assert_true(secret_equal(s, bytes_of_str("1234")));
    secret_free(s);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
}

#if !defined ESIGN_SANITIZE && !defined __SANITIZE_THREAD__ /* which ignore mlock() */
/* In a process of its own.  Returns 0 if secrets and locked buffers end with the locked memory. */
static int child_locks_all(void)
{
    const struct rlimit little = {64 * 1024, 64 * 1024};
    int i = 0;

    if (setrlimit(RLIMIT_MEMLOCK, &little) != 0 || (geteuid() == 0 && setuid(65534) != 0))
        return 1;
    while (i < 100 && secret_new(bytes_of_str("a secret")))
        i++;
    struct buf b = buf_new_locked(64 * 1024);
    buf_put_str(&b, "a secret");
    return i == 0 || i == 100 ? 2 : buf_ok(&b) ? 3 : 0;
}

static void test_secret_new__no_memory_can_be_locked__none_is_made(void **state)
{
    REQ("11.200(a)(2)");
    (void)state;
    int result = -1;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(child_locks_all());
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret_start__afterwards__no_core),
        cmocka_unit_test(test_secret_new__too_long__refused_not_cut),
        cmocka_unit_test(test_secret_read_fd__two_lines__one_each),
        cmocka_unit_test(test_secret_read_file__readable_by_others__refused),
#if !defined ESIGN_SANITIZE && !defined __SANITIZE_THREAD__
        cmocka_unit_test(test_secret_new__no_memory_can_be_locked__none_is_made),
#endif
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
