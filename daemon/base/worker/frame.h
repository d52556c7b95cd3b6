/* The frame between esignd and its helpers (FORMAT.md beside this file): one SOCK_SEQPACKET message
 * a frame, a fixed header, then the fields of the operation in fixed order. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

enum {
    FRAME_HEADER_LEN = 24,
    FRAME_BODY_MAX = 128 * 1024,
    FRAME_FDS_MAX = 2,
};

struct frame {
    uint16_t op;          /* the operation; the same in request and reply */
    uint32_t id;          /* chosen by the caller, returned in the reply */
    uint32_t deadline_ms; /* time that the worker has; 0 in a reply */
    uint32_t status;      /* 0 in a request; enum esign_rc in a reply */
    struct bytes body;    /* borrowed */
};

/* Send one frame with its descriptors (borrowed).  Blocks at most until deadline_at_ms (monotonic).
 */
enum esign_rc frame_send(int fd, const struct frame *frame, const int *fds, size_t fd_count,
                         int64_t deadline_at_ms, struct fault *f) MUST_CHECK;

/* Receive one frame.  storage: cleared and filled; frame->body borrows from it.  fds: FRAME_FDS_MAX
 * entries, set to owned descriptors or -1.  ESIGN_E_DEADLINE; ESIGN_E_HSM: the other side has
 * closed or died (reason "closed"); ESIGN_E_PROTO: not a frame.  deadline_at_ms: monotonic, -1
 * waits for ever. */
enum esign_rc frame_receive(int fd, struct buf *storage, struct frame *ret, int fds[FRAME_FDS_MAX],
                            int64_t deadline_at_ms, struct fault *f) MUST_CHECK;

/* The body of an error reply: reason, field, detail, cause.  And its reading back into f. */
void frame_put_fault(struct buf *body, const struct fault *fault);
enum esign_rc frame_get_fault(const struct frame *frame, struct fault *f) MUST_CHECK;
