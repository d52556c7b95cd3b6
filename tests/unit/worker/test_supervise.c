/* The supervisor and its workers, with real processes. */
#include "helper.h"

static int setup(void **state)
{
    struct helper *h = calloc(1, sizeof(*h));

    assert_non_null(h);
    helper_new(h);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct helper *h = *state;

    helper_done(h);
    free(h);
    return 0;
}

static void test_worker_supervise__worker_dies__caller_told_and_replaced(void **state)
{
    REQ("design 2");
    struct helper *h = *state;
    struct fault f = {0};

    h->service.workers = 1;
    helper_run(h, getuid());
    pid_t first = helper_pid(h);
    assert_int_equal(helper_ask(h, HELPER_CRASH, HELPER_WAIT_MS, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "worker");
    pid_t second = helper_pid(h);
    assert_true(first > 0 && second > 0 && first != second);
}

static void test_worker_supervise__hang_past_deadline__killed_and_replaced(void **state)
{
    REQ("design 2");
    struct helper *h = *state;

    h->service.workers = 1;
    helper_run(h, getuid());
    pid_t first = helper_pid(h);
    int64_t began = helper_now();
    assert_int_equal(helper_ask(h, HELPER_HANG, 200, NULL), ESIGN_E_DEADLINE);
    assert_true(helper_now() - began >= 200);
    pid_t second = helper_pid(h); /* there is one worker: this waits for its successor */
    assert_true(second > 0 && first != second);
}

static void test_worker_supervise__killed_itself__workers_die_too(void **state)
{
    REQ("design 2");
    struct helper *h = *state;

    helper_run(h, getuid());
    assert_true(helper_pid(h) > 0);
    assert_int_equal(kill(h->supervisor, SIGKILL), 0);
    assert_int_equal(helper_wait(h), -1);
    assert_true(helper_is_gone(h));
}

static void test_worker_supervise__term_in_a_request__answered_first(void **state)
{
    REQ("design 2");
    struct helper *h = *state;
    struct buf reply = buf_new(64);
    struct frame frame, request = {.op = HELPER_SLEEP, .id = 1, .deadline_ms = HELPER_WAIT_MS};
    struct buf storage = buf_new(FRAME_HEADER_LEN + FRAME_BODY_MAX);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fds[FRAME_FDS_MAX];

    helper_run(h, getuid());
    memcpy(address.sun_path, h->path, strlen(h->path));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(frame_send(fd, &request, NULL, 0, helper_now() + 1000, NULL), ESIGN_OK);
    helper_wait_for(&h->page->sleeping, 1);
    assert_int_equal(kill(h->supervisor, SIGTERM), 0);
    assert_int_equal(frame_receive(fd, &storage, &frame, fds, helper_now() + HELPER_WAIT_MS, NULL),
                     ESIGN_OK);
    assert_int_equal(frame.status, 0);
    assert_int_equal(helper_wait(h), 0);
    assert_int_equal(atomic_load(&h->page->stops), 2); /* both ended in order */
    (void)close(fd);
    buf_done(&storage);
    buf_done(&reply);
}

static void test_worker_supervise__refused_pin__no_login_ever_again(void **state)
{
    REQ("11.300(d)", "design 8");
    struct helper *h = *state;
    struct fault f = {0};

    h->service.serial_start = true;
    atomic_store(&h->page->refuse_pin, 1);
    helper_run(h, getuid());
    for (int i = 0; i < 5; i++) {
        assert_int_equal(helper_ask(h, HELPER_ECHO, HELPER_WAIT_MS, &f), ESIGN_E_HSM);
        assert_string_equal(f.reason, "pin");
    }
    helper_wait_for(&h->page->starts, 3);
    assert_int_equal(atomic_load(&h->page->logins), 1);
}

static void test_worker_supervise__young_deaths__pauses_double(void **state)
{
    REQ("design 2");
    struct helper *h = *state;

    h->service.workers = 1;
    atomic_store(&h->page->start_fails, 4);
    helper_run(h, getuid());
    assert_true(helper_pid(h) > 0);
    assert_int_equal(atomic_load(&h->page->starts), 5);
    for (int i = 0; i < 4; i++) {
        int64_t pause =
            atomic_load(&h->page->started_at_ms[i + 1]) - atomic_load(&h->page->started_at_ms[i]);
        assert_true(pause >= WORKER_BACKOFF_MS << i);
    }
}

static void test_worker_supervise__one_request_each__a_process_for_each(void **state)
{
    REQ("design 2");
    struct helper *h = *state;
    pid_t last = 0;

    h->service.requests_each = 1;
    helper_run(h, getuid());
    for (int i = 0; i < 30; i++) { /* and none is lost to a process that is leaving */
        pid_t pid = helper_pid(h);
        assert_true(pid > 0 && pid != last);
        last = pid;
    }
}

static void test_worker_supervise__worker_leaves__no_request_lost(void **state)
{
    REQ("design 2");
    struct helper *h = *state;

    helper_run(h, getuid());
    for (int i = 0; i < 20; i++)
        assert_int_equal(helper_ask(h, HELPER_LEAVE, HELPER_WAIT_MS, NULL), ESIGN_OK);
}

static void test_worker_supervise__caller_has_gone__request_not_done(void **state)
{
    REQ("design 3");
    struct helper *h = *state;

    h->service.workers = 1;
    h->service.grace_ms = HELPER_WAIT_MS; /* the worker lives and comes to the second request */
    helper_run(h, getuid());
    assert_true(helper_pid(h) > 0);
    assert_int_equal(helper_ask(h, HELPER_SLEEP, 20, NULL), ESIGN_E_DEADLINE);
    assert_int_equal(helper_ask(h, HELPER_COUNT, 20, NULL), ESIGN_E_DEADLINE);
    assert_true(helper_pid(h) > 0); /* later in the queue than the count */
    assert_int_equal(atomic_load(&h->page->count), 0);
}

static void test_worker_supervise__other_user__refused(void **state)
{
    REQ("11.10(d)", "design 2");
    struct helper *h = *state;
    struct fault f = {0};

    if (getuid() != 0)
        skip(); /* only root can have a helper of another user, and own calls are allowed */
    h->service.caller_uid = 65533;
    helper_run(h, 65534);
    assert_int_equal(helper_ask(h, HELPER_ECHO, HELPER_WAIT_MS, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "worker");
    assert_int_equal(atomic_load(&h->page->count), 0);
}

static void test_worker_supervise__other_user_named__served(void **state)
{
    REQ("design 2");
    struct helper *h = *state;

    if (getuid() != 0)
        skip();
    h->service.caller_uid = 0;
    helper_run(h, 65534);
    assert_int_equal(helper_ask(h, HELPER_ECHO, HELPER_WAIT_MS, NULL), ESIGN_OK);
}

static void test_worker_supervise__not_a_frame__connection_closed(void **state)
{
    REQ("design 2");
    struct helper *h = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char answer[8];

    helper_run(h, getuid());
    memcpy(address.sun_path, h->path, strlen(h->path));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    assert_int_equal(recv(fd, answer, sizeof(answer), 0), 0);
    (void)close(fd);
    assert_true(helper_pid(h) > 0);
}

static void test_worker_supervise__ready__notifies_the_manager(void **state)
{
    REQ("design 9");
    struct helper *h = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[32] = {0};
    struct pollfd p = {.events = POLLIN};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.60s.notify", h->path);
    p.fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(p.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    helper_run(h, getuid());
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(poll(&p, 1, HELPER_WAIT_MS), 1);
    assert_true(recv(p.fd, text, sizeof(text) - 1, 0) > 0);
    assert_string_equal(text, "READY=1");
    (void)close(p.fd);
    (void)unlink(address.sun_path);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_worker_supervise__worker_dies__caller_told_and_replaced),
        CASE(test_worker_supervise__hang_past_deadline__killed_and_replaced),
        CASE(test_worker_supervise__killed_itself__workers_die_too),
        CASE(test_worker_supervise__term_in_a_request__answered_first),
        CASE(test_worker_supervise__refused_pin__no_login_ever_again),
        CASE(test_worker_supervise__young_deaths__pauses_double),
        CASE(test_worker_supervise__one_request_each__a_process_for_each),
        CASE(test_worker_supervise__worker_leaves__no_request_lost),
        CASE(test_worker_supervise__caller_has_gone__request_not_done),
        CASE(test_worker_supervise__other_user__refused),
        CASE(test_worker_supervise__other_user_named__served),
        CASE(test_worker_supervise__not_a_frame__connection_closed),
        CASE(test_worker_supervise__ready__notifies_the_manager),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
