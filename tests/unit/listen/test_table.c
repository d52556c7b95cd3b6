#include "req.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "listen/table.h"

static const struct api_peer lims = {.kind = API_PEER_APPLICATION, .id = "lims", .uid = 7};
static const struct api_peer mes = {.kind = API_PEER_APPLICATION, .id = "mes", .uid = 7};
static const struct api_peer anna = {.kind = API_PEER_TERMINAL, .id = "desk", .uid = 8};
static const struct api_peer bert = {.kind = API_PEER_TERMINAL, .id = "desk", .uid = 9};
static const struct api_peer root = {.kind = API_PEER_ROOT, .id = "root"};

static struct table *table_of(unsigned max, unsigned kept, unsigned per_caller)
{
    const struct table_limits limits = {max, kept, per_caller};
    struct table *t = NULL;
    struct fault f = {0};

    assert_int_equal(table_new(&limits, &t, &f), ESIGN_OK);
    return t;
}

static void test_table_add__limits__some_are_kept_for_terminals(void **state)
{
    (void)state;
    REQ("design 2");
    struct table *t = table_of(4, 2, 0);

    assert_non_null(table_add(t, 100, &lims));
    assert_non_null(table_add(t, 101, &lims));
    assert_null(table_add(t, 102, &lims));
    assert_null(table_add(t, 102, &mes));
    assert_non_null(table_add(t, 102, &anna));
    struct table_row *last = table_add(t, 103, &root);
    assert_non_null(last);
    assert_null(table_add(t, 104, &anna));
    table_remove(t, last);
    assert_non_null(table_add(t, 104, &anna));
    assert_int_equal(table_count(t), 4);
    assert_null(table_add(t, 105, &anna));
    assert_non_null(table_add(t, 105, &root)); /* the service's look at itself finds room */
    assert_null(table_add(t, 106, &root));
    table_free(t);
}

static void test_table_add__per_caller__application_by_id_person_by_user(void **state)
{
    (void)state;
    REQ("design 2");
    struct table *t = table_of(10, 0, 2);

    assert_non_null(table_add(t, 100, &lims));
    assert_non_null(table_add(t, 101, &lims));
    assert_null(table_add(t, 102, &lims));
    assert_non_null(table_add(t, 102, &mes));
    assert_non_null(table_add(t, 103, &anna));
    assert_non_null(table_add(t, 104, &anna));
    assert_null(table_add(t, 105, &anna));
    assert_non_null(table_add(t, 105, &bert));
    assert_non_null(table_add(t, 106, &root));
    assert_non_null(table_add(t, 107, &root));
    assert_non_null(table_add(t, 108, &root));
    table_free(t);
}

static void test_table_add__descriptor_given_out_again__stale_row_goes(void **state)
{
    (void)state;
    REQ("design 2");
    struct table *t = table_of(2, 0, 0);

    assert_non_null(table_add(t, 100, &lims));
    assert_non_null(table_add(t, 100, &mes));
    assert_int_equal(table_count(t), 1);
    assert_string_equal(table_find(t, 100)->peer.id, "mes");
    assert_null(table_find(t, 101));
    table_free(t);
}

static bool is_shut(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_table_cut__phases__only_the_late_and_never_a_handler(void **state)
{
    (void)state;
    REQ("design 2");
    struct table *t = table_of(4, 0, 0);
    struct table_row *rows[4];
    int fds[4][2];

    for (int i = 0; i < 4; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]), 0);
        rows[i] = table_add(t, fds[i][0], &lims);
    }
    assert_int_equal(table_cut(t, INT64_MAX), 0); /* handed over: not ours to touch */
    assert_true(table_enter(t, rows[0], TABLE_IDLE, 100));
    assert_true(table_enter(t, rows[1], TABLE_RECEIVING, 200));
    assert_true(table_enter(t, rows[2], TABLE_HANDLING, 0));
    assert_true(table_enter(t, rows[3], TABLE_REPLYING, 300));
    assert_int_equal(table_cut(t, 99), 0);
    assert_int_equal(table_cut(t, 100), 1);
    assert_int_equal(table_cut(t, 100), 0);
    assert_true(is_shut(fds[0][1]));
    assert_false(is_shut(fds[1][1]));
    assert_int_equal(table_cut(t, 1000), 2);
    assert_true(is_shut(fds[1][1]));
    assert_false(is_shut(fds[2][1]));
    assert_false(table_enter(t, rows[1], TABLE_HANDLING, 0));
    assert_true(table_enter(t, rows[2], TABLE_REPLYING, 2000));
    table_cut_all(t);
    assert_true(is_shut(fds[2][1]));
    for (int i = 0; i < 4; i++) {
        close(fds[i][0]);
        close(fds[i][1]);
    }
    table_free(t);
}

static void test_table_drain__idle_cut__busy_waited_for(void **state)
{
    (void)state;
    REQ("design 2");
    struct table *t = table_of(4, 0, 0);
    int idle[2], busy[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, idle), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, busy), 0);
    struct table_row *idle_row = table_add(t, idle[0], &lims);
    struct table_row *busy_row = table_add(t, busy[0], &lims);
    assert_true(table_enter(t, idle_row, TABLE_IDLE, 1000));
    assert_true(table_enter(t, busy_row, TABLE_RECEIVING, 1000));
    table_drain(t);
    assert_int_equal(table_cut(t, 1), 0); /* not counted: it was not late */
    assert_true(is_shut(idle[1]));
    assert_false(is_shut(busy[1]));
    assert_null(table_add(t, 1000, &root));
    assert_false(table_wait_empty(t, 0));
    table_remove(t, idle_row);
    table_remove(t, busy_row);
    assert_true(table_wait_empty(t, 0));
    for (int i = 0; i < 2; i++) {
        close(idle[i]);
        close(busy[i]);
    }
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_add__limits__some_are_kept_for_terminals),
        cmocka_unit_test(test_table_add__per_caller__application_by_id_person_by_user),
        cmocka_unit_test(test_table_add__descriptor_given_out_again__stale_row_goes),
        cmocka_unit_test(test_table_cut__phases__only_the_late_and_never_a_handler),
        cmocka_unit_test(test_table_drain__idle_cut__busy_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
