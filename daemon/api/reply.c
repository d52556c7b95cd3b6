#include "api/reply.h"

#include "base/cleanup.h"

#define REPLY_JSON    "application/json"
#define REPLY_PROBLEM "application/problem+json"

enum esign_rc api_reply_encode(struct api_reply *reply, struct api_answer *ret, struct fault *f)
{
    struct api_answer answer = {.status = reply->status ? reply->status : 200,
                                .content_type =
                                    reply->content_type ? reply->content_type : REPLY_JSON,
                                .body = buf_new(API_REPLY_MAX)};

    if (reply->content_type) {
        if (!buf_ok(&reply->text) || reply->text.len > API_REPLY_MAX)
            return fault_set(f, ESIGN_E_TOO_LARGE, "the reply is too large; ask for less");
        answer.body = reply->text;
        reply->text = (struct buf){0};
    } else if (!reply->json) {
        buf_put_str(&answer.body, "{}");
    } else if (json_canonical(reply->json, &answer.body) != ESIGN_OK) {
        bool full = !buf_ok(&answer.body);
        buf_done(&answer.body);
        return full ? fault_set(f, ESIGN_E_TOO_LARGE, "the reply is too large; ask for less")
                    : fault_set(f, ESIGN_E_INTERNAL, "the reply can't be written as JSON");
    }
    *ret = answer;
    return ESIGN_OK;
}

void api_reply_done(struct api_reply *reply)
{
    json_decref(TAKE(reply->json));
    buf_done(&reply->text);
}

static json_t *reply_problem(const struct fault *f, int status)
{
    CLEANUP(json_decref_p)
    json_t *problem = json_pack("{s:s, s:s, s:i, s:s, s:s, s:b}", "type", "about:blank", "title",
                                fault_text(f->rc), "status", status, "code", fault_name(f->rc),
                                "detail", f->detail, "retryable", (int)fault_retryable(f->rc));

    if (problem && *f->reason && json_object_set_new(problem, "reason", json_string(f->reason)))
        return NULL;
    if (problem && *f->field && json_object_set_new(problem, "field", json_string(f->field)))
        return NULL;
    if (problem && f->retry_after_s > 0 &&
        json_object_set_new(problem, "retry_after", json_integer(f->retry_after_s)))
        return NULL;
    return TAKE(problem);
}

void api_reply_fault(const struct fault *f, int status, struct api_answer *ret)
{
    static const char fallback[] = "{\"type\":\"about:blank\",\"title\":\"the service failed; see "
                                   "its log\",\"status\":500,\"code\":\"E_INTERNAL\","
                                   "\"detail\":\"no memory\",\"retryable\":false}";
    struct api_answer answer = {.status = status ? status : fault_http(f->rc),
                                .content_type = REPLY_PROBLEM,
                                .retry_after_s = f->retry_after_s,
                                .body = buf_new(API_BODY_SMALL)};
    CLEANUP(json_decref_p) json_t *problem = reply_problem(f, answer.status);

    if (!problem || json_canonical(problem, &answer.body) != ESIGN_OK) {
        buf_clear(&answer.body);
        buf_put_str(&answer.body, fallback);
        answer.status = 500;
    }
    *ret = answer;
}

void api_answer_fault(const struct fault *f, struct api_answer *ret)
{
    api_reply_fault(f, 0, ret);
}
