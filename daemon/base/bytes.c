#include "base/bytes.h"

#include <assert.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include "base/cleanup.h"

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

void bytes_sha256(struct bytes a, struct bytes b, uint8_t ret[SHA256_LEN])
{
    CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned len = 0;

    assert(ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1);
    assert(a.len == 0 || EVP_DigestUpdate(ctx, a.data, a.len) == 1);
    assert(b.len == 0 || EVP_DigestUpdate(ctx, b.data, b.len) == 1);
    assert(EVP_DigestFinal_ex(ctx, ret, &len) == 1 && len == SHA256_LEN);
}

void bytes_random(uint8_t *ret, size_t len)
{
    while (len > 0) {
        ssize_t got = getrandom(ret, len, 0);
        assert(got > 0);
        ret += got;
        len -= (size_t)got;
    }
}
