#include "req.h"

#include "base/clock.h"
#include "base/turns.h"

#include <stdatomic.h>

enum { RACERS = 8, ROUNDS = 200, WAIT_MS = 20000 };

static int64_t in_ms(int64_t ms)
{
    return clock_mono_ms(clock_system()) + ms;
}

static void test_turn_take__held_by_another__deadline_and_free_afterwards(void **state)
{
    (void)state;
    REQ("design 3");
    struct turns turns;
    struct turn first = {0}, second = {0}, other = {0};
    struct fault f = {0};

    turns_init(&turns);
    assert_int_equal(turn_take(&turns, "a", in_ms(WAIT_MS), &first, &f), ESIGN_OK);
    assert_int_equal(turn_take(&turns, "b", in_ms(WAIT_MS), &other, &f), ESIGN_OK);
    assert_int_equal(turn_take(&turns, "a", in_ms(20), &second, &f), ESIGN_E_DEADLINE);
    turn_end(&second); /* was never held */
    assert_int_equal(turn_take(&turns, "a", in_ms(20), &second, &f), ESIGN_E_DEADLINE);
    turn_end(&first);
    turn_end(&first); /* once more does nothing */
    assert_int_equal(turn_take(&turns, "a", in_ms(0), &second, &f), ESIGN_OK);
    turn_end(&second);
    turn_end(&other);
    assert_null(turns.held);
    turns_done(&turns);
}

struct race {
    struct turns turns;
    atomic_uint inside, failed;
    unsigned count; /* guarded by the turn alone */
};

static void *racer(void *ctx)
{
    struct race *race = ctx;

    for (int i = 0; i < ROUNDS; i++) {
        struct turn turn = {0};
        struct fault f = {0};
        if (turn_take(&race->turns, "one", in_ms(WAIT_MS), &turn, &f) != ESIGN_OK ||
            atomic_fetch_add(&race->inside, 1) != 0)
            atomic_fetch_add(&race->failed, 1);
        race->count++;
        atomic_fetch_sub(&race->inside, 1);
        turn_end(&turn);
    }
    return NULL;
}

static void test_turn_take__many_at_once__one_inside_and_none_forgotten(void **state)
{
    (void)state;
    REQ("design 3");
    struct race race = {0};
    pthread_t threads[RACERS];

    turns_init(&race.turns);
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, racer, &race), 0);
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&race.failed), 0);
    assert_int_equal(race.count, RACERS * ROUNDS);
    turns_done(&race.turns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn_take__held_by_another__deadline_and_free_afterwards),
        cmocka_unit_test(test_turn_take__many_at_once__one_inside_and_none_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
