/* Signature values: those of our own profile, and any other that OpenSSL knows. */
#include "document/validate/validate_internal.h"

#include "cms/certificate.h"
#include "cms/der.h"

#include <openssl/err.h>

enum { ECDSA_INTEGER_MAX = 49 };

enum token_algorithm validate_algorithm(X509 *cert)
{
    EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL;
    char group[32] = "";

    if (key && EVP_PKEY_is_a(key, "RSA")) {
        int bits = EVP_PKEY_get_bits(key);
        return bits == 2048   ? TOKEN_RSA2048
               : bits == 3072 ? TOKEN_RSA3072
               : bits == 4096 ? TOKEN_RSA4096
                              : 0;
    }
    if (!key || !EVP_PKEY_is_a(key, "EC") ||
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1)
        return 0;
    if (strcmp(group, "prime256v1") == 0)
        return TOKEN_P256;
    return strcmp(group, "secp384r1") == 0 ? TOKEN_P384 : 0;
}

/* A positive INTEGER with minimal octets. */
static bool take_positive(struct reader *r)
{
    struct bytes i = der_take(r, DER_INTEGER);
    if (!i.len || i.len > ECDSA_INTEGER_MAX || i.data[0] & 0x80)
        return false;
    if (i.data[0] == 0)
        return i.len > 1 && i.data[1] & 0x80;
    return true;
}

static bool is_well_formed(struct bytes value, EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "RSA"))
        return value.len == (size_t)EVP_PKEY_get_size(key);
    struct reader all = reader_of(value);
    struct reader pair = reader_of(der_take(&all, DER_SEQUENCE));
    return take_positive(&pair) && take_positive(&pair) && reader_done(&pair) && reader_done(&all);
}

const char *validate_value_ours(const struct validate_parts *parts)
{
    enum token_algorithm algorithm = validate_algorithm(parts->signer);
    CLEANUP(buf_done) struct buf digest = buf_new(SHA256_LEN);
    bool good = false;

    if (!algorithm)
        return "bad";
    if (!is_well_formed(parts->value, X509_get0_pubkey(parts->signer)))
        return "malformed";
    if (cms_dtbs_digest(buf_bytes(&parts->attributes), algorithm, &digest, NULL) ||
        cms_check_value_with(parts->signer, buf_bytes(&digest), parts->value, &good, NULL))
        return "bad";
    return good ? "ok" : "bad";
}

/* One signer: its certificate is looked for in the signature.  Without signed attributes the value
 * is over the content, which is not here. */
static const char *check_signer(CMS_SignerInfo *info, STACK_OF(X509) * certs)
{
    if (CMS_signed_get_attr_count(info) <= 0)
        return "unknown";
    for (int i = 0; i < sk_X509_num(certs); i++) {
        X509 *cert = sk_X509_value(certs, i);
        if (CMS_SignerInfo_cert_cmp(info, cert) != 0)
            continue;
        CMS_SignerInfo_set1_signer_cert(info, cert);
        return CMS_SignerInfo_verify(info) == 1 ? "ok" : "bad";
    }
    return "unknown";
}

const char *validate_value_any(const struct validate_parts *parts)
{
    STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(parts->cms);
    const char *all = "ok";
    for (int i = 0; i < sk_CMS_SignerInfo_num(infos); i++) {
        const char *one = check_signer(sk_CMS_SignerInfo_value(infos, i), parts->certs);
        if (strcmp(one, "bad") == 0 || strcmp(all, "ok") == 0)
            all = one;
    }
    ERR_clear_error(); /* a bad value leaves errors behind */
    return all;
}
