#include "req.h"

#include "listen/guard.h"

struct row {
    const char *what;
    const char *method, *target, *version;
    const char *headers[8][2];
    enum esign_rc rc;
    const char *field;
};

static enum esign_rc guard(const struct row *row, struct guard_framing *ret, struct fault *f)
{
    struct guard_header headers[8] = {0};
    struct guard_head head = {.method = row->method ? row->method : "POST",
                              .target = row->target ? row->target : "/v1/x",
                              .version = row->version ? row->version : "HTTP/1.1",
                              .headers = headers};

    for (; head.header_count < 8 && row->headers[head.header_count][0]; head.header_count++)
        headers[head.header_count] =
            (struct guard_header){bytes_of_str(row->headers[head.header_count][0]),
                                  bytes_of_str(row->headers[head.header_count][1])};
    *f = (struct fault){0};
    return listen_guard(&head, ret, f);
}

#define H                                                                                          \
    {                                                                                              \
        "Host", "esignd"                                                                           \
    }

static void test_listen_guard__heads__refused_where_ambiguous(void **state)
{
    (void)state;
    REQ("design 5", "RFC 9112 6.3");
    static const struct row rows[] = {
        {.what = "plain", .headers = {H}, .rc = ESIGN_OK},
        {.what = "length", .headers = {H, {"content-length", "12"}}, .rc = ESIGN_OK},
        {.what = "chunked", .headers = {H, {"Transfer-Encoding", "Chunked"}}, .rc = ESIGN_OK},
        {.what = "two lengths",
         .headers = {H, {"Content-Length", "1"}, {"CONTENT-LENGTH", "2"}},
         .rc = ESIGN_E_PROTO,
         .field = "Content-Length"},
        {.what = "one length twice",
         .headers = {H, {"Content-Length", "1"}, {"Content-Length", "1"}},
         .rc = ESIGN_E_PROTO,
         .field = "Content-Length"},
        {.what = "length list", .headers = {H, {"Content-Length", "1, 1"}}, .rc = ESIGN_E_PROTO},
        {.what = "length sign", .headers = {H, {"Content-Length", "+1"}}, .rc = ESIGN_E_PROTO},
        {.what = "length minus", .headers = {H, {"Content-Length", "-1"}}, .rc = ESIGN_E_PROTO},
        {.what = "length hex", .headers = {H, {"Content-Length", "0x1"}}, .rc = ESIGN_E_PROTO},
        {.what = "length empty", .headers = {H, {"Content-Length", ""}}, .rc = ESIGN_E_PROTO},
        {.what = "length of 19 digits",
         .headers = {H, {"Content-Length", "9223372036854775808"}},
         .rc = ESIGN_E_PROTO},
        {.what = "length and chunks",
         .headers = {H, {"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}},
         .rc = ESIGN_E_PROTO,
         .field = "Transfer-Encoding"},
        {.what = "two codings",
         .headers = {H, {"Transfer-Encoding", "chunked"}, {"transfer-encoding", "chunked"}},
         .rc = ESIGN_E_PROTO,
         .field = "Transfer-Encoding"},
        {.what = "coding list",
         .headers = {H, {"Transfer-Encoding", "gzip, chunked"}},
         .rc = ESIGN_E_UNSUPPORTED},
        {.what = "coding unknown",
         .headers = {H, {"Transfer-Encoding", "xchunked"}},
         .rc = ESIGN_E_UNSUPPORTED},
        {.what = "coding empty",
         .headers = {H, {"Transfer-Encoding", ""}},
         .rc = ESIGN_E_UNSUPPORTED},
        {.what = "no host", .headers = {{"Accept", "*/*"}}, .rc = ESIGN_E_PROTO, .field = "Host"},
        {.what = "two hosts",
         .headers = {H, {"host", "other"}},
         .rc = ESIGN_E_PROTO,
         .field = "Host"},
        {.what = "two types",
         .headers = {H, {"Content-Type", "a/b"}, {"Content-Type", "a/b"}},
         .rc = ESIGN_E_PROTO,
         .field = "Content-Type"},
        {.what = "two authorisations",
         .headers = {H, {"Authorization", "a"}, {"Authorization", "b"}},
         .rc = ESIGN_E_PROTO,
         .field = "Authorization"},
        {.what = "two keys",
         .headers = {H, {"Idempotency-Key", "a"}, {"idempotency-key", "a"}},
         .rc = ESIGN_E_PROTO,
         .field = "Idempotency-Key"},
        {.what = "compressed",
         .headers = {H, {"Content-Encoding", "gzip"}},
         .rc = ESIGN_E_UNSUPPORTED},
        {.what = "expectation", .headers = {H, {"Expect", "200-ok"}}, .rc = ESIGN_E_UNSUPPORTED},
        {.what = "continue", .headers = {H, {"Expect", "100-continue"}}, .rc = ESIGN_OK},
        {.what = "name with space", .headers = {H, {"A b", "c"}}, .rc = ESIGN_E_PROTO},
        {.what = "name with control", .headers = {H, {"A\x01", "c"}}, .rc = ESIGN_E_PROTO},
        {.what = "name empty", .headers = {H, {"", "c"}}, .rc = ESIGN_E_PROTO},
        {.what = "name not ASCII", .headers = {H, {"\xc3\xa9", "c"}}, .rc = ESIGN_E_PROTO},
        {.what = "value with control", .headers = {H, {"A", "c\x02"}}, .rc = ESIGN_E_PROTO},
        {.what = "value with newline", .headers = {H, {"A", "c\nB: d"}}, .rc = ESIGN_E_PROTO},
        {.what = "value with tab", .headers = {H, {"A", "c\td"}}, .rc = ESIGN_OK},
        {.what = "value not ASCII", .headers = {H, {"A", "\xc3\xa9"}}, .rc = ESIGN_E_PROTO},
        {.what = "1.0", .version = "HTTP/1.0", .headers = {H}, .rc = ESIGN_E_UNSUPPORTED},
        {.what = "1.2", .version = "HTTP/1.2", .headers = {H}, .rc = ESIGN_E_UNSUPPORTED},
        {.what = "no version", .version = "", .headers = {H}, .rc = ESIGN_E_UNSUPPORTED},
        {.what = "method", .method = "G(T", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "no method", .method = "", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "long method", .method = "AAAAAAAAAAAAAAAAA", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "star", .target = "*", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "absolute", .target = "http://a/v1/x", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "empty", .target = "", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "zero byte", .target = "/v1/x%00", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "zero byte in the query",
         .target = "/v1/x?a=%00",
         .headers = {H},
         .rc = ESIGN_E_PROTO},
        {.what = "broken escape", .target = "/v1/x%0", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "broken escape at the end",
         .target = "/v1/x%",
         .headers = {H},
         .rc = ESIGN_E_PROTO},
        {.what = "fragment", .target = "/v1/x#a", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "space", .target = "/v1/x y", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "control", .target = "/v1/x\x01", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "not ASCII", .target = "/v1/\xc3\xa9", .headers = {H}, .rc = ESIGN_E_PROTO},
        {.what = "query", .target = "/v1/x?a=%41&b=c", .headers = {H}, .rc = ESIGN_OK},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct guard_framing framing = {.length = 77};
        struct fault f;
        if (guard(&rows[i], &framing, &f) != rows[i].rc)
            fail_msg("%s: %s %s", rows[i].what, fault_name(f.rc), f.detail);
        if (rows[i].field)
            assert_string_equal(f.field, rows[i].field);
        if (rows[i].rc != ESIGN_OK)
            assert_int_equal(framing.length, 77); /* untouched on failure */
    }
}

static void test_listen_guard__framing__told(void **state)
{
    (void)state;
    REQ("RFC 9112 6.3");
    static const struct row length = {.headers = {H, {"Content-Length", "4711"}}};
    static const struct row chunked = {.headers = {H, {"Transfer-Encoding", "chunked"}}};
    struct guard_framing framing;
    struct fault f;

    assert_int_equal(guard(&length, &framing, &f), ESIGN_OK);
    assert_int_equal(framing.length, 4711);
    assert_false(framing.chunked);
    assert_int_equal(guard(&chunked, &framing, &f), ESIGN_OK);
    assert_int_equal(framing.length, 0);
    assert_true(framing.chunked);
}

static void test_listen_guard__too_many_or_too_long__too_large(void **state)
{
    (void)state;
    REQ("design 5");
    static char value[GUARD_VALUE_MAX + 2], target[5000];
    struct guard_header headers[GUARD_HEADERS_MAX + 1];
    struct guard_framing framing;
    struct fault f = {0};
    struct guard_head head = {
        .method = "GET", .version = "HTTP/1.1", .target = "/", .headers = headers};

    for (size_t i = 0; i <= GUARD_HEADERS_MAX; i++)
        headers[i] = (struct guard_header){bytes_of_str("A"), bytes_of_str("b")};
    headers[0].name = bytes_of_str("Host");
    head.header_count = GUARD_HEADERS_MAX;
    assert_int_equal(listen_guard(&head, &framing, &f), ESIGN_OK);
    head.header_count++;
    assert_int_equal(listen_guard(&head, &framing, &f), ESIGN_E_TOO_LARGE);
    head.header_count = 2;
    memset(value, 'a', sizeof(value) - 1);
    headers[1].value = bytes_of(value, GUARD_VALUE_MAX + 1);
    assert_int_equal(listen_guard(&head, &framing, &f), ESIGN_E_TOO_LARGE);
    head.header_count = 1;
    memset(target, '/', sizeof(target) - 1);
    head.target = target;
    assert_int_equal(listen_guard(&head, &framing, &f), ESIGN_E_TOO_LARGE);
}

static void test_listen_guard_version_is_sound__versions__compared(void **state)
{
    (void)state;
    REQ("design 5");
    static const struct {
        const char *version;
        bool sound;
    } rows[] = {{"0.9.75", false}, {"1.0.1", false}, {"1.0.9", false}, {"1.0.10", true},
                {"1.0.11", true},  {"1.1.0", true},  {"2.0.0", true},  {"", false},
                {"1", false},      {"1.0", false},   {"10.0.0", true}, {"1.0.10-2", true}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (listen_guard_version_is_sound(rows[i].version) != rows[i].sound)
            fail_msg("%s", rows[i].version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen_guard__heads__refused_where_ambiguous),
        cmocka_unit_test(test_listen_guard__framing__told),
        cmocka_unit_test(test_listen_guard__too_many_or_too_long__too_large),
        cmocka_unit_test(test_listen_guard_version_is_sound__versions__compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
