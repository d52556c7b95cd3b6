/* Under which Idempotency-Key the library sends its requests. */
#include "req.h"

#include "esign/client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEAD_MAX = 8192, HEADS_MAX = 2 };

static const char reply[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    "Content-Length: 62\r\n\r\n"
    "{\"ticket\":\"T-1\",\"nonce\":\"ab\",\"record\":{\"hash\":\"cd\"},\"x\":12345}";

struct daemon {
    char directory[32], path[64];
    int listen_fd;
    pthread_t thread;
    unsigned count;                  /* of requests that are answered */
    char heads[HEADS_MAX][HEAD_MAX]; /* request line and headers */
};

/* Read what comes until the other side has its answer and closes. */
static void *serve(void *ctx)
{
    struct daemon *d = ctx;

    for (unsigned i = 0; i < d->count; i++) {
        char rest[4096];
        size_t len = 0;
        int fd = accept(d->listen_fd, NULL, NULL);
        while (len < HEAD_MAX - 1 && !strstr(d->heads[i], "\r\n\r\n")) {
            ssize_t got = read(fd, d->heads[i] + len, HEAD_MAX - 1 - len);
            if (got <= 0)
                break;
            len += (size_t)got;
        }
        bool sent = write(fd, reply, strlen(reply)) > 0;
        while (sent && read(fd, rest, sizeof(rest)) > 0)
            continue;
        close(fd);
    }
    return NULL;
}

static struct esign *start(struct daemon *d, unsigned count)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct esign *handle = NULL;

    *d = (struct daemon){.directory = "/tmp/esign-key-XXXXXX", .count = count};
    assert_non_null(mkdtemp(d->directory));
    (void)snprintf(d->path, sizeof(d->path), "%s/s", d->directory);
    memcpy(address.sun_path, d->path, strlen(d->path) + 1);
    d->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(d->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(d->listen_fd, HEADS_MAX), 0);
    assert_int_equal(pthread_create(&d->thread, NULL, serve, d), 0);
    assert_int_equal(esign_open(d->path, &handle, NULL), ESIGN_OK);
    return handle;
}

static void stop(struct daemon *d, struct esign *handle)
{
    esign_close(handle);
    assert_int_equal(pthread_join(d->thread, NULL), 0);
    close(d->listen_fd);
    assert_int_equal(unlink(d->path), 0);
    assert_int_equal(rmdir(d->directory), 0);
}

/* Whether the head has this header exactly once; header NULL: none of that name. */
static void check_head(const char *head, const char *line, const char *header)
{
    static const char name[] = "\r\nIdempotency-Key: ";
    const char *found = strstr(head, name);

    assert_ptr_equal(strstr(head, line), head);
    if (!header) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_int_equal(strncmp(found + strlen(name), header, strlen(header)), 0);
    assert_int_equal(strncmp(found + strlen(name) + strlen(header), "\r\n", 2), 0);
    assert_null(strstr(found + 2, name));
}

static const struct esign_components components = {"jdoe", "secret", 6};

static struct esign_request request_of(const void *content, size_t len, const char *key)
{
    return (struct esign_request){.record = {.type = "batch",
                                             .id = "B-1",
                                             .version = "1",
                                             .content = content,
                                             .content_len = len},
                                  .meaning = "approved",
                                  .idempotency_key = key};
}

static void test_esign_sign__key__sent_as_given(void **state)
{
    REQ("design 3");
    const struct esign_request request = request_of("x", 1, "order 66");
    struct daemon d;
    struct esign *handle = start(&d, 1);

    (void)state;
    assert_int_equal(esign_sign(handle, &request, &components, NULL, NULL), ESIGN_OK);
    stop(&d, handle);
    check_head(d.heads[0], "POST /v1/signatures ", "order 66");
}

static void
test_esign_sign__large_record__ticket_and_signature_under_keys_of_their_own(void **state)
{
    REQ("design 3");
    enum { LARGE = 100 * 1024 };
    char *content = calloc(1, LARGE), key[ESIGN_KEY_MAX + 1], ticket_key[ESIGN_KEY_MAX + 8];
    struct daemon d;
    struct esign *handle = start(&d, 2);

    (void)state;
    memset(key, 'k', ESIGN_KEY_MAX);
    key[ESIGN_KEY_MAX] = '\0';
    (void)snprintf(ticket_key, sizeof(ticket_key), "%s:ticket", key);
    const struct esign_request request = request_of(content, LARGE, key);
    assert_int_equal(esign_sign(handle, &request, &components, NULL, NULL), ESIGN_OK);
    stop(&d, handle);
    free(content);
    check_head(d.heads[0], "POST /v1/tickets ", ticket_key);
    check_head(d.heads[1], "POST /v1/tickets/T-1/authorise ", key);
}

static void test_esign_ticket_calls__with_and_without_key__header_or_none(void **state)
{
    REQ("design 3");
    const struct esign_request request = request_of("x", 1, NULL);
    const struct esign_authorisation authorisation = {.ticket = "T-1",
                                                      .nonce = "ab",
                                                      .presented_hash = "cd",
                                                      .components = components,
                                                      .idempotency_key = "k"};
    struct daemon d;
    struct esign *handle = start(&d, 2);

    (void)state;
    assert_int_equal(esign_ticket_create(handle, &request, NULL, NULL), ESIGN_OK);
    assert_int_equal(esign_ticket_authorise(handle, &authorisation, NULL, NULL), ESIGN_OK);
    stop(&d, handle);
    check_head(d.heads[0], "POST /v1/tickets ", NULL);
    check_head(d.heads[1], "POST /v1/tickets/T-1/authorise ", "k");
}

static void test_esign_sign__unusable_key__refused_before_sending(void **state)
{
    REQ("design 3");
    static const char *const keys[] = {"", "a\r\nX: y", "a\tb", "\xc3\xbc"};
    char longest[200];
    struct esign *handle = NULL;

    (void)state;
    memset(longest, 'k', sizeof(longest));
    longest[129] = '\0';
    assert_int_equal(esign_open("/nonexistent/esignd.sock", &handle, NULL), ESIGN_OK);
    for (size_t i = 0; i <= sizeof(keys) / sizeof(keys[0]); i++) {
        const char *key = i < sizeof(keys) / sizeof(keys[0]) ? keys[i] : longest;
        const struct esign_request request = request_of("x", 1, key);
        assert_int_equal(esign_sign(handle, &request, &components, NULL, NULL), ESIGN_E_PROTO);
        assert_int_equal(esign_ticket_create(handle, &request, NULL, NULL), ESIGN_E_PROTO);
    }
    esign_close(handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_esign_sign__key__sent_as_given),
        cmocka_unit_test(
            test_esign_sign__large_record__ticket_and_signature_under_keys_of_their_own),
        cmocka_unit_test(test_esign_ticket_calls__with_and_without_key__header_or_none),
        cmocka_unit_test(test_esign_sign__unusable_key__refused_before_sending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
