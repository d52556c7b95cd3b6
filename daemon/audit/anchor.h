/* The anchor file: every checkpoint once more, on a line of its own, in a file to which esignd only
 * appends; best on another disk. */
#pragma once

#include "audit/checkpoint.h"

/* Append a signed note; on disk when this returns.  Nothing is written if it is the last one there.
 * A line that a crash has cut is closed as such first.  ESIGN_E_AUDIT_UNAVAILABLE. */
enum esign_rc audit_append_anchor(const char *path, struct bytes note, struct fault *f) MUST_CHECK;

/* One line of the file.  note: empty if the line is malformed. */
typedef enum esign_rc (*audit_anchor_fn)(void *ctx, int64_t line, struct bytes note,
                                         struct fault *f);

/* Call fn for each line, in order; cut lines are passed over.  ESIGN_E_NOT_FOUND: no file;
 * ESIGN_E_AUDIT_UNAVAILABLE: not readable; errors of fn. */
enum esign_rc audit_read_anchor(const char *path, audit_anchor_fn fn, void *ctx,
                                struct fault *f) MUST_CHECK;
