/* Deadlines, quotas, refused callers and the stop. */
#include <pthread.h>

#include "listen/fixture.h"

#define LOGIN_HEAD "POST /v1/login HTTP/1.1\r\nHost: esignd\r\nContent-Type: application/json\r\n"

enum { DRIP_DEADLINE_MS = 400, DRIP_STEP_MS = 20 };

/* Send one byte in DRIP_STEP_MS until the other end closes; how long that took. */
static int64_t drip(const struct fixture *fx, const char *at_once, const char *slowly)
{
    int64_t start = fixture_now();
    int fd = client_connect(fx);
    char byte;

    assert_true(client_send(fd, at_once, strlen(at_once)));
    for (size_t i = 0;; i = slowly[i + 1] ? i + 1 : 0) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        (void)poll(&pfd, 1, DRIP_STEP_MS);
        assert_true(fixture_now() - start < FIXTURE_WAIT_MS);
        if (!client_send(fd, slowly + i, 1))
            break;
        if (pfd.revents && recv(fd, &byte, 1, 0) <= 0)
            break;
    }
    close(fd);
    return fixture_now() - start;
}

static void test_listen__dripping_client__cut_at_the_deadline_others_served(void **state)
{
    (void)state;
    REQ("design 2", "design 5");
    static const struct {
        const char *what, *at_once, *slowly;
    } rows[] = {
        {"first line", "",
         "GET /v1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"headers", "GET /v1/status HTTP/1.1\r\nHost: esignd\r\n",
         "A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
        {"body", LOGIN_HEAD "Content-Length: 60000\r\n\r\n", "{\"components\": "},
        {"chunks", LOGIN_HEAD "Transfer-Encoding: chunked\r\n\r\n",
         "1\r\na\r\n1\r\na\r\n1\r\na\r\n"},
    };
    struct fixture *fx =
        fixture_start((struct listen_options){.max_connections = 4,
                                              .request_deadline_ms = DRIP_DEADLINE_MS,
                                              .idle_ms = DRIP_DEADLINE_MS});

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t took = drip(fx, rows[i].at_once, rows[i].slowly);
        if (took < DRIP_DEADLINE_MS / 2 || took > DRIP_DEADLINE_MS * 10)
            fail_msg("%s: cut after %lld ms", rows[i].what, (long long)took);
        assert_int_equal(client_status(fx, GET("/v1/status")), 200);
    }
    assert_int_equal(listen_count(fx->listen).cut, 4);
    fixture_stop(fx);
}

static void test_listen__idle_connection__closed(void **state)
{
    (void)state;
    REQ("design 5");
    struct fixture *fx = fixture_start(
        (struct listen_options){.max_connections = 4, .request_deadline_ms = 5000, .idle_ms = 200});
    int fd = client_connect(fx);
    char byte;

    assert_true(client_send(fd, GET("/v1/status"), strlen(GET("/v1/status"))));
    struct client_reply reply = client_read(fd, true);
    assert_int_equal(reply.status, 200);
    client_reply_done(&reply);
    assert_false(client_receive(fd, &byte, 1));
    close(fd);
    fixture_stop(fx);
}

static void test_listen__handler_past_its_deadline__its_reply_still_arrives(void **state)
{
    (void)state;
    REQ("design 2");
    struct fixture *fx = fixture_start(
        (struct listen_options){.max_connections = 4, .request_deadline_ms = 200, .idle_ms = 200});

    assert_int_equal(client_status(fx, GET("/v1/late")), 504);
    fixture_stop(fx);
}

static void test_listen__ten_thousand_strangers__none_read_two_reports_others_served(void **state)
{
    (void)state;
    REQ("11.10(d)", "design 5");
    enum { STRANGERS = 10000, EVERY = 100 };
    struct fixture *fx = fixture_start(fixture_usual);
    unsigned served = 0;

    atomic_store(&fx->served_every, EVERY);
    for (int i = 1; i <= STRANGERS + STRANGERS / (EVERY - 1); i++) {
        struct client_reply reply = client_ask(fx, GET("/v1/status"), strlen(GET("/v1/status")));
        served += reply.status == 200;
        assert_int_equal(reply.status, i % EVERY == 0 ? 200 : 0);
        client_reply_done(&reply);
    }
    struct listen_counts counts = listen_count(fx->listen);
    assert_true(counts.refused >= STRANGERS);
    assert_int_equal(served, counts.requests);
    assert_int_equal(served, atomic_load(&fx->handled));
    listen_stop(fx->listen, 1000);
    fx->listen = NULL;
    assert_int_equal(atomic_load(&fx->reports), 2); /* the first, and the rest at the stop */
    assert_true(atomic_load(&fx->refused) == counts.refused);
    fixture_stop(fx);
}

static void test_listen__first_stranger__reported_at_once(void **state)
{
    (void)state;
    REQ("11.10(d)", "design 5");
    struct fixture *fx = fixture_start(fixture_usual);
    int64_t start = fixture_now();

    atomic_store(&fx->kind, 0);
    assert_int_equal(client_status(fx, GET("/v1/status")), 0);
    while (atomic_load(&fx->reports) == 0) {
        assert_true(fixture_now() - start < FIXTURE_WAIT_MS);
        (void)poll(NULL, 0, 5);
    }
    assert_true(atomic_load(&fx->refused) == 1);
    fixture_stop(fx);
}

static void test_listen__full__503_and_room_for_terminals(void **state)
{
    (void)state;
    REQ("design 2");
    struct fixture *fx = fixture_start((struct listen_options){
        .max_connections = 4, .kept_for_terminals = 1, .request_deadline_ms = 10000});
    int fds[4];

    for (int i = 0; i < 3; i++) {
        fds[i] = client_connect(fx);
        assert_true(client_send(fds[i], GET("/v1/status"), strlen(GET("/v1/status"))));
        struct client_reply reply = client_read(fds[i], true);
        assert_int_equal(reply.status, 200);
        client_reply_done(&reply);
    }
    struct client_reply busy = client_ask(fx, GET("/v1/status"), strlen(GET("/v1/status")));
    assert_int_equal(busy.status, 503);
    assert_int_equal(busy.len, client_length(busy.head));
    struct fault f = {0};
    CLEANUP(json_decref_p) json_t *problem = NULL;
    assert_int_equal(json_parse_object(bytes_of_str(busy.body), &problem, &f), ESIGN_OK);
    assert_string_equal(json_str(problem, "code"), fault_name(ESIGN_E_BUSY));
    assert_string_equal(json_str(problem, "title"), fault_text(ESIGN_E_BUSY));
    assert_int_equal(json_int(problem, "status", 0), fault_http(ESIGN_E_BUSY));
    assert_true(json_flag(problem, "retryable"));
    client_reply_done(&busy);
    assert_int_equal(listen_count(fx->listen).full, 1);

    atomic_store(&fx->kind, API_PEER_TERMINAL);
    fds[3] = client_connect(fx);
    assert_true(client_send(fds[3], GET("/v1/status"), strlen(GET("/v1/status"))));
    struct client_reply reply = client_read(fds[3], true);
    assert_int_equal(reply.status, 200);
    client_reply_done(&reply);
    assert_int_equal(client_status(fx, GET("/v1/status")), 503);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    int64_t start = fixture_now();
    while (listen_count(fx->listen).connections > 0) {
        assert_true(fixture_now() - start < FIXTURE_WAIT_MS);
        (void)poll(NULL, 0, 5);
    }
    assert_int_equal(client_status(fx, GET("/v1/status")), 200);
    fixture_stop(fx);
}

/* A client with an idle connection: when that is closed, the stop has begun, and the handler that
 * is waiting may go on. */
static void *release_when_idle_is_closed(void *ctx)
{
    struct fixture *fx = ctx;
    int fd = client_connect(fx);
    char byte;

    assert_true(client_send(fd, GET("/v1/status"), strlen(GET("/v1/status"))));
    struct client_reply reply = client_read(fd, true);
    assert_int_equal(reply.status, 200);
    client_reply_done(&reply);
    assert_int_equal(sem_post(&fx->entered), 0);
    assert_false(client_receive(fd, &byte, 1));
    close(fd);
    assert_int_equal(sem_post(&fx->release), 0);
    return NULL;
}

struct running {
    struct fixture *fx;
    struct client_reply reply;
};

static void *ask_and_wait(void *ctx)
{
    struct running *running = ctx;

    running->reply = client_ask(running->fx, GET("/v1/wait"), strlen(GET("/v1/wait")));
    return NULL;
}

static void test_listen_stop__request_is_running__finished_and_answered(void **state)
{
    (void)state;
    REQ("design 2");
    struct fixture *fx = fixture_start(fixture_usual);
    struct running running = {.fx = fx};
    pthread_t asking, idling;

    assert_int_equal(pthread_create(&asking, NULL, ask_and_wait, &running), 0);
    fixture_wait(&fx->entered);
    assert_int_equal(pthread_create(&idling, NULL, release_when_idle_is_closed, fx), 0);
    fixture_wait(&fx->entered);
    listen_stop(fx->listen, FIXTURE_WAIT_MS);
    fx->listen = NULL;
    assert_int_equal(pthread_join(asking, NULL), 0);
    assert_int_equal(pthread_join(idling, NULL), 0);
    assert_int_equal(running.reply.status, 200);
    assert_non_null(strcasestr(running.reply.head, "\r\nConnection: close\r\n"));
    client_reply_done(&running.reply);
    fixture_stop(fx);
}

static void test_listen_stop__client_does_not_finish__cut_in_bounded_time(void **state)
{
    (void)state;
    REQ("design 2");
    struct fixture *fx = fixture_start(fixture_usual);
    int fd = client_connect(fx);
    int64_t start = fixture_now();

    assert_true(client_send(fd, "GET /v1/status HTTP/1.1\r\n", 25));
    while (listen_count(fx->listen).connections == 0) {
        assert_true(fixture_now() - start < FIXTURE_WAIT_MS);
        (void)poll(NULL, 0, 5);
    }
    start = fixture_now();
    listen_stop(fx->listen, 200);
    assert_true(fixture_now() - start < 5000);
    fx->listen = NULL;
    close(fd);
    fixture_stop(fx);
}

static void test_listen_start__options_out_of_range__policy(void **state)
{
    (void)state;
    REQ("design 2");
    struct listen *l = NULL;
    struct fault f = {0};
    const struct listen_options rows[] = {
        {.max_connections = 0, .request_deadline_ms = 1},
        {.max_connections = 1025, .request_deadline_ms = 1},
        {.max_connections = 4, .kept_for_terminals = 4, .request_deadline_ms = 1},
        {.max_connections = 4, .request_deadline_ms = 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(listen_start(&rows[i], &l, &f), ESIGN_E_POLICY);
    assert_null(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen__dripping_client__cut_at_the_deadline_others_served),
        cmocka_unit_test(test_listen__idle_connection__closed),
        cmocka_unit_test(test_listen__handler_past_its_deadline__its_reply_still_arrives),
        cmocka_unit_test(test_listen__ten_thousand_strangers__none_read_two_reports_others_served),
        cmocka_unit_test(test_listen__first_stranger__reported_at_once),
        cmocka_unit_test(test_listen__full__503_and_room_for_terminals),
        cmocka_unit_test(test_listen_stop__request_is_running__finished_and_answered),
        cmocka_unit_test(test_listen_stop__client_does_not_finish__cut_in_bounded_time),
        cmocka_unit_test(test_listen_start__options_out_of_range__policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
