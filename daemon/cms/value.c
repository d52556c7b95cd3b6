/* The one form of a signature value. */
#include "cms/cms_internal.h"

#include "base/cleanup.h"

#include <openssl/ec.h>

#include <openssl/err.h>

DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

/* The order n of the base point: FIPS 186-4, D.1.2.3 and D.1.2.4.  (To have the library make the
 * curve for it takes as long as half of the check of a signature.) */
static const uint8_t ORDER_P256[] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
static const uint8_t ORDER_P384[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73};

/* s becomes n - s where that is smaller. */
static bool take_smaller_s(ECDSA_SIG *value, struct bytes order)
{
    CLEANUP(BN_free_p) BIGNUM *n = BN_bin2bn(order.data, (int)order.len, NULL);
    CLEANUP(BN_free_p) BIGNUM *other = BN_new();
    CLEANUP(BN_free_p) BIGNUM *r = BN_dup(ECDSA_SIG_get0_r(value));
    const BIGNUM *s = ECDSA_SIG_get0_s(value);

    if (!n || !other || !r || BN_is_negative(s) || BN_cmp(s, n) >= 0 || BN_sub(other, n, s) != 1)
        return false;
    if (BN_cmp(s, other) <= 0)
        return true;
    if (ECDSA_SIG_set0(value, r, other) != 1)
        return false;
    r = other = NULL; /* taken over */
    return true;
}

enum esign_rc cms_put_value(struct buf *out, struct bytes value, enum token_algorithm algorithm,
                            struct fault *f)
{
    if (algorithm != TOKEN_P256 && algorithm != TOKEN_P384) {
        buf_put(out, value);
        return ESIGN_OK;
    }
    const unsigned char *at = value.data;
    CLEANUP(ECDSA_SIG_free_p)
    ECDSA_SIG *ecdsa =
        value.len <= TOKEN_SIGNATURE_MAX ? d2i_ECDSA_SIG(NULL, &at, (long)value.len) : NULL;
    bool good =
        ecdsa && at == value.data + value.len &&
        take_smaller_s(ecdsa, algorithm == TOKEN_P256 ? bytes_of(ORDER_P256, sizeof(ORDER_P256))
                                                      : bytes_of(ORDER_P384, sizeof(ORDER_P384)));
    int len = good ? i2d_ECDSA_SIG(ecdsa, NULL) : 0;
    unsigned char *room = len > 0 ? buf_reserve(out, (size_t)len) : NULL;
    ERR_clear_error();
    if (!room || i2d_ECDSA_SIG(ecdsa, &room) != len)
        return fault_set(f, ESIGN_E_FORMAT, "this is no ECDSA signature value");
    return ESIGN_OK;
}
