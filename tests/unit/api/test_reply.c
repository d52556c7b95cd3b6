#include "req.h"

#include "api/reply.h"
#include "base/cleanup.h"

static void answer_done(struct api_answer *answer)
{
    buf_done(&answer->body);
}

static void test_api_reply_fault__all_members__problem_json(void **state)
{
    (void)state;
    REQ("design 5");
    CLEANUP(answer_done) struct api_answer answer = {0};
    struct fault f = {0};

    (void)fault_reason(&f, ESIGN_E_SIGNER_STATE, "locked", "ask an \"officer\"");
    memcpy(f.field, "components", sizeof("components"));
    api_answer_fault(&f, &answer);
    assert_int_equal(answer.status, 403);
    assert_string_equal(answer.content_type, "application/problem+json");
    assert_string_equal(buf_str(&answer.body),
                        "{\"code\":\"E_SIGNER_STATE\",\"detail\":\"ask an \\\"officer\\\"\","
                        "\"field\":\"components\",\"reason\":\"locked\",\"retryable\":false,"
                        "\"status\":403,\"title\":\"the signer's state does not allow this\","
                        "\"type\":\"about:blank\"}");
}

static void test_api_reply_fault__every_code__its_row(void **state)
{
    (void)state;
    REQ("design 5");
    static const struct {
        enum esign_rc rc;
        const char *name;
        int http, retryable;
    } rows[] = {
#define ROW(name, number, http, retryable, text) {ESIGN_##name, #name, http, retryable},
        ESIGN_ERRORS(ROW)
#undef ROW
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CLEANUP(answer_done) struct api_answer answer = {0};
        struct fault f = {.rc = rows[i].rc};
        api_answer_fault(&f, &answer);
        CLEANUP(json_decref_p) json_t *problem = NULL;
        assert_int_equal(json_parse_object(buf_bytes(&answer.body), &problem, &f), ESIGN_OK);
        assert_int_equal(json_int(problem, "status", 0), rows[i].http);
        assert_string_equal(json_str(problem, "code"), rows[i].name);
        assert_int_equal(json_flag(problem, "retryable"), rows[i].retryable);
        assert_null(json_object_get(problem, "field"));
        assert_null(json_object_get(problem, "reason"));
    }
}

static void test_api_reply_fault__detail_is_not_utf8__still_an_answer(void **state)
{
    (void)state;
    REQ("design 5");
    CLEANUP(answer_done) struct api_answer answer = {0};
    struct fault f = {.rc = ESIGN_E_PROTO, .detail = "\xff\xfe"};

    api_answer_fault(&f, &answer);
    assert_int_equal(answer.status, 500);
    assert_non_null(strstr(buf_str(&answer.body), "E_INTERNAL"));
}

static void test_api_reply_encode__json_text_nothing__answers(void **state)
{
    (void)state;
    REQ("design 5");
    struct api_answer answer = {0};
    struct fault f = {0};
    struct api_reply reply = {.status = 201, .json = json_pack("{s:s}", "a", "\xc3\xa9/\"")};

    assert_int_equal(api_reply_encode(&reply, &answer, &f), ESIGN_OK);
    api_reply_done(&reply);
    assert_int_equal(answer.status, 201);
    assert_string_equal(answer.content_type, "application/json");
    assert_string_equal(buf_str(&answer.body), "{\"a\":\"\xc3\xa9/\\\"\"}");
    buf_done(&answer.body);

    struct api_reply text = {.content_type = "application/jsonl", .text = buf_new(10)};
    buf_put_str(&text.text, "{}\n{}\n");
    assert_int_equal(api_reply_encode(&text, &answer, &f), ESIGN_OK);
    api_reply_done(&text);
    assert_int_equal(answer.status, 200);
    assert_string_equal(buf_str(&answer.body), "{}\n{}\n");
    buf_done(&answer.body);

    struct api_reply nothing = {0};
    assert_int_equal(api_reply_encode(&nothing, &answer, &f), ESIGN_OK);
    assert_string_equal(buf_str(&answer.body), "{}");
    buf_done(&answer.body);
}

static void test_api_reply_encode__text_over_its_limit__too_large(void **state)
{
    (void)state;
    REQ("design 5");
    struct api_answer answer = {0};
    struct fault f = {0};
    CLEANUP(api_reply_done)
    struct api_reply reply = {.content_type = "text/plain", .text = buf_new(2)};

    buf_put_str(&reply.text, "abc");
    assert_int_equal(api_reply_encode(&reply, &answer, &f), ESIGN_E_TOO_LARGE);
    assert_null(answer.content_type);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_reply_fault__all_members__problem_json),
        cmocka_unit_test(test_api_reply_fault__every_code__its_row),
        cmocka_unit_test(test_api_reply_fault__detail_is_not_utf8__still_an_answer),
        cmocka_unit_test(test_api_reply_encode__json_text_nothing__answers),
        cmocka_unit_test(test_api_reply_encode__text_over_its_limit__too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
