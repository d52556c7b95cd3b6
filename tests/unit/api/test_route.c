#include "req.h"

#include "api/route.h"
#include "base/cleanup.h"
#include "base/clock.h"

struct service {
    bool ready;
    const char *right;       /* the one that the application has */
    unsigned calls;          /* of handlers */
    char id[API_ID_MAX + 1]; /* that the last handler saw, as key */
    char key[API_KEY_MAX + 1];
};

static enum esign_rc handle(struct api_request *request, struct api_reply *reply, struct fault *f)
{
    struct service *service = request->service;

    service->calls++;
    (void)snprintf(service->id, sizeof(service->id), "%s", request->id ? request->id : "");
    (void)snprintf(service->key, sizeof(service->key), "%s", request->key ? request->key : "");
    if (request->id && strcmp(request->id, "gone") == 0)
        return fault_set(f, ESIGN_E_NOT_FOUND, "it is gone");
    if (request->id && strcmp(request->id, "silent") == 0)
        return ESIGN_E_BUSY;
    reply->json = json_pack("{s:s}", "path", request->path);
    return ESIGN_OK;
}

static const struct api_query_field limit[] = {{"limit", API_QUERY_NUMBER, 100}};
static const struct json_field reason[] = {{"reason", JSON_FIELD_STR, true, 10}};
#define ALL (API_PEER_APPLICATION | API_PEER_TERMINAL | API_PEER_ROOT)
static const struct api_route routes[] = {
    {.method = "GET",
     .pattern = "/v1/status",
     .handle = handle,
     .peers = ALL,
     .state = API_STATE_ANY},
    {.method = "POST",
     .pattern = "/v1/init",
     .handle = handle,
     .peers = API_PEER_ROOT,
     .state = API_STATE_UNINITIALISED,
     .body_max = 100},
    {.method = "GET",
     .pattern = "/v1/tickets",
     .handle = handle,
     .peers = ALL,
     .state = API_STATE_READY,
     .right = "read",
     .query = limit,
     .query_count = 1},
    {.method = "POST",
     .pattern = "/v1/tickets",
     .handle = handle,
     .peers = API_PEER_APPLICATION,
     .state = API_STATE_READY,
     .right = "ticket",
     .body_max = 100,
     .fields = reason,
     .field_count = 1,
     .takes_key = true},
    {.method = "GET",
     .pattern = "/v1/tickets/{id}",
     .handle = handle,
     .peers = ALL,
     .state = API_STATE_READY},
    {.method = "POST",
     .pattern = "/v1/tickets/{id}/authorise",
     .handle = handle,
     .peers = API_PEER_TERMINAL,
     .state = API_STATE_READY,
     .body_max = 100,
     .components = API_COMPONENTS_REQUIRED},
};

static bool is_ready(void *ctx)
{
    return ((struct service *)ctx)->ready;
}

static enum esign_rc permit(void *ctx, const struct api_peer *peer, const char *right,
                            struct fault *f)
{
    const struct service *service = ctx;

    if (strcmp(peer->id, "removed") == 0)
        return fault_set(f, ESIGN_E_PEER_DENIED, "removed from the register");
    if (right && strcmp(right, service->right) != 0)
        return fault_set(f, ESIGN_E_AUTHZ, "the right %s is missing", right);
    return ESIGN_OK;
}

static struct service service;
static const struct api_router router = {.routes = routes,
                                         .route_count = sizeof(routes) / sizeof(routes[0]),
                                         .service = &service,
                                         .ready = is_ready,
                                         .permit = permit};

static struct api_call call_of(const char *method, const char *target, enum api_peer_kind kind)
{
    return (struct api_call){.method = method,
                             .target = target,
                             .content_type = "application/json",
                             .peer = {.kind = kind, .id = "lims"},
                             .deadline_at_ms = clock_mono_ms(clock_system()) + 10000};
}

static void answer_done(struct api_answer *answer)
{
    buf_done(&answer->body);
}

static void test_api_pattern_fits__paths__only_exact_ones(void **state)
{
    (void)state;
    REQ("design 5");
    static const struct {
        const char *pattern, *path, *id; /* id NULL: does not fit */
    } rows[] = {
        {"/v1/status", "/v1/status", ""},
        {"/v1/status", "/v1/status/", NULL},
        {"/v1/status", "/v1/statu", NULL},
        {"/v1/status", "/v1/status2", NULL},
        {"/v1/status", "/v1/status/x", NULL},
        {"/v1/status", "/v1//status", NULL},
        {"/v1/status", "//v1/status", NULL},
        {"/v1/status", "v1/status", NULL},
        {"/v1/status", "/v1", NULL},
        {"/v1/status", "/", NULL},
        {"/v1/status", "", NULL},
        {"/v1/status", "/v1/%73tatus", NULL},
        {"/v1/status", "/V1/status", NULL},
        {"/v1/status", "/v1/x/../status", NULL},
        {"/v1/tickets/{id}", "/v1/tickets/T-1", "T-1"},
        {"/v1/tickets/{id}", "/v1/tickets/%54-1", "T-1"},
        {"/v1/tickets/{id}", "/v1/tickets/..", NULL},
        {"/v1/tickets/{id}", "/v1/tickets/%2e%2e", NULL},
        {"/v1/tickets/{id}", "/v1/tickets/a%2fb", NULL},
        {"/v1/tickets/{id}", "/v1/tickets/a%00", NULL},
        {"/v1/tickets/{id}", "/v1/tickets/a%0", NULL},
        {"/v1/tickets/{id}", "/v1/tickets/a+b", NULL},
        {"/v1/tickets/{id}", "/v1/tickets/", NULL},
        {"/v1/tickets/{id}", "/v1/tickets", NULL},
        {"/v1/tickets/{id}/decline", "/v1/tickets/T-1/decline", "T-1"},
        {"/v1/tickets/{id}/decline", "/v1/tickets/T-1", NULL},
        {"/v1/tickets/{id}/decline", "/v1/tickets//decline", NULL},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char id[API_ID_MAX + 1] = "untouched";
        bool fits = api_pattern_fits(rows[i].pattern, bytes_of_str(rows[i].path), id);
        if (fits != (rows[i].id != NULL))
            fail_msg("%s against %s", rows[i].path, rows[i].pattern);
        assert_string_equal(id, fits ? rows[i].id : "untouched");
    }
}

static void test_api_pattern_fits__id_length__at_most_the_limit(void **state)
{
    (void)state;
    REQ("design 5");
    char path[API_ID_MAX + 10] = "/t/", id[API_ID_MAX + 1];

    memset(path + 3, 'a', API_ID_MAX + 1);
    assert_true(api_pattern_fits("/t/{id}", bytes_of(path, 3 + API_ID_MAX), id));
    assert_int_equal(strlen(id), API_ID_MAX);
    assert_false(api_pattern_fits("/t/{id}", bytes_of(path, 3 + API_ID_MAX + 1), id));
}

static void test_api_admit__columns__enforced_before_the_handler(void **state)
{
    (void)state;
    REQ("11.10(d)", "11.10(g)", "11.10(h)", "design 5");
    static const struct {
        const char *method, *target;
        enum api_peer_kind kind;
        bool ready;
        enum esign_rc rc;
        int status;
    } rows[] = {
        {"GET", "/v1/status", API_PEER_TERMINAL, false, ESIGN_OK, 0},
        {"GET", "/v1/status?x=1", API_PEER_TERMINAL, true, ESIGN_E_PROTO, 400},
        {"GET", "/v1/status?", API_PEER_TERMINAL, true, ESIGN_OK, 0},
        {"GET", "/v1/nothing", API_PEER_TERMINAL, true, ESIGN_E_NOT_FOUND, 404},
        {"DELETE", "/v1/tickets/T-1", API_PEER_TERMINAL, true, ESIGN_E_UNSUPPORTED, 405},
        {"HEAD", "/v1/status", API_PEER_TERMINAL, true, ESIGN_E_UNSUPPORTED, 405},
        {"get", "/v1/status", API_PEER_TERMINAL, true, ESIGN_E_UNSUPPORTED, 405},
        {"POST", "/v1/init", API_PEER_ROOT, false, ESIGN_OK, 0},
        {"POST", "/v1/init", API_PEER_ROOT, true, ESIGN_E_CONFLICT, 409},
        {"POST", "/v1/init", API_PEER_TERMINAL, false, ESIGN_E_AUTHZ, 403},
        {"POST", "/v1/init", API_PEER_APPLICATION, false, ESIGN_E_AUTHZ, 403},
        {"GET", "/v1/tickets", API_PEER_TERMINAL, false, ESIGN_E_CONFLICT, 409},
        {"GET", "/v1/tickets", API_PEER_TERMINAL, true, ESIGN_OK, 0},
        {"GET", "/v1/tickets", API_PEER_APPLICATION, true, ESIGN_E_AUTHZ, 403},
        {"POST", "/v1/tickets", API_PEER_APPLICATION, true, ESIGN_OK, 0},
        {"POST", "/v1/tickets", API_PEER_TERMINAL, true, ESIGN_E_AUTHZ, 403},
        {"POST", "/v1/tickets/T-1/authorise", API_PEER_APPLICATION, true, ESIGN_E_TERMINAL, 403},
        {"POST", "/v1/tickets/T-1/authorise", API_PEER_TERMINAL, true, ESIGN_OK, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct api_call call = call_of(rows[i].method, rows[i].target, rows[i].kind);
        CLEANUP(answer_done) struct api_answer answer = {0};
        struct fault f = {0};
        service = (struct service){.ready = rows[i].ready, .right = "ticket"};
        if (api_admit(&router, &call, &answer, &f) != rows[i].rc)
            fail_msg("%s %s: %s %s", rows[i].method, rows[i].target, fault_name(f.rc), f.detail);
        assert_int_equal(answer.status, rows[i].status);
        assert_int_equal(call.route != NULL && rows[i].rc == ESIGN_OK, rows[i].rc == ESIGN_OK);
        assert_int_equal(service.calls, 0);
    }
}

static void test_api_admit__key__taken_whole_or_refused_by_name(void **state)
{
    (void)state;
    REQ("design 3", "design 5");
    char longest[API_KEY_MAX + 2];
    const struct {
        const char *method, *target, *key;
        enum esign_rc rc;
    } rows[] = {
        {"POST", "/v1/tickets", "8e03978e-40d5-43dd", ESIGN_OK},
        {"POST", "/v1/tickets", "a ~", ESIGN_OK},
        {"POST", "/v1/tickets", longest + 1, ESIGN_OK},
        {"POST", "/v1/tickets", longest, ESIGN_E_PROTO},
        {"POST", "/v1/tickets", "", ESIGN_E_PROTO},
        {"POST", "/v1/tickets", "a\tb", ESIGN_E_PROTO},
        {"POST", "/v1/tickets", "\xc3\xa9", ESIGN_E_PROTO},
        {"POST", "/v1/tickets", "a\x7f", ESIGN_E_PROTO},
        {"GET", "/v1/tickets/T-1", "a", ESIGN_E_PROTO},
    };

    memset(longest, 'k', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    service = (struct service){.ready = true, .right = "ticket"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct api_call call = call_of(rows[i].method, rows[i].target, API_PEER_APPLICATION);
        CLEANUP(answer_done) struct api_answer answer = {0};
        struct fault f = {0};
        call.key = rows[i].key;
        assert_int_equal(api_admit(&router, &call, &answer, &f), rows[i].rc);
        assert_string_equal(f.field, rows[i].rc == ESIGN_OK ? "" : "Idempotency-Key");
        if (rows[i].rc != ESIGN_OK)
            continue;
        CLEANUP(buf_done) struct buf content = buf_new(API_BODY_SMALL);
        buf_put_str(&content, "{\"reason\":\"because\"}");
        api_dispatch(&router, &call, &content, &answer);
        assert_string_equal(service.key, rows[i].key);
    }
}

static void test_api_admit__method_not_in_the_table__allow_names_those(void **state)
{
    (void)state;
    REQ("design 5");
    struct api_call call = call_of("DELETE", "/v1/tickets", API_PEER_TERMINAL);
    CLEANUP(answer_done) struct api_answer answer = {0};
    struct fault f = {0};

    service = (struct service){.ready = true, .right = ""};
    assert_int_equal(api_admit(&router, &call, &answer, &f), ESIGN_E_UNSUPPORTED);
    assert_string_equal(answer.allow, "GET, POST");
}

static void test_api_admit__peer_removed_meanwhile__denied(void **state)
{
    (void)state;
    REQ("11.10(d)");
    struct api_call call = call_of("GET", "/v1/tickets/T-1", API_PEER_APPLICATION);
    CLEANUP(answer_done) struct api_answer answer = {0};
    struct fault f = {0};

    memcpy(call.peer.id, "removed", sizeof("removed"));
    service = (struct service){.ready = true, .right = ""};
    assert_int_equal(api_admit(&router, &call, &answer, &f), ESIGN_E_PEER_DENIED);
    assert_int_equal(answer.status, 403);
}

/* Admit and dispatch; the status. */
static int serve(struct api_call *call, const char *body, struct api_answer *answer)
{
    CLEANUP(buf_done) struct buf content = buf_new(API_BODY_SMALL);
    struct fault f = {0};

    buf_put_str(&content, body);
    if (api_admit(&router, call, answer, &f) == ESIGN_OK)
        api_dispatch(&router, call, &content, answer);
    return answer->status;
}

static void test_api_dispatch__requests__status(void **state)
{
    (void)state;
    REQ("design 5");
    static const struct {
        const char *method, *target, *body, *type, *code; /* code NULL: no problem */
        enum api_peer_kind kind;
        int status;
        unsigned calls;
    } rows[] = {
        {"GET", "/v1/tickets/T-9", "", NULL, NULL, API_PEER_TERMINAL, 200, 1},
        {"GET", "/v1/tickets/gone", "", NULL, "E_NOT_FOUND", API_PEER_TERMINAL, 404, 1},
        {"GET", "/v1/tickets/silent", "", NULL, "E_BUSY", API_PEER_TERMINAL, 503, 1},
        {"POST", "/v1/tickets", "{\"reason\":\"a\"}", "application/json", NULL,
         API_PEER_APPLICATION, 200, 1},
        {"POST", "/v1/tickets", "{\"reason\":\"a\"}", "Application/JSON; charset=UTF-8", NULL,
         API_PEER_APPLICATION, 200, 1},
        {"POST", "/v1/tickets", "{\"reason\":\"a\"}", "application/json; charset=latin1",
         "E_UNSUPPORTED", API_PEER_APPLICATION, 415, 0},
        {"POST", "/v1/tickets", "{\"reason\":\"a\"}", "application/jsonx", "E_UNSUPPORTED",
         API_PEER_APPLICATION, 415, 0},
        {"POST", "/v1/tickets", "{\"reason\":\"a\"}", NULL, "E_UNSUPPORTED", API_PEER_APPLICATION,
         415, 0},
        {"POST", "/v1/tickets", "{\"reason\":1}", "application/json", "E_PROTO",
         API_PEER_APPLICATION, 400, 0},
        {"POST", "/v1/tickets/T-1/authorise", "{}", "application/json", "E_COMPONENTS_REQUIRED",
         API_PEER_TERMINAL, 401, 0},
        {"POST", "/v1/tickets/T-1/authorise",
         "{\"components\":{\"user_id\":\"jdoe\",\"password\":\"pw\"}}", "application/json", NULL,
         API_PEER_TERMINAL, 200, 1},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct api_call call = call_of(rows[i].method, rows[i].target, rows[i].kind);
        CLEANUP(answer_done) struct api_answer answer = {0};
        call.content_type = rows[i].type;
        service = (struct service){.ready = true, .right = "ticket"};
        if (serve(&call, rows[i].body, &answer) != rows[i].status)
            fail_msg("%s: %s", rows[i].target, buf_str(&answer.body));
        assert_int_equal(service.calls, rows[i].calls);
        if (rows[i].code)
            assert_non_null(strstr(buf_str(&answer.body), rows[i].code));
    }
}

static void test_api_dispatch__deadline_is_past__handler_is_not_called(void **state)
{
    (void)state;
    REQ("design 2");
    struct api_call call = call_of("GET", "/v1/tickets/T-1", API_PEER_TERMINAL);
    CLEANUP(answer_done) struct api_answer answer = {0};

    call.deadline_at_ms = clock_mono_ms(clock_system());
    service = (struct service){.ready = true, .right = ""};
    assert_int_equal(serve(&call, "", &answer), 504);
    assert_int_equal(service.calls, 0);
}

static int setup(void **state)
{
    struct fault f = {0};

    (void)state;
    return secret_start(&f) == ESIGN_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_pattern_fits__paths__only_exact_ones),
        cmocka_unit_test(test_api_pattern_fits__id_length__at_most_the_limit),
        cmocka_unit_test(test_api_admit__columns__enforced_before_the_handler),
        cmocka_unit_test(test_api_admit__key__taken_whole_or_refused_by_name),
        cmocka_unit_test(test_api_admit__method_not_in_the_table__allow_names_those),
        cmocka_unit_test(test_api_admit__peer_removed_meanwhile__denied),
        cmocka_unit_test(test_api_dispatch__requests__status),
        cmocka_unit_test(test_api_dispatch__deadline_is_past__handler_is_not_called),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
