#include "req.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "site/counters.h"

static void note(struct counters *c, const char *action)
{
    CLEANUP(json_decref_p) json_t *entry = json_pack("{s:s}", "action", action);

    counters_note(c, entry);
}

static void test_counters_note__each_action__its_counter(void **state)
{
    REQ("requirements 2.4");
    static const struct {
        const char *action;
        uint64_t expected[COUNTER_COUNT]; /* signed, aborted, refused, failed, locked */
    } cases[] = {
        {"signature.outcome", {1, 0, 0, 0, 0}}, {"signature.aborted", {0, 1, 0, 0, 0}},
        {"signature.refused", {0, 0, 1, 0, 0}}, {"attempt.failed", {0, 0, 0, 1, 0}},
        {"signer.lock", {0, 0, 0, 1, 1}},       {"signature.intent", {0, 0, 0, 0, 0}},
        {"signature", {0, 0, 0, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct counters c = {0};
        note(&c, cases[i].action);
        for (enum counter which = 0; which < COUNTER_COUNT; which++)
            assert_int_equal(counters_get(&c, which), cases[i].expected[which]);
    }
}

static void test_counters_note__no_action__nothing(void **state)
{
    REQ("requirements 2.4");
    struct counters c = {0};
    CLEANUP(json_decref_p) json_t *entry = json_object();

    (void)state;
    counters_note(&c, entry);
    for (enum counter which = 0; which < COUNTER_COUNT; which++)
        assert_int_equal(counters_get(&c, which), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_note__each_action__its_counter),
        cmocka_unit_test(test_counters_note__no_action__nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
