/* Passwords and PINs: memory that is locked, left out of cores, between guard pages, and wiped when
 * freed.  There is no way to print one.  Source: 21 CFR 11.300. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

struct secret;

enum { SECRET_MAX = 1024 }; /* bytes; longer passwords are refused, never cut */

/* Once, before the first secret: initialises the arena's library, refuses core dumps of this
 * process (PR_SET_DUMPABLE, RLIMIT_CORE) and checks that memory can be locked. */
enum esign_rc secret_start(struct fault *f) MUST_CHECK;

/* A copy of bytes (at most SECRET_MAX).  The caller wipes its own copy.  NULL: too long, or no
 * memory that can be locked. */
struct secret *secret_new(struct bytes bytes);

/* An empty secret with room for SECRET_MAX bytes, to be filled more than once: locking and
 * unlocking memory costs every thread of the process.  NULL: no memory that can be locked. */
struct secret *secret_new_room(void);

/* Put bytes where s held something else, which is overwritten.  false: too long, s is empty. */
bool secret_fill(struct secret *s, struct bytes bytes);
void secret_free(struct secret *s);                            /* wipes; NULL is allowed */
struct bytes secret_bytes(const struct secret *s);             /* borrowed */
bool secret_equal(const struct secret *s, struct bytes bytes); /* constant in time for one length */
void secret_wipe(void *data, size_t len);                      /* overwrite, never optimised away */

/* Overwrite what the functions that the caller has called left on the stack: copies in arguments,
 * in the texts of errors and inside libraries. */
void secret_wipe_stack(void);

/* Read a secret from a file descriptor up to its end or first newline.  The file's own buffers are
 * wiped.  ESIGN_E_TOO_LARGE, ESIGN_E_INTERNAL (cause errno). */
enum esign_rc secret_read_fd(int fd, struct secret **ret, struct fault *f) MUST_CHECK;

/* Read a secret from a file that only its owner (this user or root) can read (mode 0400 or 0600),
 * as systemd puts it under $CREDENTIALS_DIRECTORY.  ESIGN_E_POLICY: missing, other owner or mode.
 */
enum esign_rc secret_read_file(const char *path, struct secret **ret, struct fault *f) MUST_CHECK;
