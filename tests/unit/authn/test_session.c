/* The sessions of requirements 3.4, by a clock of the test's own. */
#include "authn/session.h"

#include <stdio.h>

#include "req.h"

enum { MINUTE = 60 * 1000, IDLE = 5 * MINUTE, ABSOLUTE = 480 * MINUTE, ABSENT = 30 * 1000 };

/* Clock, presence and what the listener was told. */
struct world {
    struct clock clock;
    int64_t now_ms;
    bool present;
    enum session_end told;
    int64_t told_signings, told_by;
    bool deaf; /* can't be told now */
    struct authn_sessions *sessions;
};

static int64_t world_ms(void *ctx)
{
    const struct world *w = ctx;

    return w->now_ms;
}

static bool world_ended(void *ctx, const struct session_ended *ended)
{
    struct world *w = ctx;

    if (w->deaf)
        return false;
    w->told = ended->end;
    w->told_signings = ended->signings;
    w->told_by = ended->by ? ended->by->uid : -1;
    return true;
}

static bool world_present(void *ctx, const struct session_place *place)
{
    const struct world *w = ctx;

    (void)place;
    return w->present;
}

static int world_setup(void **state)
{
    static struct world w;
    struct fault f = {0};

    assert_int_equal(secret_start(&f), ESIGN_OK);
    w = (struct world){.clock = {world_ms, world_ms, &w}, .now_ms = 1000, .present = true};
    w.sessions =
        authn_sessions_new(&w.clock, &(struct session_listener){world_ended, world_present, &w});
    assert_non_null(w.sessions);
    *state = &w;
    return 0;
}

static int world_teardown(void **state)
{
    struct world *w = *state;

    authn_sessions_free(w->sessions);
    return 0;
}

static const struct session_place place_one = {NULL, "t1", 1000};
static const struct session_place place_two = {NULL, "t2", 1000};

static void opened(struct world *w, const char *signer_id, const struct session_place *place,
                   char handle[SESSION_HANDLE_LEN + 1])
{
    struct session_lease lease = {0};
    struct fault f = {0};
    const struct session_opening o = {.signer_id = signer_id,
                                      .user_id = "user",
                                      .place = *place,
                                      .limits = {IDLE, ABSOLUTE, ABSENT},
                                      .generations = {1, 2, 3}};

    w->told = SESSION_END_NONE;
    assert_int_equal(authn_session_open(w->sessions, &o, handle, &lease, &f), ESIGN_OK);
    assert_string_not_equal(handle, lease.hash);
    authn_session_give(w->sessions, &lease, true, false);
}

/* One use of the session that proves a component and signs. */
static enum esign_rc used(struct world *w, const char *handle, const struct session_place *place,
                          bool active, struct fault *f)
{
    struct session_lease lease = {0};
    enum esign_rc rc = authn_session_take(w->sessions, handle, place, w->now_ms, &lease, f);

    if (rc == ESIGN_OK)
        authn_session_give(w->sessions, &lease, active, active);
    return rc;
}

static void test_authn_session_take__idle_limit__one_second_before_and_after(void **state)
{
    REQ("S9", "3.4");
    struct world *w = *state;
    char handle[SESSION_HANDLE_LEN + 1];
    struct fault f = {0};

    opened(w, "s1", &place_one, handle);
    w->now_ms += IDLE - 1000;
    assert_int_equal(used(w, handle, &place_one, true, &f), ESIGN_OK);
    w->now_ms += IDLE + 1000;
    assert_int_equal(used(w, handle, &place_one, true, &f), ESIGN_E_COMPONENTS_REQUIRED);
    assert_string_equal(f.reason, "expired");
    assert_int_equal(w->told, SESSION_END_IDLE);
    assert_int_equal(w->told_signings, 1);
}

static void test_authn_session_take__nothing_proved__idle_time_goes_on(void **state)
{
    REQ("3.4");
    struct world *w = *state;
    char handle[SESSION_HANDLE_LEN + 1];
    struct fault f = {0};

    opened(w, "s1", &place_one, handle);
    w->now_ms += IDLE - 1000;
    assert_int_equal(used(w, handle, &place_one, false, &f), ESIGN_OK);
    w->now_ms += 1000;
    assert_int_equal(used(w, handle, &place_one, true, &f), ESIGN_E_COMPONENTS_REQUIRED);
}

static void test_authn_session_take__absolute_limit__however_active(void **state)
{
    REQ("3.4");
    struct world *w = *state;
    char handle[SESSION_HANDLE_LEN + 1];
    struct fault f = {0};
    int64_t end_ms = w->now_ms + ABSOLUTE;

    opened(w, "s1", &place_one, handle);
    for (; w->now_ms < end_ms; w->now_ms += MINUTE)
        assert_int_equal(used(w, handle, &place_one, true, &f), ESIGN_OK);
    assert_int_equal(used(w, handle, &place_one, true, &f), ESIGN_E_COMPONENTS_REQUIRED);
    assert_int_equal(w->told, SESSION_END_ABSOLUTE);
}

static void test_authn_sessions_tick__peer_gone__resumed_in_time_or_ended(void **state)
{
    REQ("3.4");
    struct world *w = *state;
    char handle[SESSION_HANDLE_LEN + 1];
    struct fault f = {0};

    opened(w, "s1", &place_one, handle);
    w->present = false;
    authn_sessions_tick(w->sessions);
    w->now_ms += ABSENT - 1000;
    authn_sessions_tick(w->sessions);
    w->present = true;
    authn_sessions_tick(w->sessions);
    assert_int_equal(used(w, handle, &place_one, true, &f), ESIGN_OK);
    w->present = false;
    authn_sessions_tick(w->sessions);
    w->now_ms += ABSENT;
    authn_sessions_tick(w->sessions);
    assert_int_equal(w->told, SESSION_END_ABSENT);
    assert_int_equal(authn_sessions_count(w->sessions), 0);
}

static void test_authn_session_take__other_place__ended_for_all(void **state)
{
    REQ("S10");
    struct world *w = *state;
    char handle[SESSION_HANDLE_LEN + 1];
    struct fault f = {0};

    opened(w, "s1", &place_one, handle);
    assert_int_equal(used(w, handle, &place_two, true, &f), ESIGN_E_SESSION);
    assert_string_equal(f.reason, "peer");
    assert_int_equal(w->told, SESSION_END_PEER);
    assert_int_equal(used(w, handle, &place_one, true, &f), ESIGN_E_COMPONENTS_REQUIRED);
    assert_string_equal(f.reason, "noncontinuous");
}

static void test_authn_session_open__same_place__the_first_ends(void **state)
{
    REQ("3.4");
    struct world *w = *state;
    char first[SESSION_HANDLE_LEN + 1], other[SESSION_HANDLE_LEN + 1];
    struct fault f = {0};
    const struct session_place anywhere = {"mes", NULL, 1001};

    opened(w, "s1", &place_one, first);
    opened(w, "s2", &place_two, other); /* another terminal */
    assert_int_equal(used(w, first, &place_one, true, &f), ESIGN_OK);
    opened(w, "s2", &place_one, other);
    assert_int_equal(used(w, first, &place_one, true, &f), ESIGN_E_COMPONENTS_REQUIRED);
    opened(w, "s3", &anywhere, first); /* an application that names no terminal */
    opened(w, "s4", &anywhere, other);
    assert_int_equal(used(w, first, &anywhere, true, &f), ESIGN_OK);
}

static void test_authn_session_still__a_row_moved__ended_with_its_cause(void **state)
{
    REQ("S13", "3.4");
    struct world *w = *state;
    static const struct {
        struct session_generations now;
        enum session_end end;
    } rows[] = {{{9, 2, 3}, SESSION_END_SIGNER},
                {{1, 9, 3}, SESSION_END_CREDENTIAL},
                {{1, 2, 9}, SESSION_END_POLICY}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char handle[SESSION_HANDLE_LEN + 1];
        struct session_lease lease = {0};
        struct fault f = {0};
        opened(w, "s1", &place_one, handle);
        assert_int_equal(authn_session_take(w->sessions, handle, &place_one, w->now_ms, &lease, &f),
                         ESIGN_OK);
        assert_int_equal(
            authn_session_still(w->sessions, &lease, &(struct session_generations){1, 2, 3}, &f),
            ESIGN_OK);
        assert_int_equal(authn_session_still(w->sessions, &lease, &rows[i].now, &f),
                         ESIGN_E_COMPONENTS_REQUIRED);
        assert_int_equal(w->told, rows[i].end);
        assert_null(lease.session);
    }
}

static void test_authn_sessions_moved__one_signer__others_go_on(void **state)
{
    REQ("3.4");
    struct world *w = *state;
    char first[SESSION_HANDLE_LEN + 1], other[SESSION_HANDLE_LEN + 1];
    struct fault f = {0};

    opened(w, "s1", &place_one, first);
    opened(w, "s2", &place_two, other);
    authn_sessions_moved(w->sessions, "s1", SESSION_END_SIGNER);
    assert_int_equal(w->told, SESSION_END_NONE);
    assert_int_equal(used(w, first, &place_one, true, &f), ESIGN_E_COMPONENTS_REQUIRED);
    assert_int_equal(w->told, SESSION_END_SIGNER);
    assert_int_equal(used(w, other, &place_two, true, &f), ESIGN_OK);
    authn_sessions_moved(w->sessions, NULL, SESSION_END_POLICY);
    authn_sessions_tick(w->sessions);
    assert_int_equal(w->told, SESSION_END_POLICY);
}

static void test_authn_session_take__in_use__waits_until_the_deadline(void **state)
{
    REQ("S14");
    struct world *w = *state;
    char handle[SESSION_HANDLE_LEN + 1];
    struct session_lease lease = {0}, second = {0};
    struct fault f = {0};

    opened(w, "s1", &place_one, handle);
    assert_int_equal(authn_session_take(w->sessions, handle, &place_one, 1, &lease, &f), ESIGN_OK);
    assert_int_equal(authn_session_take(w->sessions, handle, &place_one, 1, &second, &f),
                     ESIGN_E_DEADLINE);
    authn_session_give(w->sessions, &lease, true, true);
    assert_int_equal(authn_session_take(w->sessions, handle, &place_one, 1, &second, &f), ESIGN_OK);
    assert_int_equal(second.ordinal, 2);
    authn_session_give(w->sessions, &second, true, false); /* not signed: the ordinal is free */
    assert_int_equal(authn_session_take(w->sessions, handle, &place_one, 1, &second, &f), ESIGN_OK);
    assert_int_equal(second.ordinal, 2);
    authn_session_end(w->sessions, &second, SESSION_END_CLOSED);
    assert_int_equal(w->told, SESSION_END_CLOSED);
}

static void test_authn_session_matches__remembered_password_only(void **state)
{
    REQ("S5", "11.200(a)(1)(i)");
    struct world *w = *state;
    char handle[SESSION_HANDLE_LEN + 1];
    struct session_lease lease = {0};
    struct fault f = {0};
    struct secret *right = secret_new(bytes_of_str("right password"));
    struct secret *wrong = secret_new(bytes_of_str("wrong password"));

    opened(w, "s1", &place_one, handle);
    assert_int_equal(authn_session_take(w->sessions, handle, &place_one, w->now_ms, &lease, &f),
                     ESIGN_OK);
    assert_false(authn_session_remembers(&lease));
    assert_false(authn_session_matches(&lease, right));
    authn_session_remember(w->sessions, &lease, right);
    assert_true(authn_session_matches(&lease, right));
    assert_false(authn_session_matches(&lease, wrong));
    authn_session_give(w->sessions, &lease, true, true);
    secret_free(right);
    secret_free(wrong);
}

static void test_authn_session_open__many_of_one_signer__the_oldest_ends(void **state)
{
    REQ("3.4");
    struct world *w = *state;
    char handles[SESSION_SIGNER_MAX + 1][SESSION_HANDLE_LEN + 1];
    struct fault f = {0};
    const struct session_place place = {"mes", NULL, 1};

    for (size_t i = 0; i <= SESSION_SIGNER_MAX; i++)
        opened(w, "s1", &place, handles[i]);
    assert_int_equal(w->told, SESSION_END_OTHER);
    assert_int_equal(authn_sessions_count(w->sessions), SESSION_SIGNER_MAX);
    assert_int_equal(used(w, handles[0], &place, true, &f), ESIGN_E_COMPONENTS_REQUIRED);
    assert_int_equal(used(w, handles[1], &place, true, &f), ESIGN_OK);
}

static void test_authn_session_close__in_use__over_when_given_back(void **state)
{
    REQ("3.4", "S10");
    struct world *w = *state;
    char handle[SESSION_HANDLE_LEN + 1];
    struct session_lease lease = {0};
    struct fault f = {0};

    opened(w, "s1", &place_one, handle);
    assert_int_equal(authn_session_take(w->sessions, handle, &place_one, 1, &lease, &f), ESIGN_OK);
    assert_int_equal(authn_session_close(w->sessions, handle, &place_one, &f), ESIGN_OK);
    assert_int_equal(used(w, handle, &place_one, true, &f), ESIGN_E_COMPONENTS_REQUIRED);
    authn_session_give(w->sessions, &lease, true, true);
    authn_sessions_tick(w->sessions);
    assert_int_equal(w->told, SESSION_END_CLOSED);
    assert_int_equal(w->told_signings, 1);
    opened(w, "s1", &place_one, handle);
    assert_int_equal(authn_session_take(w->sessions, handle, &place_one, 1, &lease, &f), ESIGN_OK);
    assert_int_equal(used(w, handle, &place_two, true, &f), ESIGN_E_SESSION);
    authn_session_give(w->sessions, &lease, true, true);
    assert_int_equal(used(w, handle, &place_one, true, &f), ESIGN_E_SESSION);
    assert_int_equal(w->told, SESSION_END_PEER);
    assert_int_equal(w->told_by, place_two.uid);
    assert_int_equal(authn_session_close(w->sessions, handle, &place_one, &f),
                     ESIGN_E_COMPONENTS_REQUIRED);
}

static void test_authn_session_take__end_that_cannot_be_told__told_later(void **state)
{
    REQ("11.10(e)", "3.4");
    struct world *w = *state;
    char handle[SESSION_HANDLE_LEN + 1];
    struct fault f = {0};

    opened(w, "s1", &place_one, handle);
    w->deaf = true;
    assert_int_equal(authn_session_close(w->sessions, handle, &place_one, &f), ESIGN_OK);
    authn_sessions_tick(w->sessions);
    assert_int_equal(w->told, SESSION_END_NONE);
    assert_int_equal(used(w, handle, &place_one, true, &f), ESIGN_E_COMPONENTS_REQUIRED);
    w->deaf = false;
    authn_sessions_tick(w->sessions);
    assert_int_equal(w->told, SESSION_END_CLOSED);
    assert_int_equal(authn_sessions_count(w->sessions), 0);
}

static void test_authn_session_take__each_part_of_a_place__counts(void **state)
{
    REQ("S10");
    struct world *w = *state;
    static const struct session_place here = {"mes", "t1", 1000};
    static const struct session_place others[] = {{"lims", "t1", 1000},
                                                  {NULL, "t1", 1000},
                                                  {"mes", "t2", 1000},
                                                  {"mes", NULL, 1000},
                                                  {"mes", "t1", 1001}};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char handle[SESSION_HANDLE_LEN + 1];
        struct fault f = {0};
        opened(w, "s1", &here, handle);
        assert_int_equal(used(w, handle, &others[i], true, &f), ESIGN_E_SESSION);
        assert_int_equal(w->told, SESSION_END_PEER);
    }
}

static void test_authn_session_open__too_many__refused(void **state)
{
    REQ("3.4");
    struct world *w = *state;
    char handle[SESSION_HANDLE_LEN + 1], signer_id[32];
    struct session_lease lease = {0};
    struct fault f = {0};
    const struct session_place place = {"mes", NULL, 1};
    const struct session_opening o = {
        .signer_id = "s", .user_id = "u", .place = place, .limits = {IDLE, ABSOLUTE, ABSENT}};

    for (int i = 0; i < SESSION_COUNT_MAX; i++) {
        (void)snprintf(signer_id, sizeof(signer_id), "s%d", i);
        opened(w, signer_id, &place, handle);
    }
    assert_int_equal(authn_session_open(w->sessions, &o, handle, &lease, &f), ESIGN_E_BUSY);
    authn_sessions_stop(w->sessions);
    assert_int_equal(w->told, SESSION_END_STOP);
    assert_int_equal(authn_sessions_count(w->sessions), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_authn_session_take__idle_limit__one_second_before_and_after),
        CASE(test_authn_session_take__nothing_proved__idle_time_goes_on),
        CASE(test_authn_session_take__absolute_limit__however_active),
        CASE(test_authn_sessions_tick__peer_gone__resumed_in_time_or_ended),
        CASE(test_authn_session_take__other_place__ended_for_all),
        CASE(test_authn_session_open__same_place__the_first_ends),
        CASE(test_authn_session_still__a_row_moved__ended_with_its_cause),
        CASE(test_authn_sessions_moved__one_signer__others_go_on),
        CASE(test_authn_session_take__in_use__waits_until_the_deadline),
        CASE(test_authn_session_matches__remembered_password_only),
        CASE(test_authn_session_open__many_of_one_signer__the_oldest_ends),
        CASE(test_authn_session_close__in_use__over_when_given_back),
        CASE(test_authn_session_take__end_that_cannot_be_told__told_later),
        CASE(test_authn_session_take__each_part_of_a_place__counts),
        CASE(test_authn_session_open__too_many__refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
