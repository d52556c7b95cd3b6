#include "cms/key.h"

#include "cms/cms.h"
#include "cms/der.h"
#include "cms/der_read.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

DEFINE_CLEANUP(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP(OSSL_PARAM *, OSSL_PARAM_free)

static const char OID_RSA[] = "1.2.840.113549.1.1.1", OID_EC[] = "1.2.840.10045.2.1";

static const struct key_curve {
    const char *oid, *group;
    size_t point_len;
} key_curves[] = {
    {"1.2.840.10045.3.1.7", "P-256", 65},
    {"1.3.132.0.34", "P-384", 97},
};

/* What a SubjectPublicKeyInfo says. */
struct key_info {
    char algorithm[DER_OID_TEXT_MAX], curve[DER_OID_TEXT_MAX]; /* curve: "" for RSA */
    struct bytes key;                                          /* the bits of subjectPublicKey */
};

/* The certificate's SubjectPublicKeyInfo without its tag; false: this is no certificate. */
static bool find_info(struct bytes cert, struct reader *ret)
{
    struct reader all = reader_of(cert);
    struct reader parts = reader_of(der_take(&all, DER_SEQUENCE));
    struct reader tbs = reader_of(der_take(&parts, DER_SEQUENCE));

    (void)der_take(&tbs, DER_CONTEXT_0); /* version; errors stay in tbs, as in the next five */
    (void)der_take(&tbs, DER_INTEGER);   /* serial number */
    (void)der_take(&tbs, DER_SEQUENCE);  /* algorithm */
    (void)der_take(&tbs, DER_SEQUENCE);  /* issuer */
    (void)der_take(&tbs, DER_SEQUENCE);  /* validity */
    (void)der_take(&tbs, DER_SEQUENCE);  /* subject */
    *ret = reader_of(der_take(&tbs, DER_SEQUENCE));
    (void)der_take(&parts, DER_SEQUENCE);   /* algorithm */
    (void)der_take(&parts, DER_BIT_STRING); /* the CA's signature */
    return reader_done(&all) && reader_done(&parts) && !tbs.failed;
}

static bool read_info(struct bytes cert, struct key_info *ret)
{
    struct reader info;

    if (cert.len > CMS_SIGNED_MAX || !find_info(cert, &info))
        return false;
    struct reader algorithm = reader_of(der_take(&info, DER_SEQUENCE));
    ret->key = der_take(&info, DER_BIT_STRING);
    if (!der_oid_text(der_take(&algorithm, DER_OID), ret->algorithm) || !reader_done(&info) ||
        ret->key.len == 0 || ret->key.data[0] != 0) /* no unused bits */
        return false;
    ret->key = bytes_of(ret->key.data + 1, ret->key.len - 1);
    ret->curve[0] = '\0';
    if (der_peek(&algorithm) == DER_OID)
        return der_oid_text(der_take(&algorithm, DER_OID), ret->curve) && reader_done(&algorithm);
    return der_take(&algorithm, DER_NULL).len == 0 && reader_done(&algorithm);
}

static bool push_rsa(const struct key_info *info, BIGNUM *n, BIGNUM *e, OSSL_PARAM_BLD *build)
{
    struct reader all = reader_of(info->key);
    struct reader parts = reader_of(der_take(&all, DER_SEQUENCE));
    struct bytes modulus = der_take(&parts, DER_INTEGER);
    struct bytes exponent = der_take(&parts, DER_INTEGER);

    return reader_done(&all) && reader_done(&parts) && modulus.len && exponent.len &&
           !(modulus.data[0] & 0x80) && !(exponent.data[0] & 0x80) &&
           BN_bin2bn(modulus.data, (int)modulus.len, n) &&
           BN_bin2bn(exponent.data, (int)exponent.len, e) &&
           OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
           OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1;
}

static bool push_ec(const struct key_info *info, OSSL_PARAM_BLD *build)
{
    for (size_t i = 0; i < sizeof key_curves / sizeof *key_curves; i++) {
        const struct key_curve *curve = &key_curves[i];
        if (strcmp(curve->oid, info->curve) != 0)
            continue;
        return info->key.len == curve->point_len && info->key.data[0] == 0x04 &&
               OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve->group,
                                               0) == 1 &&
               OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, info->key.data,
                                                info->key.len) == 1;
    }
    return false;
}

/* OpenSSL checks that a point is on its curve. */
static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *build)
{
    CLEANUP(OSSL_PARAM_free_p) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return key;
}

enum esign_rc cms_read_key(struct bytes cert, EVP_PKEY **ret, struct fault *f)
{
    struct key_info info;
    CLEANUP(OSSL_PARAM_BLD_free_p) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    CLEANUP(BN_free_p) BIGNUM *n = BN_new();
    CLEANUP(BN_free_p) BIGNUM *e = BN_new();
    EVP_PKEY *key = NULL;

    if (build && n && e && read_info(cert, &info)) {
        bool rsa = strcmp(info.algorithm, OID_RSA) == 0 && info.curve[0] == '\0';
        bool ec = strcmp(info.algorithm, OID_EC) == 0;
        if (rsa && push_rsa(&info, n, e, build))
            key = make_key("RSA", build);
        else if (ec && push_ec(&info, build))
            key = make_key("EC", build);
    }
    unsigned long cause = ERR_peek_last_error();
    ERR_clear_error();
    if (!key)
        return fault_cause(f, ESIGN_E_INTERNAL, cause, "a certificate of ours can't be read");
    *ret = key;
    return ESIGN_OK;
}
