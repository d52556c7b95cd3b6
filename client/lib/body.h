/* Writing a request's body: JSON members appended to one wiped buffer, so that a password is never
 * copied anywhere else.  Errors are the buffer's sticky one. */
#pragma once

#include "base/buf.h"
#include "esign/types.h"

void body_open(struct buf *body, const char *name); /* "{" or "name":{ ; name NULL: the top level */
void body_close(struct buf *body);
/* A string member; NULL: nothing is written. */
void body_string(struct buf *body, const char *name, const char *value);
void body_bytes_string(struct buf *body, const char *name, struct bytes value);
void body_integer(struct buf *body, const char *name, uint64_t value);
void body_true(struct buf *body, const char *name);
void body_base64(struct buf *body, const char *name, struct bytes value);

void body_components(struct buf *body, const struct esign_components *components);

/* The member "record"; all that is given. */
void body_record(struct buf *body, const struct esign_record *record);

/* The members of a ticket request, without the braces. */
void body_request(struct buf *body, const struct esign_request *request);
