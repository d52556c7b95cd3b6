#include "base/worker/frame.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "req.h"

enum { STORAGE = FRAME_HEADER_LEN + FRAME_BODY_MAX, LINE = 1024 };

static int64_t in_ms(int64_t ms)
{
    return clock_mono_ms(clock_system()) + ms;
}

/* The frame in the line-th line of the fixture that is not a comment. */
static void read_fixture(unsigned line, struct buf *ret)
{
    char text[LINE];
    CLEANUP(fclose_p) FILE *in = fopen(ESIGN_FIXTURES "/frames.hex", "re");

    assert_non_null(in);
    for (;;) {
        assert_non_null(fgets(text, sizeof(text), in));
        if (text[0] != '#' && line-- == 0)
            break;
    }
    char digits[LINE] = {0};
    size_t count = 0;
    for (const char *c = text; *c && *c != '\n'; c++)
        if (*c != ' ')
            digits[count++] = *c;
    uint8_t *room = buf_reserve(ret, count / 2);
    assert_non_null(room);
    assert_int_equal(decode_hex(digits, room, count / 2), ESIGN_OK);
}

static void check_fixture(unsigned line, const struct frame *frame, size_t fd_count)
{
    CLEANUP(buf_done) struct buf wanted = buf_new(LINE);
    CLEANUP(buf_done) struct buf made = buf_new(LINE);
    struct frame parsed;
    size_t parsed_fds;

    read_fixture(line, &wanted);
    frame_put_header(&made, frame, fd_count);
    buf_put(&made, frame->body);
    assert_true(bytes_equal(buf_bytes(&made), buf_bytes(&wanted)));
    assert_int_equal(frame_parse(buf_bytes(&wanted), &parsed, &parsed_fds), ESIGN_OK);
    assert_int_equal(parsed_fds, fd_count);
    assert_int_equal(parsed.op, frame->op);
    assert_int_equal(parsed.id, frame->id);
    assert_int_equal(parsed.deadline_ms, frame->deadline_ms);
    assert_int_equal(parsed.status, frame->status);
    assert_int_equal(parsed.last, frame->last);
    assert_true(bytes_equal(parsed.body, frame->body));
}

static void test_frame_put_header__fixture__byte_for_byte(void **state)
{
    REQ("design 2");
    (void)state;
    CLEANUP(buf_done) struct buf error = buf_new(LINE);
    const struct fault fault = {.reason = "pin", .detail = "locked", .cause = 0xa4};
    frame_put_fault(&error, &fault);
    const struct frame request = {
        .op = 4, .id = 0x01020304, .deadline_ms = 10000, .body = bytes_of_str("digest")};
    const struct frame reply = {
        .op = 4, .id = 0x01020304, .last = true, .body = bytes_of_str("value")};
    const struct frame refusal = {
        .op = 2, .id = 7, .status = ESIGN_E_HSM, .body = buf_bytes(&error)};

    check_fixture(0, &request, 1);
    check_fixture(1, &reply, 0);
    check_fixture(2, &refusal, 0);
}

/* Change one byte of a good frame of 24 bytes and a body of 4. */
static const struct {
    const char *name;
    size_t at;
    uint8_t value;
} hostile_bytes[] = {
    {"magic", 0, 0x46},          {"version", 3, 0x32},       {"unknown flag", 6, 0x02},
    {"three descriptors", 7, 3}, {"longer body", 23, 5},     {"shorter body", 23, 3},
    {"huge body", 20, 0x80},     {"body over limit", 21, 3},
};

static void put_good(struct buf *out)
{
    const struct frame good = {.op = 1, .id = 2, .deadline_ms = 3, .body = bytes_of_str("body")};

    frame_put_header(out, &good, 0);
    buf_put(out, good.body);
}

static void test_frame_parse__hostile_header__refused(void **state)
{
    REQ("design 2");
    (void)state;
    for (size_t i = 0; i < sizeof(hostile_bytes) / sizeof(hostile_bytes[0]); i++) {
        CLEANUP(buf_done) struct buf message = buf_new(LINE);
        struct frame frame;
        size_t fd_count;
        put_good(&message);
        message.data[hostile_bytes[i].at] = hostile_bytes[i].value;
        if (frame_parse(buf_bytes(&message), &frame, &fd_count) != ESIGN_E_PROTO)
            fail_msg("%s", hostile_bytes[i].name);
    }
}

static void test_frame_parse__every_shorter_message__refused(void **state)
{
    REQ("design 2");
    (void)state;
    CLEANUP(buf_done) struct buf message = buf_new(LINE);
    struct frame frame;
    size_t fd_count;

    put_good(&message);
    assert_int_equal(frame_parse(buf_bytes(&message), &frame, &fd_count), ESIGN_OK);
    for (size_t len = 0; len < message.len; len++)
        assert_int_equal(frame_parse(bytes_of(message.data, len), &frame, &fd_count),
                         ESIGN_E_PROTO);
}

struct pair {
    int ends[2];
    struct buf storage;
};

static int setup_pair(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->ends), 0);
    p->storage = buf_new(STORAGE);
    *state = p;
    return 0;
}

static int teardown_pair(void **state)
{
    struct pair *p = *state;

    close_p(&p->ends[0]);
    close_p(&p->ends[1]);
    buf_done(&p->storage);
    free(p);
    return 0;
}

static void test_frame_receive__largest_body__round_trip(void **state)
{
    REQ("design 2");
    struct pair *p = *state;
    CLEANUP(free_p) uint8_t *body = malloc(FRAME_BODY_MAX + 1);
    struct frame sent = {.op = 9, .id = 8, .deadline_ms = 7, .body = {body, FRAME_BODY_MAX}};
    struct frame got;
    int fds[FRAME_FDS_MAX];

    assert_non_null(body);
    memset(body, 0x5a, FRAME_BODY_MAX + 1);
    assert_int_equal(frame_send(p->ends[0], &sent, NULL, 0, in_ms(5000), NULL), ESIGN_OK);
    assert_int_equal(frame_receive(p->ends[1], &p->storage, &got, fds, in_ms(5000), NULL),
                     ESIGN_OK);
    assert_int_equal(got.op, 9);
    assert_true(bytes_equal(got.body, sent.body));
    assert_int_equal(fds[0], -1);
    sent.body.len++;
    assert_int_equal(frame_send(p->ends[0], &sent, NULL, 0, in_ms(5000), NULL), ESIGN_E_TOO_LARGE);
}

static void test_frame_receive__two_descriptors__owned_and_close_on_exec(void **state)
{
    REQ("design 2");
    struct pair *p = *state;
    int pipe_ends[2], fds[FRAME_FDS_MAX];
    const struct frame sent = {.op = 1};
    struct frame got;
    char c = 0;

    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    assert_int_equal(frame_send(p->ends[0], &sent, pipe_ends, 2, in_ms(5000), NULL), ESIGN_OK);
    assert_int_equal(frame_receive(p->ends[1], &p->storage, &got, fds, in_ms(5000), NULL),
                     ESIGN_OK);
    assert_true(fds[0] >= 0 && fds[1] >= 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(pipe_ends[0], &c, 1), 1);
    assert_int_equal(c, 'x');
    for (size_t i = 0; i < 2; i++) {
        close_p(&fds[i]);
        close_p(&pipe_ends[i]);
    }
}

static void send_raw(int fd, struct bytes message, const int *fds, size_t fd_count)
{
    char room[CMSG_SPACE(4 * sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec part = {(void *)(uintptr_t)message.data, message.len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd_count > 0) {
        m.msg_control = room;
        m.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
    }
    assert_int_equal(sendmsg(fd, &m, 0), message.len);
}

/* The lowest free descriptor: rises if one was leaked. */
static int lowest_free(void)
{
    int fd = dup(STDERR_FILENO);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    return fd;
}

static void test_frame_receive__descriptors_not_as_announced__refused_and_closed(void **state)
{
    REQ("design 2");
    struct pair *p = *state;
    const int many[4] = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};
    struct frame got;
    int fds[FRAME_FDS_MAX];
    int before = lowest_free();

    for (size_t announced = 0; announced <= 2; announced++) {
        for (size_t came = 0; came <= 4; came++) {
            CLEANUP(buf_done) struct buf message = buf_new(LINE);
            if (announced == came)
                continue;
            put_good(&message);
            message.data[7] = (uint8_t)announced;
            send_raw(p->ends[0], buf_bytes(&message), many, came);
            assert_int_equal(frame_receive(p->ends[1], &p->storage, &got, fds, in_ms(5000), NULL),
                             ESIGN_E_PROTO);
            assert_int_equal(fds[0], -1);
            assert_int_equal(lowest_free(), before);
        }
    }
}

static void test_frame_receive__message_over_limit__refused(void **state)
{
    REQ("design 2");
    struct pair *p = *state;
    CLEANUP(free_p) uint8_t *large = calloc(1, STORAGE + 1);
    struct frame got;
    int fds[FRAME_FDS_MAX];

    assert_non_null(large);
    send_raw(p->ends[0], bytes_of(large, STORAGE + 1), NULL, 0);
    assert_int_equal(frame_receive(p->ends[1], &p->storage, &got, fds, in_ms(5000), NULL),
                     ESIGN_E_PROTO);
}

static void test_frame_receive__closed__reason_closed(void **state)
{
    REQ("design 2");
    struct pair *p = *state;
    struct frame got;
    int fds[FRAME_FDS_MAX];
    struct fault f = {0};

    close_p(&p->ends[0]);
    p->ends[0] = -1;
    assert_int_equal(frame_receive(p->ends[1], &p->storage, &got, fds, -1, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "closed");
    assert_int_equal(frame_send(p->ends[1], &(struct frame){.op = 1}, NULL, 0, in_ms(5000), &f),
                     ESIGN_E_HSM);
    assert_string_equal(f.reason, "closed");
}

static void test_frame_receive__nothing_comes__deadline(void **state)
{
    REQ("design 2");
    struct pair *p = *state;
    struct frame got;
    int fds[FRAME_FDS_MAX];

    assert_int_equal(frame_receive(p->ends[1], &p->storage, &got, fds, in_ms(30), NULL),
                     ESIGN_E_DEADLINE);
}

static void test_frame_send__nobody_reads__deadline(void **state)
{
    REQ("design 2");
    struct pair *p = *state;
    enum esign_rc rc;
    int64_t until = in_ms(200);

    do
        rc = frame_send(p->ends[0], &(struct frame){.op = 1}, NULL, 0, until, NULL);
    while (rc == ESIGN_OK);
    assert_int_equal(rc, ESIGN_E_DEADLINE);
}

static void test_frame_get_fault__round_trip__same(void **state)
{
    REQ("design 5");
    (void)state;
    CLEANUP(buf_done) struct buf body = buf_new(LINE);
    struct fault sent = {.cause = 0x30}, got = {0};

    (void)fault_reason(&sent, ESIGN_E_HSM, "unavailable", "C_Sign: CKR_DEVICE_ERROR");
    sent.cause = 0x30;
    frame_put_fault(&body, &sent);
    const struct frame reply = {.status = ESIGN_E_HSM, .body = buf_bytes(&body)};
    assert_int_equal(frame_get_fault(&reply, &got), ESIGN_E_HSM);
    assert_int_equal(got.rc, ESIGN_E_HSM);
    assert_string_equal(got.reason, "unavailable");
    assert_string_equal(got.field, "");
    assert_string_equal(got.detail, sent.detail);
    assert_int_equal(got.cause, 0x30);
}

static void test_frame_get_fault__hostile__made_harmless(void **state)
{
    REQ("design 2");
    (void)state;
    CLEANUP(buf_done) struct buf body = buf_new(LINE);
    struct fault sent = {.detail = "a\nline\x1b[2J \xff\xfe"}, got = {0};

    frame_put_fault(&body, &sent);
    const struct frame unknown = {.status = 77777, .body = buf_bytes(&body)};
    assert_int_equal(frame_get_fault(&unknown, &got), ESIGN_E_INTERNAL);
    assert_string_equal(got.detail, "a?line?[2J ??");
    const struct frame cut = {.status = ESIGN_E_AUTHZ, .body = {body.data, body.len - 1}};
    assert_int_equal(frame_get_fault(&cut, &got), ESIGN_E_HSM);
    assert_string_equal(got.reason, "worker");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_put_header__fixture__byte_for_byte),
        cmocka_unit_test(test_frame_parse__hostile_header__refused),
        cmocka_unit_test(test_frame_parse__every_shorter_message__refused),
        cmocka_unit_test_setup_teardown(test_frame_receive__largest_body__round_trip, setup_pair,
                                        teardown_pair),
        cmocka_unit_test_setup_teardown(
            test_frame_receive__two_descriptors__owned_and_close_on_exec, setup_pair,
            teardown_pair),
        cmocka_unit_test_setup_teardown(
            test_frame_receive__descriptors_not_as_announced__refused_and_closed, setup_pair,
            teardown_pair),
        cmocka_unit_test_setup_teardown(test_frame_receive__message_over_limit__refused, setup_pair,
                                        teardown_pair),
        cmocka_unit_test_setup_teardown(test_frame_receive__closed__reason_closed, setup_pair,
                                        teardown_pair),
        cmocka_unit_test_setup_teardown(test_frame_receive__nothing_comes__deadline, setup_pair,
                                        teardown_pair),
        cmocka_unit_test_setup_teardown(test_frame_send__nobody_reads__deadline, setup_pair,
                                        teardown_pair),
        cmocka_unit_test(test_frame_get_fault__round_trip__same),
        cmocka_unit_test(test_frame_get_fault__hostile__made_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
