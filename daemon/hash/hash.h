/* The face of esign-hash: slow password hashes in a process of their own. */
#pragma once

#include "base/fault.h"
#include "base/secret.h"

struct hash;

enum { HASH_PHC_MAX = 128 }; /* bytes of an Argon2id PHC string, with its NUL */

enum esign_rc hash_open(const char *path, unsigned lanes, struct hash **ret,
                        struct fault *f) MUST_CHECK;
void hash_close(struct hash *h);

/* Whether the service answers; nothing is hashed.  ESIGN_E_HSM reason "worker", ESIGN_E_DEADLINE.
 */
enum esign_rc hash_ping(struct hash *h, int64_t deadline_at_ms, struct fault *f) MUST_CHECK;

/* Argon2id with a fresh salt at the service's configured cost.  ret: PHC string. */
enum esign_rc hash_make(struct hash *h, const struct secret *s, int64_t deadline_at_ms,
                        char ret[HASH_PHC_MAX], struct fault *f) MUST_CHECK;

/* The same, and a key of HASH_KEY_LEN bytes that comes of the same slow computation: without the
 * password it is not found faster than by trying passwords at that cost, and the string says
 * nothing of it.  ret_key: owned by the caller.  Source: daemon/hash/FORMAT.md. */
enum { HASH_KEY_LEN = 32 };
enum esign_rc hash_make_key(struct hash *h, const struct secret *s, int64_t deadline_at_ms,
                            char ret[HASH_PHC_MAX], struct secret **ret_key,
                            struct fault *f) MUST_CHECK;

/* Whether s belongs to phc.  phc NULL: the same work is done against a dummy and *ret is false, so
 * that an unknown id costs what a known one costs.  ret_key: the key if s belongs to a phc of
 * hash_make_key(), else NULL; owned by the caller; may be NULL: not wanted. */
enum esign_rc hash_verify(struct hash *h, const char *phc, const struct secret *s,
                          int64_t deadline_at_ms, bool *ret, struct secret **ret_key,
                          struct fault *f) MUST_CHECK;
