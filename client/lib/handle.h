/* The inside of the handle, for the files of this folder. */
#pragma once

#include "base/buf.h"
#include "esign/client.h"

enum { HANDLE_PATH_MAX = 2048 };

/* GET path. */
enum esign_rc handle_get(struct esign *handle, const char *path, struct esign_result **ret,
                         struct esign_error *error) ESIGN_MUST_CHECK;

/* POST path with a finished body; wipes the body.  ESIGN_E_TOO_LARGE (reason "request"): it did not
 * fit. */
enum esign_rc handle_post(struct esign *handle, const char *path, struct buf *body,
                          struct esign_result **ret, struct esign_error *error) ESIGN_MUST_CHECK;

/* The same under an Idempotency-Key: as in struct esign_request, with what the library put behind
 * it; NULL: none.  ESIGN_E_PROTO: it can't be a key. */
struct handle_post {
    const char *path, *key;
    struct buf *body; /* wiped */
};
enum esign_rc handle_post_keyed(struct esign *handle, const struct handle_post *post,
                                struct esign_result **ret,
                                struct esign_error *error) ESIGN_MUST_CHECK;

/* "prefix" id "suffix" into ret (HANDLE_PATH_MAX bytes).  ESIGN_E_PROTO: id is missing or is no
 * identifier, field names the parameter. */
enum esign_rc handle_path(const char *prefix, const char *id, const char *suffix, char *ret,
                          struct esign_error *error) ESIGN_MUST_CHECK;

/* Append "?name=value" or "&name=value", percent-encoded; value NULL: nothing.
 * Source: RFC 3986 section 2.1. */
void handle_query(struct buf *path, const char *name, const char *value);
void handle_query_limit(struct buf *path, unsigned limit); /* 0: nothing */
