#include "req.h"

#include <string.h>

#include "site/watch.h"

enum { DAY_MS = 24 * 60 * 60 * 1000 };

/* A service without fault. */
static struct watch good(void)
{
    return (struct watch){
        .initialised = true,
        .clock = {.required = true, .synchronised = true, .error_ms = 5, .max_error_ms = 1000},
        .answers = {{.name = "token-a", .answers = true},
                    {.name = "hash", .answers = true},
                    {.name = "document", .answers = true}},
        .token_count = 1,
        .answer_count = 3,
        .audit = {.size = 10, .checkpoint_size = 9, .checkpoint_after_ms = 300000},
        .free_bytes = 1024LL * 1024 * 1024,
        .ca = {true, 400LL * DAY_MS},
        .signer = {true, 40LL * DAY_MS},
        .password = {true, 20LL * DAY_MS},
    };
}

/* The state of the named check; fails if there is none. */
static enum health_state state_of(const struct watch *w, const char *name, bool *ret_ready)
{
    struct health health;

    health_judge(w, &health);
    *ret_ready = health.ready;
    for (size_t i = 0; i < health.count; i++)
        if (strcmp(health.checks[i].name, name) == 0)
            return health.checks[i].state;
    fail_msg("no check %s", name);
    return HEALTH_FAIL;
}

static void assert_check(const struct watch *w, const char *name, enum health_state expected)
{
    bool ready;

    assert_int_equal(state_of(w, name, &ready), expected);
    assert_int_equal(ready, expected != HEALTH_FAIL);
}

static void test_health_judge__nothing_wrong__all_ok(void **state)
{
    REQ("requirements 2.4");
    const struct watch w = good();
    struct health health;

    (void)state;
    health_judge(&w, &health);
    assert_true(health.ready);
    assert_int_equal(health.count, 12);
    for (size_t i = 0; i < health.count; i++)
        assert_string_equal(health_state_name(health.checks[i].state), "ok");
}

static void test_health_judge__not_initialised_or_no_answer__fail(void **state)
{
    REQ("requirements 2.4");
    struct watch w = good();

    (void)state;
    w.initialised = false;
    assert_check(&w, "site", HEALTH_FAIL);
    w = good();
    w.answers[1].answers = false;
    assert_check(&w, "hash", HEALTH_FAIL);
}

static void test_health_judge__clock__fails_only_where_it_is_required(void **state)
{
    REQ("requirements 2.4", "21 CFR 11.50(a)(2)");
    struct watch w = good();

    (void)state;
    w.clock.synchronised = false;
    assert_check(&w, "clock", HEALTH_FAIL);
    w.clock.required = false;
    assert_check(&w, "clock", HEALTH_WARN);
    w = good();
    w.clock.error_ms = 1001;
    assert_check(&w, "clock", HEALTH_FAIL);
    w.clock.error_ms = -1;
    assert_check(&w, "clock", HEALTH_FAIL);
    w.clock.error_ms = 1000;
    assert_check(&w, "clock", HEALTH_OK);
}

static void test_health_judge__disk__warn_then_fail(void **state)
{
    REQ("requirements 2.4");
    struct watch w = good();

    (void)state;
    w.free_bytes = HEALTH_FREE_WARN;
    assert_check(&w, "disk", HEALTH_OK);
    w.free_bytes = HEALTH_FREE_WARN - 1;
    assert_check(&w, "disk", HEALTH_WARN);
    w.free_bytes = HEALTH_FREE_FAIL - 1;
    assert_check(&w, "disk", HEALTH_FAIL);
    w.free_bytes = -1;
    assert_check(&w, "disk", HEALTH_WARN);
}

static void test_health_judge__audit__late_warns_stuck_or_broken_fails(void **state)
{
    REQ("requirements 2.4");
    struct watch w = good();

    (void)state;
    w.audit.uncovered_ms = 600000;
    assert_check(&w, "audit", HEALTH_OK);
    w.audit.uncovered_ms = 600001;
    assert_check(&w, "audit", HEALTH_WARN);
    w = good();
    w.audit.writer_busy_ms = HEALTH_WRITER_FAIL_MS + 1;
    assert_check(&w, "audit", HEALTH_FAIL);
    w = good();
    (void)snprintf(w.audit.detail, sizeof(w.audit.detail), "broken");
    assert_check(&w, "audit", HEALTH_FAIL);
}

static void test_health_judge__certificates__warn_before_the_end(void **state)
{
    REQ("requirements 2.4");
    struct watch w = good();

    (void)state;
    w.ca.left_ms = w.signer.left_ms = (int64_t)HEALTH_EXPIRY_WARN_DAYS * DAY_MS - 1;
    assert_check(&w, "certificate-ca", HEALTH_WARN);
    assert_check(&w, "certificate-signer", HEALTH_WARN);
    w.signer.left_ms = -1;
    assert_check(&w, "certificate-signer", HEALTH_WARN);
    w.ca.left_ms = 0;
    assert_check(&w, "certificate-ca", HEALTH_FAIL);
}

static void test_health_judge__start_after_a_crash__warns_for_a_day(void **state)
{
    REQ("2.4");
    struct watch w = good();

    (void)state;
    w.start = (struct site_start){.stop = SITE_STOP_UNCLEAN, .intents = 2};
    w.running_ms = DAY_MS - 1;
    assert_check(&w, "start", HEALTH_WARN);
    w.running_ms = DAY_MS;
    assert_check(&w, "start", HEALTH_OK);
    w.start.stop = SITE_STOP_CLEAN;
    w.running_ms = 0;
    assert_check(&w, "start", HEALTH_OK);
}

static void test_health_judge__a_password_ends__warns_a_week_before(void **state)
{
    REQ("2.4", "11.300(b)");
    struct watch w = good();

    (void)state;
    w.password.left_ms = 7LL * DAY_MS;
    w.passwords_ended = 3;
    assert_check(&w, "password", HEALTH_OK);
    w.password.left_ms = 7LL * DAY_MS - 1;
    assert_check(&w, "password", HEALTH_WARN);
}

static void test_health_judge__full_or_broken_disk__fails(void **state)
{
    REQ("2.4", "design 7");
    struct watch w = good();

    (void)state;
    w.audit.state = STORE_FULL;
    assert_check(&w, "audit", HEALTH_FAIL);
    w.audit.state = STORE_BROKEN;
    assert_check(&w, "audit", HEALTH_FAIL);
}

static void test_health_judge__refused_configuration__warns(void **state)
{
    REQ("2.4");
    struct watch w = good();

    (void)state;
    w.config = (struct loaded){.refused = true, .detail = "line 3"};
    assert_check(&w, "configuration", HEALTH_WARN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_judge__nothing_wrong__all_ok),
        cmocka_unit_test(test_health_judge__start_after_a_crash__warns_for_a_day),
        cmocka_unit_test(test_health_judge__refused_configuration__warns),
        cmocka_unit_test(test_health_judge__full_or_broken_disk__fails),
        cmocka_unit_test(test_health_judge__a_password_ends__warns_a_week_before),
        cmocka_unit_test(test_health_judge__not_initialised_or_no_answer__fail),
        cmocka_unit_test(test_health_judge__clock__fails_only_where_it_is_required),
        cmocka_unit_test(test_health_judge__disk__warn_then_fail),
        cmocka_unit_test(test_health_judge__audit__late_warns_stuck_or_broken_fails),
        cmocka_unit_test(test_health_judge__certificates__warn_before_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
