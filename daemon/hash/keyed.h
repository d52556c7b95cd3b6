/* A password hash that gives a key with the same slow computation.  Source: daemon/hash/FORMAT.md.
 */
#pragma once

#include "hash/hash.h"

/* Whether a string is one of keyed_make(), by its beginning. */
bool keyed_is(const char *phc);

/* Of a secret with a fresh salt: the string, and the key, which the caller wipes.  passes, memory
 * (bytes): the cost.  ESIGN_E_BUSY: no memory. */
enum esign_rc keyed_make(struct bytes secret, unsigned long long passes, size_t memory,
                         char ret[HASH_PHC_MAX], uint8_t ret_key[HASH_KEY_LEN],
                         struct fault *f) MUST_CHECK;

/* Whether the secret belongs to the string; then also the key, which the caller wipes.
 * ESIGN_E_PROTO: not such a string, or a cost that no option allows; ESIGN_E_BUSY: no memory. */
enum esign_rc keyed_verify(const char *phc, struct bytes secret, bool *ret,
                           uint8_t ret_key[HASH_KEY_LEN], struct fault *f) MUST_CHECK;
