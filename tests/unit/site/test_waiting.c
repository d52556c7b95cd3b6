/* What waits for an answer: bounded, taken by one, ended at its time. */
#include "site/waiting.h"

#include "req.h"

#include <stdio.h>

static bool fits_any(const void *what, void *ctx)
{
    (void)what;
    (void)ctx;
    return true;
}

static bool fits_none(const void *what, void *ctx)
{
    (void)what;
    (void)ctx;
    return false;
}

static void test_waiting_reserve__bounds__busy_until_room_is_given_back(void **state)
{
    REQ("design 3");
    struct waiting *w = waiting_new();
    struct fault f;
    char id[16], owner[16];

    (void)state;
    for (int i = 0; i < WAITING_OWNER_MAX; i++) {
        (void)snprintf(id, sizeof(id), "T-%d", i);
        assert_int_equal(waiting_reserve(w, id, "S-1", &f), ESIGN_OK);
    }
    assert_int_equal(waiting_reserve(w, "T-0", "S-2", &f), ESIGN_E_CONFLICT);
    assert_int_equal(waiting_reserve(w, "T-more", "S-1", &f), ESIGN_E_BUSY);
    waiting_release(w, "T-0");
    assert_int_equal(waiting_reserve(w, "T-more", "S-1", &f), ESIGN_OK);
    for (int i = WAITING_OWNER_MAX; i < WAITING_MAX; i++) {
        (void)snprintf(id, sizeof(id), "T-%d", i);
        (void)snprintf(owner, sizeof(owner), "S-%d", i);
        assert_int_equal(waiting_reserve(w, id, owner, &f), ESIGN_OK);
    }
    assert_int_equal(waiting_reserve(w, "T-last", "S-last", &f), ESIGN_E_BUSY);
    waiting_free(w);
}

static void test_waiting_take__one_takes_it_and_only_what_fits(void **state)
{
    REQ("design 3", "A7");
    struct waiting *w = waiting_new();
    int what = 0;
    bool there = false;

    (void)state;
    assert_int_equal(waiting_reserve(w, "T-1", "S-1", NULL), ESIGN_OK);
    assert_null(waiting_take(w, "T-1", fits_any, NULL, &there)); /* room only */
    assert_false(there);
    waiting_put(w, "T-1", &what, 1000);
    waiting_release(w, "T-1"); /* it is in use: nothing happens */
    assert_null(waiting_take(w, "T-1", fits_none, NULL, &there));
    assert_true(there);
    assert_ptr_equal(waiting_take(w, "T-1", fits_any, NULL, &there), &what);
    assert_null(waiting_take(w, "T-1", fits_any, NULL, &there));
    assert_false(there);
    waiting_free(w);
}

static void test_waiting_take_due__at_its_time_or_all(void **state)
{
    REQ("design 3");
    struct waiting *w = waiting_new();
    int first = 0, second = 0;

    (void)state;
    assert_int_equal(waiting_reserve(w, "T-1", "S-1", NULL), ESIGN_OK);
    assert_int_equal(waiting_reserve(w, "T-2", "S-1", NULL), ESIGN_OK);
    waiting_put(w, "T-1", &first, 2000);
    waiting_put(w, "T-2", &second, 1000);
    assert_null(waiting_take_due(w, 999));
    assert_ptr_equal(waiting_take_due(w, 1000), &second);
    assert_null(waiting_take_due(w, 1000));
    assert_ptr_equal(waiting_take_due(w, INT64_MAX), &first);
    waiting_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_reserve__bounds__busy_until_room_is_given_back),
        cmocka_unit_test(test_waiting_take__one_takes_it_and_only_what_fits),
        cmocka_unit_test(test_waiting_take_due__at_its_time_or_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
