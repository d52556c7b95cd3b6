#include "authn/verifier.h"

#include <openssl/hmac.h>
#include <string.h>

enum { VERIFIER_KEY_LEN = 32 };

/* The key, and the HMAC under it. */
struct verifier {
    uint8_t key[VERIFIER_KEY_LEN], mac[SHA256_LEN];
};

static bool verifier_mac(struct verifier *v, const struct secret *password)
{
    struct bytes text = secret_bytes(password);
    unsigned len = 0;

    return HMAC(EVP_sha256(), v->key, sizeof(v->key), text.data, text.len, v->mac, &len) != NULL &&
           len == sizeof(v->mac);
}

struct secret *verifier_new(const struct secret *password)
{
    struct verifier v;
    struct secret *verifier = NULL;

    bytes_random(v.key, sizeof(v.key));
    if (verifier_mac(&v, password))
        verifier = secret_new(bytes_of((const uint8_t *)&v, sizeof(v)));
    secret_wipe(&v, sizeof(v));
    return verifier;
}

bool verifier_matches(const struct secret *verifier, const struct secret *password)
{
    struct verifier v;

    memcpy(v.key, secret_bytes(verifier).data, sizeof(v.key));
    bool right = verifier_mac(&v, password) &&
                 secret_equal(verifier, bytes_of((const uint8_t *)&v, sizeof(v)));
    secret_wipe(&v, sizeof(v));
    return right;
}
