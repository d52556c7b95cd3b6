/* A password that was in a request is nowhere in the process afterwards. */
#include <sys/uio.h>
#include <sys/wait.h>

#include "listen/fixture.h"

/* The password, masked, so that looking for it does not put it into memory. */
enum { CANARY_LEN = 32, CANARY_MASK = 0x15, CANARY_MAP_MAX = 1 << 29 };
static const unsigned char canary[CANARY_LEN + 1] = "vtytg|_vtytg|_vtytg|_vtytg|_1234";

static void unmask(char *ret)
{
    for (int i = 0; i < CANARY_LEN; i++)
        ret[i] = (char)(canary[i] ^ CANARY_MASK);
}

static size_t count_in(const unsigned char *page, size_t len)
{
    const unsigned char *end = page + len;
    size_t found = 0;

    while ((page = memchr(page, canary[0] ^ CANARY_MASK, (size_t)(end - page)))) {
        size_t i = 0;
        while (i < CANARY_LEN && page + i < end && (page[i] ^ CANARY_MASK) == canary[i])
            i++;
        found += i == CANARY_LEN;
        page++;
    }
    return found;
}

/* How often the password stands in the memory from..to of this process. */
static size_t count_range(unsigned long from, unsigned long to, unsigned char *window)
{
    enum { STEP = 1 << 16 };
    size_t found = 0;

    for (unsigned long at = from; at < to; at += STEP) {
        size_t len = to - at < STEP + CANARY_LEN ? to - at : STEP + CANARY_LEN;
        struct iovec local = {window, len}, remote = {(void *)at, len};
        ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
        if (got > 0)
            found += count_in(window, (size_t)got);
        explicit_bzero(window, STEP + CANARY_LEN);
    }
    return found;
}

static size_t count_in_process(void)
{
    static unsigned char window[(1 << 16) + CANARY_LEN];
    CLEANUP(fclose_p) FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], access[8];
    unsigned long from, to;
    size_t found = 0;

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        char *end = NULL;
        from = strtoul(line, &end, 16);
        to = strtoul(end + 1, &end, 16);
        (void)snprintf(access, sizeof(access), "%.4s", end + 1);
        if (access[0] != 'r' || access[1] != 'w' || to - from > CANARY_MAP_MAX)
            continue; /* only what can be written; not the sanitizer's shadow */
        found += count_range(from, to, window);
    }
    return found;
}

/* text with the password in place of each @. */
static int fill_in(const char *text, char *ret, size_t size)
{
    char password[CANARY_LEN + 1] = "";
    size_t len = 0;

    unmask(password);
    for (; *text && len + CANARY_LEN < size; text++) {
        if (*text == '@') {
            memcpy(ret + len, password, CANARY_LEN);
            len += CANARY_LEN;
        } else {
            ret[len++] = *text;
        }
    }
    ret[len] = '\0';
    return (int)len;
}

#define HEAD "POST /v1/login HTTP/1.1\r\nHost: esignd\r\nContent-Type: application/json\r\n"

/* In a process of its own: what is sent must not be in ours.  Returns 0 if the statuses fit. */
static int child_sends(const struct fixture *fx, const char *text, bool chunked, int status)
{
    char body[512], request[1024];
    int fd = client_connect(fx);

    for (int round = 0; round < 2; round++) {
        int len = fill_in(text, body, sizeof(body));
        if (chunked)
            len = snprintf(request, sizeof(request),
                           HEAD "Transfer-Encoding: chunked\r\n\r\n"
                                "20\r\n%.32s\r\n%x\r\n%s\r\n0\r\n\r\n",
                           body, (unsigned)len - 32, body + 32);
        else
            len =
                snprintf(request, sizeof(request), HEAD "Content-Length: %d\r\n\r\n%s", len, body);
        if (!client_send(fd, request, (size_t)len))
            return 1;
        struct client_reply reply = client_read(fd, true);
        if (reply.status != status)
            return 2;
        client_reply_done(&reply);
    }
    /* the connection stays open until our parent has looked */
    return 0;
}

struct row {
    const char *what, *text;
    int status;
};

#define WHO "\"components\":{\"user_id\":\"jdoe\",\"password\":\"@\"}"
static const struct row rows[] = {
    {"accepted", "{" WHO "                                 }", 200},
    {"unknown member", "{" WHO ",\"colour\":\"@\"              }", 400},
    {"not JSON", "{" WHO ",,                               }", 400},
    {"repeated", "{" WHO "," WHO "}", 400},
    {"in the wrong place", "{\"password\":\"@\",\"and some\":\"more text\"   }", 400},
};

static void look_after(struct fixture *fx, const struct row *row, bool chunked)
{
    int sent[2], looked[2];
    char byte;

    assert_int_equal(pipe(sent), 0);
    assert_int_equal(pipe(looked), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(sent[0]);
        close(looked[1]);
        int result = child_sends(fx, row->text, chunked, row->status);
        if (write(sent[1], "x", 1) != 1 || read(looked[0], &byte, 1) < 0)
            result = 3;
        _exit(result);
    }
    close(sent[1]);
    close(looked[0]);
    assert_int_equal(read(sent[0], &byte, 1), 1);
    size_t while_open = count_in_process();
    close(looked[1]);
    close(sent[0]);
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    if (while_open > 0)
        fail_msg("%s%s: found %zu times", row->what, chunked ? ", chunked" : "", while_open);
}

static void test_listen__password_in_a_body__nowhere_in_memory_after_the_reply(void **state)
{
    (void)state;
    REQ("11.300", "11.200(a)(2)", "design 5");
    struct fixture *fx = fixture_start(fixture_usual);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        look_after(fx, &rows[i], false);
        look_after(fx, &rows[i], true);
    }
    int64_t start = fixture_now();
    while (listen_count(fx->listen).connections > 0) {
        assert_true(fixture_now() - start < FIXTURE_WAIT_MS);
        (void)poll(NULL, 0, 5);
    }
    assert_int_equal(count_in_process(), 0);
    fixture_stop(fx);
}

static void test_count_in_process__password_in_memory__found(void **state)
{
    (void)state;
    REQ("11.300");
    char *copy = malloc(100);

    assert_non_null(copy);
    unmask(copy + 3);
    assert_true(count_in_process() >= 1);
    explicit_bzero(copy, 100);
    free(copy);
    assert_int_equal(count_in_process(), 0);
}

static int setup(void **state)
{
    struct fault f = {0};

    (void)state;
    api_decode_start();
    return secret_start(&f) == ESIGN_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count_in_process__password_in_memory__found),
        cmocka_unit_test(test_listen__password_in_a_body__nowhere_in_memory_after_the_reply),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
