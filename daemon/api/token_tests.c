/* /v1/tokens/tests: records of tests of tokens. */
#include "api/handlers.h"
#include "base/cleanup.h"

HANDLER(handle_token_test)
{
    CLEANUP(authn_person_done) struct authn_person officer = {0};
    const struct register_origin origin = handler_origin(request);
    json_t *made = NULL;
    enum esign_rc rc = handler_officer(request, "secofficer", "regadmin", &officer, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = register_token_test(handler_site(request), &origin, &officer,
                             json_object_get(request->body, "report"),
                             json_str(request->body, "reason"), &made, f);
    rc = handler_settle(request, &officer, "token.test_refused", "service/esignd", rc, f);
    return rc == ESIGN_OK ? handler_reply(reply, 201, made, f) : rc;
}

/* In a list without the report, which is long. */
static json_t *token_tests_view(struct site *s, const json_t *row)
{
    json_t *view = json_copy((json_t *)(uintptr_t)row); /* a copy: the row stays as it is */

    (void)s;
    if (view) {
        const json_t *report = json_object_get(row, "report");
        const char *serial = json_str(report, "token.serial");
        (void)json_object_set_new(view, "serial", json_string(serial ? serial : "")); /* as below */
        (void)json_object_del(view, "report"); /* there in every row */
    }
    return view;
}

HANDLER(handle_token_test_list)
{
    const struct handler_list list = {.kind = "token-test", .view = token_tests_view};

    return handler_list(request, &list, reply, f);
}

HANDLER(handle_token_test_get)
{
    json_t *row = NULL;
    enum esign_rc rc =
        store_read(site_store(handler_site(request)), "token-test", request->id, &row, NULL, f);

    return rc == ESIGN_OK ? handler_reply(reply, 200, row, f) : rc;
}
