/* kill -9 of a process that commits: what it has acknowledged is there. */
#include "store_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 10, THREADS = 3 };

struct committer {
    struct fixture *x;
    int out;
    int number;
};

/* Commit for ever; tell each sequence after it was acknowledged. */
static void *commit_main(void *arg)
{
    const struct committer *c = arg;
    for (int i = 0;; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "%d-%d-%d", (int)getpid(), c->number, i);
        struct fixture mine = *c->x; /* the fault is not shared */
        struct store_receipt receipt;
        if (fixture_commit(&mine, "item", id, "x", -1, &receipt) != ESIGN_OK ||
            write(c->out, &receipt.seq, sizeof receipt.seq) != sizeof receipt.seq)
            _exit(1);
    }
}

static void commit_until_killed(struct fixture *x, int out)
{
    if (store_open(x->path, &x->clock, &x->store, &x->fault))
        _exit(1);
    struct committer c[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        c[i] = (struct committer){x, out, i};
        if (pthread_create(&threads[i], NULL, commit_main, &c[i]))
            _exit(1);
    }
    (void)pthread_join(threads[0], NULL);
}

/* Kill a committing child after `count` acknowledgements.  The highest sequence that it told. */
static int64_t kill_round(struct fixture *x, int count)
{
    int ends[2];
    int64_t highest = -1;
    int64_t seq;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        commit_until_killed(x, ends[1]);
        _exit(1);
    }
    (void)close(ends[1]);
    int told = 0;
    while (read(ends[0], &seq, sizeof seq) == sizeof seq) {
        if (seq > highest)
            highest = seq;
        if (++told == count)
            assert_int_equal(kill(child, SIGKILL), 0);
    }
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_true(told >= count);
    return highest;
}

static void test_store_commit__process_killed__no_acknowledged_entry_lost(void **state)
{
    REQ("11.10(e)", "design 3", "design 7");
    struct fixture *x = *state;
    for (int round = 0; round < ROUNDS; round++) {
        fixture_close(x);
        int64_t highest = kill_round(x, 20 + 17 * round);
        fixture_open(x);
        assert_true(store_size(x->store) > highest);
        int64_t bad_seq = 0;
        assert_int_equal(store_check(x->store, &bad_seq, &x->fault), ESIGN_OK);
        assert_int_equal(bad_seq, -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_store_commit__process_killed__no_acknowledged_entry_lost, fixture_setup,
            fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
