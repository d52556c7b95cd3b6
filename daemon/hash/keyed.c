#include "hash/keyed.h"

#include "base/cleanup.h"

#include <sodium.h>
#include <stdio.h>

enum {
    KEYED_SALT_LEN = crypto_pwhash_SALTBYTES,
    KEYED_LEN = 32,
    KEYED_SALT_TEXT = 23, /* base64 without padding, with its NUL */
    KEYED_TEXT = 44,
    KEYED_MEMORY_KIB_MAX = 1048576, /* as the options allow */
    KEYED_PASSES_MAX = 16
};

_Static_assert(KEYED_LEN == crypto_auth_hmacsha256_BYTES, "HMAC-SHA256 gives what is wanted");
_Static_assert((int)KEYED_LEN == (int)HASH_KEY_LEN, "and a key's length");

static const char keyed_prefix[] = "$esignd-argon2id-keyed$v=1$";

/* What stands in a string. */
struct keyed {
    uint64_t memory_kib, passes;
    uint8_t salt[KEYED_SALT_LEN], verifier[KEYED_LEN];
};

bool keyed_is(const char *phc)
{
    return strncmp(phc, keyed_prefix, sizeof(keyed_prefix) - 1) == 0;
}

/* One of the two values: HMAC-SHA256 of its name under what Argon2id gave. */
static void keyed_expand(const uint8_t master[KEYED_LEN], const char *name, uint8_t ret[KEYED_LEN])
{
    (void)crypto_auth_hmacsha256(ret, (const uint8_t *)name, strlen(name),
                                 master); /* cannot fail: it has no error */
}

/* Both values of a secret at the cost and with the salt of k. */
static enum esign_rc keyed_compute(const struct keyed *k, struct bytes secret,
                                   uint8_t ret_verifier[KEYED_LEN], uint8_t ret_key[HASH_KEY_LEN],
                                   struct fault *f)
{
    uint8_t master[KEYED_LEN];

    if (crypto_pwhash(master, sizeof(master), (const char *)secret.data, secret.len, k->salt,
                      k->passes, (size_t)k->memory_kib * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return fault_set(f, ESIGN_E_BUSY, "no memory for a password hash");
    keyed_expand(master, "esignd password verifier 1", ret_verifier);
    keyed_expand(master, "esignd sealing key 1", ret_key);
    secret_wipe(master, sizeof(master));
    secret_wipe_stack(); /* HMAC-SHA256 leaves the key in its blocks */
    return ESIGN_OK;
}

enum esign_rc keyed_make(struct bytes secret, unsigned long long passes, size_t memory,
                         char ret[HASH_PHC_MAX], uint8_t ret_key[HASH_KEY_LEN], struct fault *f)
{
    struct keyed k = {.memory_kib = memory / 1024, .passes = passes};
    char salt[KEYED_SALT_TEXT], verifier[KEYED_TEXT];

    bytes_random(k.salt, sizeof(k.salt));
    enum esign_rc rc = keyed_compute(&k, secret, k.verifier, ret_key, f);
    if (rc != ESIGN_OK)
        return rc;
    (void)sodium_bin2base64(salt, sizeof(salt), k.salt, sizeof(k.salt),
                            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    (void)sodium_bin2base64(verifier, sizeof(verifier), k.verifier, sizeof(k.verifier),
                            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    (void)snprintf(ret, HASH_PHC_MAX, "%sm=%llu,t=%llu,p=1$%s$%s", keyed_prefix,
                   (unsigned long long)k.memory_kib, (unsigned long long)k.passes, salt,
                   verifier); /* at most 123 bytes */
    return ESIGN_OK;
}

/* A number of at most 7 digits from 1 to max behind the words before it; moves *at behind it. */
static bool keyed_number(const char **at, const char *before, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (strncmp(*at, before, strlen(before)) != 0)
        return false;
    const char *digit = *at + strlen(before);
    for (*at = digit; **at >= '0' && **at <= '9' && *at < digit + 7; (*at)++)
        value = value * 10 + (uint64_t)(**at - '0');
    *ret = value;
    return *digit != '0' && value > 0 && value <= max;
}

/* base64 of exactly len bytes behind a '$'; moves *at behind it. */
static bool keyed_bytes(const char **at, uint8_t *ret, size_t len)
{
    size_t got = 0;
    const char *end = NULL;

    if (**at != '$')
        return false;
    (*at)++;
    if (sodium_base642bin(ret, len, *at, strlen(*at), NULL, &got, &end,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0 ||
        got != len)
        return false;
    *at = end;
    return true;
}

static bool keyed_parse(const char *phc, struct keyed *ret)
{
    const char *at = phc + sizeof(keyed_prefix) - 1;

    return keyed_is(phc) && keyed_number(&at, "m=", KEYED_MEMORY_KIB_MAX, &ret->memory_kib) &&
           keyed_number(&at, ",t=", KEYED_PASSES_MAX, &ret->passes) &&
           strncmp(at, ",p=1", 4) == 0 && (at += 4) &&
           keyed_bytes(&at, ret->salt, sizeof(ret->salt)) &&
           keyed_bytes(&at, ret->verifier, sizeof(ret->verifier)) && *at == '\0';
}

enum esign_rc keyed_verify(const char *phc, struct bytes secret, bool *ret,
                           uint8_t ret_key[HASH_KEY_LEN], struct fault *f)
{
    struct keyed k = {0};
    uint8_t verifier[KEYED_LEN];

    if (!keyed_parse(phc, &k))
        return fault_set(f, ESIGN_E_PROTO, "not a keyed Argon2id hash");
    enum esign_rc rc = keyed_compute(&k, secret, verifier, ret_key, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret = sodium_memcmp(verifier, k.verifier, sizeof(verifier)) == 0;
    return ESIGN_OK;
}
