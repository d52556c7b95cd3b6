/* The caller's side of a helper: a pool of connections ("lanes"), one request at a time on each. */
#pragma once

#include "base/worker/frame.h"

struct worker_pool;

/* path: the helper's SOCK_SEQPACKET socket; lanes: most connections open at once (1 to 64).
 * Connects lazily.  name: for texts ("token signers").  ret: owned by the caller. */
enum esign_rc worker_pool_new(const char *name, const char *path, unsigned lanes,
                              struct worker_pool **ret, struct fault *f) MUST_CHECK;
void worker_pool_free(struct worker_pool *pool); /* NULL is allowed; no call may be running */

/* A pool of one lane on a connected socket (taken): for a helper that is a child. */
enum esign_rc worker_pool_adopt(const char *name, int fd, struct worker_pool **ret,
                                struct fault *f) MUST_CHECK;

/* Whether a worker answers at all.  Errors as worker_call. */
enum esign_rc worker_ping(struct worker_pool *pool, int64_t deadline_at_ms,
                          struct fault *f) MUST_CHECK;

/* One request and its reply.  Waits for a free lane, connects if needed, sends, receives; at most
 * until deadline_at_ms (monotonic, clock_mono_ms).  A lane whose worker died or that ran into the
 * deadline is closed.  fds: borrowed.  reply: cleared and filled with the reply's body; if it is
 * locked, so is all memory that the reply comes through, and it is wiped there.  Any number of
 * threads.
 * A request is sent again only if the kernel says that the worker ended without having read it
 * (EPIPE, ECONNRESET); one that may have been begun never is.
 * Errors: what the worker answered, unchanged; ESIGN_E_HSM reason "worker": it died or can't be
 * reached; ESIGN_E_DEADLINE; ESIGN_E_TOO_LARGE: body, or reply is too small for the answer. */
enum esign_rc worker_call(struct worker_pool *pool, uint16_t op, struct bytes body, const int *fds,
                          size_t fd_count, int64_t deadline_at_ms, struct buf *reply,
                          struct fault *f) MUST_CHECK;
