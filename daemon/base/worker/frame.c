#include "base/worker/frame.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/reader.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FRAME_MAGIC = 0x45535731, /* "ESW1" */
    FRAME_FLAG_LAST = 1,
};

/* Room for descriptors, aligned as cmsg(3) wants it. */
union frame_control {
    struct cmsghdr header;
    char room[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
};

void frame_put_header(struct buf *out, const struct frame *frame, size_t fd_count)
{
    buf_put_u32(out, FRAME_MAGIC);
    buf_put_u16(out, frame->op);
    buf_put_u8(out, frame->last ? FRAME_FLAG_LAST : 0);
    buf_put_u8(out, (uint8_t)fd_count);
    buf_put_u32(out, frame->id);
    buf_put_u32(out, frame->deadline_ms);
    buf_put_u32(out, frame->status);
    buf_put_u32(out, (uint32_t)frame->body.len);
}

enum esign_rc frame_parse(struct bytes message, struct frame *ret, size_t *ret_fd_count)
{
    struct reader r = reader_of(message);
    struct frame frame = {0};

    uint32_t magic = reader_u32(&r);
    frame.op = reader_u16(&r);
    uint8_t flags = reader_u8(&r);
    uint8_t fd_count = reader_u8(&r);
    frame.id = reader_u32(&r);
    frame.deadline_ms = reader_u32(&r);
    frame.status = reader_u32(&r);
    frame.body = reader_blob(&r, FRAME_BODY_MAX);
    if (!reader_done(&r) || magic != FRAME_MAGIC || (flags & ~FRAME_FLAG_LAST) != 0 ||
        fd_count > FRAME_FDS_MAX)
        return ESIGN_E_PROTO;
    frame.last = (flags & FRAME_FLAG_LAST) != 0;
    *ret = frame;
    *ret_fd_count = fd_count;
    return ESIGN_OK;
}

/* error: 0 for an end in order. */
static enum esign_rc frame_closed(struct fault *f, int error)
{
    enum esign_rc rc =
        fault_reason(f, ESIGN_E_HSM, "closed", "the other side has closed the connection");

    if (f)
        f->cause = (unsigned long)error;
    return rc;
}

/* Wait until fd has one of events, or an error that the next call on it reports. */
static enum esign_rc frame_wait(int fd, short events, int64_t deadline_at_ms, struct fault *f)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        int64_t left = -1;
        if (deadline_at_ms >= 0) {
            left = deadline_at_ms - clock_mono_ms(clock_system());
            if (left <= 0)
                return fault_set(f, ESIGN_E_DEADLINE, "no frame within the deadline");
        }
        int n = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (n > 0)
            return ESIGN_OK;
        if (n < 0 && errno != EINTR)
            return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "poll of a connection");
    }
}

/* What a failed send or receive means; ESIGN_OK: it was only too early, and the wait is over. */
static enum esign_rc frame_retry(int fd, short events, int64_t deadline_at_ms, struct fault *f)
{
    int error = errno;

    if (error == EINTR)
        return ESIGN_OK;
    if (error == EAGAIN)
        return frame_wait(fd, events, deadline_at_ms, f);
    if (error == EPIPE || error == ECONNRESET || error == ENOTCONN)
        return frame_closed(f, error);
    return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)error, "a frame can't be transferred");
}

enum esign_rc frame_send(int fd, const struct frame *frame, const int *fds, size_t fd_count,
                         int64_t deadline_at_ms, struct fault *f)
{
    assert(fd_count <= FRAME_FDS_MAX);
    if (frame->body.len > FRAME_BODY_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "a request to a helper has at most %d bytes",
                         FRAME_BODY_MAX);
    uint8_t room[FRAME_HEADER_LEN + 1];
    struct buf header = {.data = room, .cap = sizeof(room), .max = FRAME_HEADER_LEN};
    frame_put_header(&header, frame, fd_count);
    assert(buf_ok(&header) && header.len == FRAME_HEADER_LEN);
    struct iovec parts[2] = {{room, FRAME_HEADER_LEN},
                             {(void *)(uintptr_t)frame->body.data, frame->body.len}};
    union frame_control control = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (fd_count > 0) {
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
    }
    while (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        enum esign_rc rc = frame_retry(fd, POLLOUT, deadline_at_ms, f);
        if (rc != ESIGN_OK)
            return rc;
    }
    return ESIGN_OK;
}

/* The length of the next message; 0: closed.  Waits for it. */
static enum esign_rc frame_peek(int fd, int64_t deadline_at_ms, size_t *ret, struct fault *f)
{
    ssize_t n;

    while ((n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT)) < 0) {
        enum esign_rc rc = frame_retry(fd, POLLIN, deadline_at_ms, f);
        if (rc != ESIGN_OK)
            return rc;
    }
    *ret = (size_t)n;
    return ESIGN_OK;
}

/* Take the descriptors of a message; returns how many came. */
static size_t frame_take_fds(struct msghdr *message, int fds[FRAME_FDS_MAX])
{
    size_t count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n && count < FRAME_FDS_MAX; i++)
            memcpy(&fds[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return count;
}

static void frame_close_fds(int fds[FRAME_FDS_MAX])
{
    for (size_t i = 0; i < FRAME_FDS_MAX; i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]); /* only refused: nothing was written to it */
        fds[i] = -1;
    }
}

enum esign_rc frame_receive(int fd, struct buf *storage, struct frame *ret, int fds[FRAME_FDS_MAX],
                            int64_t deadline_at_ms, struct fault *f)
{
    size_t len = 0, fd_count = 0;

    for (size_t i = 0; i < FRAME_FDS_MAX; i++)
        fds[i] = -1;
    buf_clear(storage);
    enum esign_rc rc = frame_peek(fd, deadline_at_ms, &len, f);
    if (rc != ESIGN_OK)
        return rc;
    if (len == 0)
        return frame_closed(f, 0);
    uint8_t *room = len > FRAME_HEADER_LEN + FRAME_BODY_MAX ? NULL : buf_reserve(storage, len);
    if (!room)
        return fault_set(f, ESIGN_E_PROTO, "a frame of %zu bytes", len);
    union frame_control control = {0};
    struct iovec part = {room, len};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof(control.room)};
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "a frame can't be received");
    size_t came = frame_take_fds(&message, fds);
    if ((size_t)n != len || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        frame_parse(buf_bytes(storage), ret, &fd_count) != ESIGN_OK || fd_count != came) {
        frame_close_fds(fds);
        return fault_set(f, ESIGN_E_PROTO, "a message that is not a frame");
    }
    return ESIGN_OK;
}

void frame_put_fault(struct buf *body, const struct fault *fault)
{
    buf_put_blob(body, bytes_of_str(fault->reason));
    buf_put_blob(body, bytes_of_str(fault->field));
    buf_put_blob(body, bytes_of_str(fault->detail));
    buf_put_u64(body, fault->cause);
}

/* Text of a helper that may have been taken over: what is not a clean line becomes ASCII. */
static void frame_clean_text(char *text, size_t size)
{
    if (text[0] == '\0' || text_is_line(text, size))
        return;
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
            *c = '?';
}

enum esign_rc frame_get_fault(const struct frame *frame, struct fault *f)
{
    struct reader r = reader_of(frame->body);
    struct fault fault = {.rc = fault_by_name(fault_name((enum esign_rc)frame->status))};

    assert(frame->status != 0);
    reader_str(&r, fault.reason, sizeof(fault.reason));
    reader_str(&r, fault.field, sizeof(fault.field));
    reader_str(&r, fault.detail, sizeof(fault.detail));
    fault.cause = reader_u64(&r);
    if (!reader_done(&r))
        return fault_reason(f, ESIGN_E_HSM, "worker", "a helper answered a malformed error");
    frame_clean_text(fault.reason, sizeof(fault.reason));
    frame_clean_text(fault.field, sizeof(fault.field));
    frame_clean_text(fault.detail, sizeof(fault.detail));
    if (f)
        *f = fault;
    return fault.rc;
}
