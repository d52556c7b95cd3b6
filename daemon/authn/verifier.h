/* A quick verifier of a password for as long as a session lives: HMAC under a random key, in locked
 * memory, so that the slow hash is paid once and the password itself is not kept. */
#pragma once

#include "base/secret.h"

/* Of this password.  NULL: no memory.  Freed with secret_free(). */
struct secret *verifier_new(const struct secret *password);

/* Whether the password is that of the verifier; constant in time. */
bool verifier_matches(const struct secret *verifier, const struct secret *password);
