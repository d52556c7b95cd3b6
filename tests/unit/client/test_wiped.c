/* After a call no copy of a password is left in this process's memory, in libcurl's neither. */
#include "req.h"

#include "esign/client.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Larger mappings are a sanitizer's own. */
enum { PIECE = 1 << 20, MAPPING_MAX = 1 << 28, PASSWORD_LEN = 24 };

/* The searched pattern is kept inverted, so that searching does not find itself. */
static uint8_t inverted[PASSWORD_LEN];

struct daemon {
    int listen_fd;
    const char *reply;
};

/* A reply with the searched pattern, which is in memory only while it is sent. */
static void send_pattern(int fd)
{
    char reply[256];
    int len = snprintf(reply, sizeof(reply),
                       "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                       "Content-Length: %d\r\n\r\n{\"idle_s\":300,\"session\":\"",
                       PASSWORD_LEN + 27);

    for (size_t i = 0; i < PASSWORD_LEN; i++)
        reply[len++] = (char)(inverted[i] ^ 0xff);
    memcpy(reply + len, "\"}", 2);
    assert_int_equal(write(fd, reply, (size_t)len + 2), len + 2);
    explicit_bzero(reply, sizeof(reply));
}

/* Open a session for one request, close it for another. */
static void *serve_session(void *ctx)
{
    static const char closed[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Content-Length: 2\r\n\r\n{}";
    const struct daemon *d = ctx;
    char request[4096];

    for (int i = 0; i < 2; i++) {
        int fd = accept(d->listen_fd, NULL, NULL);
        size_t len = 0;
        while (len < sizeof(request) && !memmem(request, len, "\"}", 2)) {
            ssize_t got = read(fd, request + len, sizeof(request) - len);
            if (got <= 0)
                break;
            len += (size_t)got;
        }
        explicit_bzero(request, sizeof(request));
        if (i == 0)
            send_pattern(fd);
        else
            assert_int_equal(write(fd, closed, strlen(closed)), strlen(closed));
        close(fd);
    }
    return NULL;
}

/* Take one request and answer it; what was received is wiped. */
static void *serve(void *ctx)
{
    const struct daemon *d = ctx;
    int fd = accept(d->listen_fd, NULL, NULL);
    char request[8192];
    size_t len = 0;

    while (len < sizeof(request) && !memmem(request, len, "\"no\"}", 5)) {
        ssize_t got = read(fd, request + len, sizeof(request) - len);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    explicit_bzero(request, sizeof(request));
    if (d->reply && write(fd, d->reply, strlen(d->reply)) < 0)
        len = 0;
    close(fd);
    return NULL;
}

static bool holds(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i + PASSWORD_LEN <= len; i++) {
        size_t same = 0;
        while (same < PASSWORD_LEN && data[i + same] + inverted[same] == 0xff)
            same++;
        if (same == PASSWORD_LEN)
            return true;
    }
    return false;
}

/* Whether a copy stands anywhere in writable memory. */
static size_t copies_in_memory(void)
{
    static uint8_t piece[PIECE];
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], mode[8];
    unsigned long from = 0, to = 0;
    size_t found = 0;

    assert_true(mem >= 0 && maps);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[1] != 'w' ||
            to - from > MAPPING_MAX)
            continue;
        while (from < to) {
            size_t want = to - from < PIECE ? to - from : PIECE;
            ssize_t got = pread(mem, piece, want, (off_t)from);
            bool own = from < (uintptr_t)piece + PIECE && (uintptr_t)piece < from + want;
            if (got > 0 && !own)
                found += holds(piece, (size_t)got);
            from += want;
        }
    }
    explicit_bzero(piece, sizeof(piece));
    close(mem);
    assert_int_equal(fclose(maps), 0);
    return found;
}

static void start_daemon(struct daemon *d, void *(*run)(void *), pthread_t *thread, char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_non_null(mkdtemp(path));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", path);
    d->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(d->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(d->listen_fd, 1), 0);
    assert_int_equal(pthread_create(thread, NULL, run, d), 0);
}

static void make_pattern(void)
{
    for (size_t i = 0; i < PASSWORD_LEN; i++)
        inverted[i] = (uint8_t)("0123456789abcdef"[(i * 7 + 3) % 16] ^ 0xff);
}

/* Locked memory of this process. */
static unsigned long locked_kb(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    unsigned long kb = 0;
    char line[256];

    assert_non_null(status);
    while (fgets(line, sizeof(line), status))
        if (sscanf(line, "VmLck: %lu", &kb) == 1)
            break;
    assert_int_equal(fclose(status), 0);
    return kb;
}

static void test_session__handle__locked_once_and_gone_after_the_close(void **state)
{
    REQ("11.300", "requirements 3.4");
    struct daemon d = {0};
    struct esign *esign = NULL;
    struct esign_session *session = NULL;
    struct esign_result *opened = NULL;
    char directory[] = "/tmp/esign-wiped-XXXXXX", path[64];
    pthread_t thread;

    (void)state;
    start_daemon(&d, serve_session, &thread, directory);
    (void)snprintf(path, sizeof(path), "%s/s", directory);
    make_pattern();
    const struct esign_opening opening = {.components = {"jdoe", "word", 4}};
    unsigned long before = locked_kb();
    assert_int_equal(esign_open(path, &esign, NULL), ESIGN_OK);
    assert_int_equal(esign_session_open(esign, &opening, &session, &opened, NULL), ESIGN_OK);
    assert_null(esign_result_string(opened, "session"));
    assert_int_equal(esign_result_integer(opened, "idle_s", 0), 300);
    assert_int_equal(copies_in_memory(), 1);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they replace mlock() */
    assert_true(locked_kb() > before);
#endif
    assert_int_equal(esign_session_close(session, NULL), ESIGN_OK);
    assert_int_equal(copies_in_memory(), 0);
    assert_int_equal(locked_kb(), before);
    assert_int_equal(esign_session_close(NULL, NULL), ESIGN_OK);
    esign_result_free(opened);
    esign_close(esign);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(d.listen_fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

/* One call with a password; returns how many copies there are after it. */
static size_t copies_after_call(const char *reply, enum esign_rc wanted)
{
    struct daemon d = {.reply = reply};
    struct esign *esign = NULL;
    struct esign_error *error = esign_error_new();
    char directory[] = "/tmp/esign-wiped-XXXXXX", path[64];
    pthread_t thread;

    start_daemon(&d, serve, &thread, directory);
    (void)snprintf(path, sizeof(path), "%s/s", directory);
    char *password = malloc(PASSWORD_LEN);
    make_pattern();
    for (size_t i = 0; i < PASSWORD_LEN; i++)
        password[i] = (char)(inverted[i] ^ 0xff);
    assert_true(copies_in_memory() > 0);
    const struct esign_components components = {"jdoe", password, PASSWORD_LEN};
    assert_int_equal(esign_open(path, &esign, error), ESIGN_OK);
    assert_int_equal(esign_ticket_decline(esign, "T-1", &components, "no", NULL, error), wanted);
    explicit_bzero(password, PASSWORD_LEN);
    size_t while_open = copies_in_memory();
    esign_close(esign);
    size_t after = copies_in_memory();
    assert_int_equal(pthread_join(thread, NULL), 0);
    esign_error_free(error);
    free(password);
    close(d.listen_fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
    return while_open + after;
}

static void test_call__answered__no_copy_left(void **state)
{
    REQ("11.300");
    (void)state;
    assert_int_equal(copies_after_call("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                       "Content-Length: 2\r\n\r\n{}",
                                       ESIGN_OK),
                     0);
}

static void test_call__connection_dies__no_copy_left(void **state)
{
    REQ("11.300");
    (void)state;
    assert_int_equal(copies_after_call(NULL, ESIGN_E_PEER_DENIED), 0);
}

static void test_call__password_in_the_reply__no_copy_left(void **state)
{
    REQ("11.300");
    char reply[256];

    (void)state;
    (void)snprintf(reply, sizeof(reply),
                   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                   "Content-Length: %d\r\n\r\n{\"secret\":\"",
                   PASSWORD_LEN + 13);
    size_t len = strlen(reply);
    for (size_t i = 0; i < PASSWORD_LEN; i++)
        reply[len++] = "0123456789abcdef"[(i * 7 + 3) % 16];
    memcpy(reply + len, "\"}", 3);
    /* the copies in this test's own frame count too: the reply stands here and nowhere else */
    assert_int_equal(copies_after_call(reply, ESIGN_OK), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session__handle__locked_once_and_gone_after_the_close),
        cmocka_unit_test(test_call__answered__no_copy_left),
        cmocka_unit_test(test_call__connection_dies__no_copy_left),
        cmocka_unit_test(test_call__password_in_the_reply__no_copy_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
