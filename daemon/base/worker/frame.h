/* The frame between esignd and its helpers (FORMAT.md beside this file): one SOCK_SEQPACKET message
 * a frame, a fixed header, then the fields of the operation in fixed order. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

enum {
    FRAME_HEADER_LEN = 24,
    FRAME_BODY_MAX = 128 * 1024,
    FRAME_FDS_MAX = 2,
    FRAME_OP_PING = 0xffff, /* of every helper: an empty reply, from the skeleton */
};

struct frame {
    uint16_t op;          /* the operation; the same in request and reply */
    uint32_t id;          /* chosen by the caller, returned in the reply */
    uint32_t deadline_ms; /* time that the worker has; 0 in a reply */
    uint32_t status;      /* 0 in a request; enum esign_rc in a reply */
    bool last;            /* in a reply: the worker closes the connection after it */
    struct bytes body;    /* borrowed */
};

/* Send one frame with its descriptors (borrowed, at most FRAME_FDS_MAX).  Blocks at most until
 * deadline_at_ms (monotonic).  ESIGN_E_DEADLINE; ESIGN_E_HSM reason "closed": the other side has
 * closed or died and has not got the frame; ESIGN_E_TOO_LARGE: the body is longer than
 * FRAME_BODY_MAX. */
enum esign_rc frame_send(int fd, const struct frame *frame, const int *fds, size_t fd_count,
                         int64_t deadline_at_ms, struct fault *f) MUST_CHECK;

/* Receive one frame.  storage: cleared (wiped) and filled; ret->body borrows from it; its maximum
 * must be FRAME_HEADER_LEN + FRAME_BODY_MAX.  fds: FRAME_FDS_MAX entries, set to owned descriptors
 * or -1.  deadline_at_ms: monotonic, -1 waits for ever.  ESIGN_E_DEADLINE; ESIGN_E_HSM reason
 * "closed": the other side has closed or died; with cause ECONNRESET it has not read all that was
 * sent to it; ESIGN_E_PROTO: not a frame, the connection must be
 * closed. */
enum esign_rc frame_receive(int fd, struct buf *storage, struct frame *ret, int fds[FRAME_FDS_MAX],
                            int64_t deadline_at_ms, struct fault *f) MUST_CHECK;

/* The header of a frame, appended to out; fd_count: descriptors that go with it. */
void frame_put_header(struct buf *out, const struct frame *frame, size_t fd_count);

/* Read one whole message (header and body).  Pure.  ret->body borrows from message; ret_fd_count:
 * descriptors that the header announces.  ESIGN_E_PROTO: not a frame of this version, a wrong
 * length, an unknown flag or more than FRAME_FDS_MAX descriptors. */
enum esign_rc frame_parse(struct bytes message, struct frame *ret, size_t *ret_fd_count) MUST_CHECK;

/* The body of an error reply: reason, field, detail, cause. */
void frame_put_fault(struct buf *body, const struct fault *fault);

/* Its reading back into f (may be NULL): returns the reply's status, which the caller passes on.
 * Text that is not a clean line is made one; a status that is not in the table becomes
 * ESIGN_E_INTERNAL.  A malformed body: ESIGN_E_HSM reason "worker".  frame: status not 0. */
enum esign_rc frame_get_fault(const struct frame *frame, struct fault *f) MUST_CHECK;
