/* A borrowed run of bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data; /* NULL only if len is 0 */
    size_t len;
};

/* Digest sizes in bytes. */
enum { SHA256_LEN = 32 };

static inline struct bytes bytes_of(const void *data, size_t len)
{
    return (struct bytes){data, len};
}

/* The bytes of a string, without its NUL.  s: not NULL. */
static inline struct bytes bytes_of_str(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

/* Whether a and b are equal.  Not constant in time; secrets are compared in base/secret. */
bool bytes_equal(struct bytes a, struct bytes b);

/* SHA-256 of a followed by b (b may be empty).  ret: SHA256_LEN bytes.  Aborts only if the
 * cryptographic library cannot hash at all. */
void bytes_sha256(struct bytes a, struct bytes b, uint8_t ret[SHA256_LEN]);

/* Fill ret with len random bytes from the cryptographic generator; aborts if it fails. */
void bytes_random(uint8_t *ret, size_t len);
