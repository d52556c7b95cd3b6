#include "listen/fixture.h"

#define HOST "Host: esignd\r\n"
#define JSON "Content-Type: application/json\r\n"
#define BODY "{\"text\":\"abc\"}" /* 14 bytes */
#define POST "POST /v1/echo HTTP/1.1\r\n" HOST JSON

enum { CLOSED = -1 };

/* Whole requests as bytes.  also: a second right answer, where versions of the library differ (0:
 * none, CLOSED: closed without an answer). */
static const struct {
    const char *what, *bytes;
    int status, also;
    bool is_handled;
} requests[] = {
    {"plain", GET("/v1/status"), 200, 0, true},
    {"id", GET("/v1/items/T-1"), 200, 0, true},
    {"escaped id", GET("/v1/items/%54-1"), 200, 0, true},
    {"length", POST "Content-Length: 14\r\n\r\n" BODY, 200, 0, true},
    {"chunks",
     POST "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"te\r\na\r\nxt\":\"abc\"}\r\n0\r\n\r\n", 200, 0,
     true},
    {"continue", POST "Expect: 100-continue\r\nContent-Length: 14\r\n\r\n" BODY, 200, 0, true},
    {"two lengths", POST "Content-Length: 14\r\nContent-Length: 3\r\n\r\n" BODY, 400, 0, false},
    {"one length twice", POST "Content-Length: 14\r\nContent-Length: 14\r\n\r\n" BODY, 400, 0,
     false},
    {"length list", POST "Content-Length: 14, 14\r\n\r\n" BODY, 400, 0, false},
    {"length sign", POST "Content-Length: +14\r\n\r\n" BODY, 400, 0, false},
    {"length below zero", POST "Content-Length: -14\r\n\r\n" BODY, 400, 0, false},
    {"length beyond 64 bits", POST "Content-Length: 99999999999999999999999\r\n\r\n" BODY, 400, 413,
     false},
    {"length and chunks", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400, 0, false},
    {"chunks and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
     400, 0, false},
    {"two codings",
     POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, 0,
     false},
    {"coding unknown", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, 0, false},
    {"coding hidden", POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, 0, false},
    {"no host", "GET /v1/status HTTP/1.1\r\n\r\n", 400, 0, false},
    {"two hosts", "GET /v1/status HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, 0, false},
    {"HTTP/1.0", "GET /v1/status HTTP/1.0\r\n" HOST "\r\n", 400, 0, false},
    {"HTTP/2.0", "GET /v1/status HTTP/2.0\r\n" HOST "\r\n", 400, 505, false},
    {"no version", "GET /v1/status\r\n" HOST "\r\n", 400, 0, false},
    {"garbage", "\x16\x03\x01\x02\r\n\r\n", 400, CLOSED, false},
    {"control in a name", "GET /v1/status HTTP/1.1\r\n" HOST "A\x01: b\r\n\r\n", 400, 0, false},
    {"space in a name", "GET /v1/status HTTP/1.1\r\n" HOST "A b: c\r\n\r\n", 400, 0, false},
    {"control in a value", "GET /v1/status HTTP/1.1\r\n" HOST "A: b\x02\r\n\r\n", 400, 0, false},
    {"no colon", "GET /v1/status HTTP/1.1\r\n" HOST "Abc\r\n\r\n", 400, 0, false},
    {"zero byte in the path", "GET /v1/status%00x HTTP/1.1\r\n" HOST "\r\n", 400, 0, false},
    {"broken escape", "GET /v1/items/a%4 HTTP/1.1\r\n" HOST "\r\n", 400, 0, false},
    {"absolute target", "GET http://x/v1/status HTTP/1.1\r\n" HOST "\r\n", 400, 0, false},
    {"star", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 400, 0, false},
    {"dots", GET("/v1/items/../status"), 404, 0, false},
    {"escaped slash", GET("/v1/items/a%2fb"), 404, 0, false},
    {"unknown path", GET("/v1/nothing"), 404, 0, false},
    {"unknown parameter", GET("/v1/status?a=b"), 400, 0, false},
    {"unknown method", "GETX /v1/status HTTP/1.1\r\n" HOST "\r\n", 405, 0, false},
    {"options", "OPTIONS /v1/status HTTP/1.1\r\n" HOST "\r\n", 405, 0, false},
    {"delete", "DELETE /v1/items/T-1 HTTP/1.1\r\n" HOST "\r\n", 405, 0, false},
    {"body of a GET", "GET /v1/status HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 400, 0,
     false},
    {"too long", POST "Content-Length: 1001\r\n\r\n", 413, 0, false},
    {"compressed", POST "Content-Encoding: gzip\r\nContent-Length: 14\r\n\r\n" BODY, 400, 0, false},
    {"other expectation", POST "Expect: 200-ok\r\nContent-Length: 14\r\n\r\n" BODY, 400, 0, false},
    {"no type", "POST /v1/echo HTTP/1.1\r\n" HOST "Content-Length: 14\r\n\r\n" BODY, 415, 0, false},
    {"other type",
     "POST /v1/echo HTTP/1.1\r\n" HOST
     "Content-Type: text/plain\r\nContent-Length: 14\r\n\r\n" BODY,
     415, 0, false},
    {"no chunk size", POST "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400, 0,
     false},
    {"chunk size beyond 64 bits",
     POST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400, 413,
     false},
    {"header after the body",
     POST "Transfer-Encoding: chunked\r\n\r\ne\r\n" BODY "\r\n0\r\nA: b\r\n\r\n", 400, 0, false},
    {"no JSON", POST "Content-Length: 3\r\n\r\nabc", 400, 0, false},
    {"unknown member", POST "Content-Length: 14\r\n\r\n{\"tixt\":\"abc\"}", 400, 0, false},
    {"no body", POST "\r\n", 400, 0, false},
    {"key", POST "Idempotency-Key: k 1\r\nContent-Length: 14\r\n\r\n" BODY, 200, 0, true},
    {"empty key", POST "Idempotency-Key: \r\nContent-Length: 14\r\n\r\n" BODY, 400, 0, false},
    {"empty key without a space", POST "Idempotency-Key:\r\nContent-Length: 14\r\n\r\n" BODY, 400,
     0, false},
    {"key with a tab", POST "Idempotency-Key: a\tb\r\nContent-Length: 14\r\n\r\n" BODY, 400, 0,
     false},
    {"key where none is kept", "GET /v1/status HTTP/1.1\r\n" HOST "Idempotency-Key: k\r\n\r\n", 400,
     0, false},
};

static void test_listen__raw_requests__answered_once_and_strictly(void **state)
{
    (void)state;
    REQ("design 5", "RFC 9112 6.3", "RFC 9112 11.2");
    struct fixture *fx = fixture_start(fixture_usual);

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        unsigned before = atomic_load(&fx->handled);
        int status = client_status(fx, requests[i].bytes);
        if (status == 0)
            status = CLOSED;
        if (status != requests[i].status && (!requests[i].also || status != requests[i].also))
            fail_msg("%s: %d", requests[i].what, status);
        if ((atomic_load(&fx->handled) != before) != requests[i].is_handled)
            fail_msg("%s: handled %u times", requests[i].what, atomic_load(&fx->handled) - before);
    }
    fixture_stop(fx);
}

/* What libmicrohttpd 0.9.75 takes although it is wrong and the guard can't see: the next request of
 * the connection must be read where it begins, or not at all. */
static void test_listen__wrong_but_taken__the_next_request_is_in_step(void **state)
{
    (void)state;
    REQ("design 5", "RFC 9112 11.2");
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        BYTES("GET /v1/items/a\0x HTTP/1.1\r\n" HOST "\r\n"),
        BYTES("GET /v1/items/a HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n"),
        BYTES("GET /v1/items/a HTTP/1.1\n" HOST "\n"),
        BYTES("GET /v1/items/a HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n"),
        BYTES("\r\nGET /v1/items/a HTTP/1.1\r\n" HOST "\r\n"),
    };
    struct fixture *fx = fixture_start(fixture_usual);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = client_connect(fx);
        assert_true(client_send(fd, rows[i].bytes, rows[i].len));
        (void)client_send(fd, GET("/v1/items/b"), strlen(GET("/v1/items/b"))); /* may be closed */
        struct client_reply first = client_read(fd, true), second = client_read(fd, true);
        if (first.status == 200) {
            assert_non_null(strstr(first.body, "\"id\":\"a\""));
            assert_int_equal(second.status, 200);
            assert_non_null(strstr(second.body, "\"id\":\"b\""));
        } else {
            assert_int_not_equal(second.status, 200);
        }
        client_reply_done(&first);
        client_reply_done(&second);
        close(fd);
    }
    fixture_stop(fx);
}

static void test_listen__replies__headers_and_problem(void **state)
{
    (void)state;
    REQ("design 5");
    struct fixture *fx = fixture_start(fixture_usual);
    struct client_reply reply = client_ask(fx, GET("/v1/status"), strlen(GET("/v1/status")));

    assert_non_null(strstr(reply.head, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(reply.head, "\r\nCache-Control: no-store\r\n"));
    assert_string_equal(reply.body, "{\"path\":\"/v1/status\",\"peer\":\"toy\"}");
    client_reply_done(&reply);
    reply = client_ask(fx, "PUT /v1/echo HTTP/1.1\r\n" HOST "\r\n",
                       strlen("PUT /v1/echo HTTP/1.1\r\n" HOST "\r\n"));
    assert_int_equal(reply.status, 405);
    assert_non_null(strstr(reply.head, "\r\nAllow: POST\r\n"));
    assert_non_null(strstr(reply.head, "\r\nContent-Type: application/problem+json\r\n"));
    assert_non_null(strstr(reply.body, "\"code\":\"E_UNSUPPORTED\""));
    client_reply_done(&reply);
    fixture_stop(fx);
}

static void test_listen__large_reply__whole(void **state)
{
    (void)state;
    REQ("design 5");
    struct fixture *fx = fixture_start(fixture_usual);
    struct client_reply reply = client_ask(fx, GET("/v1/large"), strlen(GET("/v1/large")));

    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.len, 1600000);
    assert_string_equal(reply.body + reply.len - 16, "{\"line\":099999}\n");
    client_reply_done(&reply);
    fixture_stop(fx);
}

static void test_listen__one_connection__many_requests_in_order(void **state)
{
    (void)state;
    REQ("design 5");
    static const char two[] = GET("/v1/items/a") GET("/v1/items/b");
    struct fixture *fx = fixture_start(fixture_usual);
    int fd = client_connect(fx);

    for (int i = 0; i < 20; i++) {
        assert_true(client_send(fd, two, sizeof(two) - 1));
        struct client_reply first = client_read(fd, true), second = client_read(fd, true);
        assert_non_null(strstr(first.body, "\"id\":\"a\""));
        assert_non_null(strstr(second.body, "\"id\":\"b\""));
        client_reply_done(&first);
        client_reply_done(&second);
    }
    assert_true(client_send(fd, "HEAD /v1/status HTTP/1.1\r\n" HOST "\r\n",
                            strlen("HEAD /v1/status HTTP/1.1\r\n" HOST "\r\n")));
    struct client_reply head = client_read(fd, false);
    assert_int_equal(head.status, 405);
    client_reply_done(&head);
    assert_true(client_send(fd, GET("/v1/status"), strlen(GET("/v1/status"))));
    struct client_reply last = client_read(fd, true);
    assert_int_equal(last.status, 200);
    client_reply_done(&last);
    assert_int_equal(listen_count(fx->listen).accepted, 1);
    close(fd);
    fixture_stop(fx);
}

static void test_listen__chunks_over_the_limit__413_or_closed(void **state)
{
    (void)state;
    REQ("design 5");
    static const char head[] = POST "Transfer-Encoding: chunked\r\n\r\n";
    static char chunk[6 + 4096 + 2] = "1000\r\n";
    struct fixture *fx = fixture_start(fixture_usual);

    memset(chunk + 6, 'a', 4096);
    memcpy(chunk + 6 + 4096, "\r\n", 2);
    for (int chunks = 1; chunks <= 1000; chunks += 999) {
        int fd = client_connect(fx);
        assert_true(client_send(fd, head, sizeof(head) - 1));
        for (int i = 0; i < chunks && client_send(fd, chunk, sizeof(chunk)); i++)
            ;
        (void)client_send(fd, "0\r\n\r\n", 5); /* it may be closed already */
        struct client_reply reply = client_read(fd, true);
        assert_int_equal(reply.status, chunks == 1 ? 413 : 0);
        client_reply_done(&reply);
        close(fd);
    }
    assert_int_equal(atomic_load(&fx->handled), 0);
    fixture_stop(fx);
}

static void test_listen__deeply_nested_body__refused(void **state)
{
    (void)state;
    REQ("design 5");
    static char request[API_BODY_SMALL + 200];
    struct fixture *fx = fixture_start(fixture_usual);
    int len = snprintf(request, sizeof(request),
                       "POST /v1/login HTTP/1.1\r\n" HOST JSON "Content-Length: %d\r\n\r\n",
                       API_BODY_SMALL);

    memset(request + len, '[', API_BODY_SMALL);
    struct client_reply reply = client_ask(fx, request, (size_t)len + API_BODY_SMALL);
    assert_int_equal(reply.status, 400);
    client_reply_done(&reply);
    fixture_stop(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen__raw_requests__answered_once_and_strictly),
        cmocka_unit_test(test_listen__wrong_but_taken__the_next_request_is_in_step),
        cmocka_unit_test(test_listen__replies__headers_and_problem),
        cmocka_unit_test(test_listen__large_reply__whole),
        cmocka_unit_test(test_listen__one_connection__many_requests_in_order),
        cmocka_unit_test(test_listen__chunks_over_the_limit__413_or_closed),
        cmocka_unit_test(test_listen__deeply_nested_body__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
