/* The caller's lanes, against a helper that runs. */
#include "helper.h"

#include "base/cleanup.h"

#include <pthread.h>

static int setup(void **state)
{
    static struct helper h;

    helper_new(&h);
    helper_run(&h, getuid());
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    helper_done(*state);
    return 0;
}

static void test_worker_call__echo__same_bytes(void **state)
{
    REQ("design 2");
    struct helper *h = *state;
    CLEANUP(buf_done) struct buf body = buf_new(FRAME_BODY_MAX);
    CLEANUP(buf_done) struct buf reply = buf_new(FRAME_BODY_MAX);

    memset(buf_reserve(&body, FRAME_BODY_MAX), 7, FRAME_BODY_MAX);
    buf_put_u8(&reply, 1); /* is cleared */
    assert_int_equal(worker_call(h->pool, HELPER_ECHO, buf_bytes(&body), NULL, 0,
                                 helper_now() + HELPER_WAIT_MS, &reply, NULL),
                     ESIGN_OK);
    assert_true(bytes_equal(buf_bytes(&body), buf_bytes(&reply)));
}

static void test_worker_ping__helper_runs_or_not__told(void **state)
{
    REQ("requirements 2.4");
    struct helper *h = *state;
    struct worker_pool *nobody = NULL;
    struct fault f = {0};

    assert_int_equal(worker_ping(h->pool, helper_now() + HELPER_WAIT_MS, NULL), ESIGN_OK);
    assert_int_equal(worker_pool_new("nobody", "/nonexistent/sock", 1, &nobody, NULL), ESIGN_OK);
    assert_int_equal(worker_ping(nobody, helper_now() + HELPER_WAIT_MS, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "worker");
    worker_pool_free(nobody);
}

static void test_worker_call__error__passed_on_unchanged(void **state)
{
    REQ("design 5");
    struct fault f = {0};

    assert_int_equal(helper_ask(*state, HELPER_REFUSE, HELPER_WAIT_MS, &f), ESIGN_E_CONFLICT);
    assert_int_equal(f.rc, ESIGN_E_CONFLICT);
    assert_string_equal(f.field, "member");
    assert_string_equal(f.detail, "in another state");
}

static void test_worker_call__descriptor__arrives(void **state)
{
    REQ("design 2");
    struct helper *h = *state;
    CLEANUP(buf_done) struct buf reply = buf_new(16);
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "hello", 5), 5);
    assert_int_equal(worker_call(h->pool, HELPER_READ, (struct bytes){0}, ends, 1,
                                 helper_now() + HELPER_WAIT_MS, &reply, NULL),
                     ESIGN_OK);
    assert_true(bytes_equal(buf_bytes(&reply), bytes_of_str("hello")));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void test_worker_call__answer_over_limits__too_large(void **state)
{
    REQ("design 2");
    struct helper *h = *state;
    CLEANUP(buf_done) struct buf reply = buf_new(4);

    assert_int_equal(helper_ask(h, HELPER_LARGE, HELPER_WAIT_MS, NULL), ESIGN_E_TOO_LARGE);
    assert_int_equal(worker_call(h->pool, HELPER_ECHO, bytes_of_str("12345"), NULL, 0,
                                 helper_now() + HELPER_WAIT_MS, &reply, NULL),
                     ESIGN_E_TOO_LARGE);
    assert_int_equal(helper_ask(h, HELPER_PID, HELPER_WAIT_MS, NULL), ESIGN_OK);
}

static void test_worker_call__no_helper__reason_worker(void **state)
{
    REQ("design 2");
    (void)state;
    struct helper none = {0};
    struct fault f = {0};

    assert_int_equal(worker_pool_new("none", "/nonexistent/sock", 1, &none.pool, NULL), ESIGN_OK);
    assert_int_equal(helper_ask(&none, HELPER_ECHO, 1000, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "worker");
    assert_int_equal(f.cause, ENOENT);
    worker_pool_free(none.pool);
}

static void test_worker_call__deadline_over__not_sent(void **state)
{
    REQ("design 2");
    struct helper *h = *state;

    atomic_store(&h->page->count, 0);
    assert_int_equal(helper_ask(h, HELPER_COUNT, -1, NULL), ESIGN_E_DEADLINE);
    assert_int_equal(helper_ask(h, HELPER_PID, HELPER_WAIT_MS, NULL), ESIGN_OK);
    assert_int_equal(atomic_load(&h->page->count), 0);
}

struct busy {
    struct helper *helper;
    uint8_t number;
    unsigned good;
};

/* A worker that is busy on one connection dies with a request unread on another: that request is
 * sent again, the one that was begun is not. */
static void *crash_after_sleep(void *arg)
{
    struct busy *b = arg;

    b->good = helper_ask(b->helper, HELPER_SLEEP_CRASH, HELPER_WAIT_MS, NULL) == ESIGN_E_HSM;
    return NULL;
}

static void test_worker_call__unread_when_worker_dies__sent_again(void **state)
{
    REQ("design 2", "design 3");
    struct helper one;
    pthread_t thread;
    (void)state;

    helper_new(&one);
    one.service.workers = 1;
    helper_run(&one, getuid());
    struct busy first = {.helper = &one};
    assert_true(helper_pid(&one) > 0);
    assert_int_equal(pthread_create(&thread, NULL, crash_after_sleep, &first), 0);
    helper_wait_for(&one.page->sleeping, 1);
    assert_int_equal(helper_ask(&one, HELPER_COUNT, HELPER_WAIT_MS, NULL), ESIGN_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(first.good, 1);
    assert_int_equal(atomic_load(&one.page->count), 1);
    assert_int_equal(atomic_load(&one.page->sleeping), 1);
    helper_done(&one);
}

enum { THREADS = 8, CALLS = 60 };

static void *call_many(void *arg)
{
    struct busy *b = arg;
    CLEANUP(buf_done) struct buf reply = buf_new(64);

    for (unsigned i = 0; i < CALLS; i++) {
        uint8_t body[2] = {b->number, (uint8_t)i};
        if (worker_call(b->helper->pool, HELPER_ECHO, bytes_of(body, 2), NULL, 0,
                        helper_now() + HELPER_WAIT_MS, &reply, NULL) == ESIGN_OK &&
            bytes_equal(buf_bytes(&reply), bytes_of(body, 2)))
            b->good++;
    }
    return NULL;
}

static void test_worker_call__more_threads_than_lanes__each_gets_its_own(void **state)
{
    REQ("design 2");
    struct busy busy[THREADS];
    pthread_t threads[THREADS];

    for (uint8_t i = 0; i < THREADS; i++) {
        busy[i] = (struct busy){.helper = *state, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, call_many, &busy[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(busy[i].good, CALLS);
    }
}

static void *sleep_once(void *arg)
{
    struct busy *b = arg;

    b->good = helper_ask(b->helper, HELPER_SLEEP, HELPER_WAIT_MS, NULL) == ESIGN_OK;
    return NULL;
}

/* How long two requests take together. */
static int64_t sleep_twice(struct helper *h)
{
    struct busy busy[2];
    pthread_t threads[2];
    int64_t began = helper_now();

    for (unsigned i = 0; i < 2; i++) {
        busy[i] = (struct busy){.helper = h};
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_once, &busy[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(busy[i].good, 1);
    }
    return helper_now() - began;
}

/* Two calls of two workers at once take as long as one: no worker has both connections. */
static void test_worker_call__two_at_once__both_workers_busy(void **state)
{
    REQ("design 2");
    struct helper *h = *state;

    assert_true(sleep_twice(h) < 2 * HELPER_SLEEP_MS);
}

/* A helper that serves one connection in a thread of this process. */
struct child {
    struct helper own;
    int fd, exit_code;
};

static void *serve_child(void *arg)
{
    struct child *c = arg;

    c->exit_code = worker_serve_once(c->fd, &c->own.service);
    return NULL;
}

static void test_worker_serve_once__adopted_connection__served_until_closed(void **state)
{
    REQ("design 2");
    const struct helper *running = *state;
    struct child child = {.own = *running};
    struct helper asking = {0};
    pthread_t thread;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    child.fd = ends[1];
    child.own.service.ctx = &child.own;
    assert_int_equal(pthread_create(&thread, NULL, serve_child, &child), 0);
    assert_int_equal(worker_pool_adopt("child", ends[0], &asking.pool, NULL), ESIGN_OK);
    assert_int_equal(helper_ask(&asking, HELPER_PID, HELPER_WAIT_MS, NULL), ESIGN_OK);
    assert_int_equal(helper_ask(&asking, HELPER_REFUSE, HELPER_WAIT_MS, NULL), ESIGN_E_CONFLICT);
    worker_pool_free(asking.pool);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(child.exit_code, WORKER_EXIT_DONE);
    assert_int_equal(close(child.fd), 0);
}

static void test_worker_call__worker_replaced__its_successor_gets_connections(void **state)
{
    REQ("design 2");
    struct helper *h = *state;
    unsigned starts = atomic_load(&h->page->starts);
    bool shared = false;

    (void)sleep_twice(h);
    atomic_store(&h->page->start_fails, 4); /* until one starts, the survivor gets all */
    assert_int_equal(kill(helper_pid(h), SIGKILL), 0);
    (void)sleep_twice(h);
    helper_wait_for(&h->page->starts, starts + 5);
    for (int i = 0; i < 5 && !shared; i++)
        shared = sleep_twice(h) < 2 * HELPER_SLEEP_MS;
    assert_true(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_ping__helper_runs_or_not__told),
        cmocka_unit_test(test_worker_call__echo__same_bytes),
        cmocka_unit_test(test_worker_call__error__passed_on_unchanged),
        cmocka_unit_test(test_worker_call__descriptor__arrives),
        cmocka_unit_test(test_worker_call__answer_over_limits__too_large),
        cmocka_unit_test(test_worker_call__no_helper__reason_worker),
        cmocka_unit_test(test_worker_call__deadline_over__not_sent),
        cmocka_unit_test(test_worker_call__unread_when_worker_dies__sent_again),
        cmocka_unit_test(test_worker_call__more_threads_than_lanes__each_gets_its_own),
        cmocka_unit_test(test_worker_call__two_at_once__both_workers_busy),
        cmocka_unit_test(test_worker_call__worker_replaced__its_successor_gets_connections),
        cmocka_unit_test(test_worker_serve_once__adopted_connection__served_until_closed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
