/* Issuing one certificate. */
#include "ca/ca_internal.h"

#include "cms/certificate.h"
#include "cms/der.h"

#include <openssl/err.h>

enum { SERIAL_LEN = 16 };

/* The signature algorithm of the CA's key.  Source: RFC 5758 section 3.2, RFC 4055 section 5. */
static void put_algorithm(struct buf *out, enum token_algorithm algorithm)
{
    size_t identifier = der_begin(out, DER_SEQUENCE);
    switch (algorithm) {
    case TOKEN_P256:
        der_put_oid(out, "1.2.840.10045.4.3.2");
        break;
    case TOKEN_P384:
        der_put_oid(out, "1.2.840.10045.4.3.3");
        break;
    case TOKEN_RSA2048:
    case TOKEN_RSA3072:
    case TOKEN_RSA4096:
        der_put_oid(out, "1.2.840.113549.1.1.11");
        der_put_null(out);
        break;
    }
    der_end(out, identifier);
}

/* The digest of the to-be-signed part that belongs to the algorithm above. */
static enum esign_rc digest_tbs(struct bytes tbs, enum token_algorithm algorithm, struct buf *ret,
                                struct fault *f)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    const EVP_MD *md = algorithm == TOKEN_P384 ? EVP_sha384() : EVP_sha256();
    if (EVP_Digest(tbs.data, tbs.len, digest, &len, md, NULL) != 1)
        return fault_cause(f, ESIGN_E_INTERNAL, ERR_peek_last_error(), "a digest can't be made");
    buf_put(ret, bytes_of(digest, len));
    return ESIGN_OK;
}

/* Name and key identifier of the issuing certificate; of the subject itself if there is none. */
static enum esign_rc read_issuer(const struct ca_key *key, struct bytes issuer_cert,
                                 struct bytes subject, struct buf *ret_name,
                                 uint8_t ret_key_id[CA_KEY_ID_LEN], struct fault *f)
{
    if (!issuer_cert.len) {
        buf_put(ret_name, subject);
        return ca_key_identifier(key->spki, ret_key_id, f);
    }
    CLEANUP(X509_free_p) X509 *cert = NULL;
    enum esign_rc rc = cms_read_certificate(issuer_cert, &cert, f);
    if (rc)
        return rc;
    const unsigned char *name = NULL;
    size_t name_len = 0;
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(cert);
    if (X509_NAME_get0_der(X509_get_subject_name(cert), &name, &name_len) != 1 || !id ||
        ASN1_STRING_length(id) != CA_KEY_ID_LEN)
        return fault_set(f, ESIGN_E_INTERNAL, "the issuing certificate has no key identifier");
    buf_put(ret_name, bytes_of(name, name_len));
    memcpy(ret_key_id, ASN1_STRING_get0_data(id), CA_KEY_ID_LEN);
    return ESIGN_OK;
}

/* A positive INTEGER of 16 octets.  Source: RFC 5280 section 4.1.2.2. */
static void put_serial(struct buf *out)
{
    uint8_t serial[SERIAL_LEN];
    bytes_random(serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and of one length */
    der_put_uint(out, bytes_of(serial, sizeof serial));
}

static enum esign_rc put_tbs(struct buf *out, const struct ca_key *key, struct bytes issuer_cert,
                             const struct ca_certificate *c, struct fault *f)
{
    CLEANUP(buf_done) struct buf subject = buf_new(CA_CERT_MAX);
    enum esign_rc rc = ca_put_subject(&subject, c, f);
    if (rc)
        return rc;
    CLEANUP(buf_done) struct buf issuer = buf_new(CA_CERT_MAX);
    uint8_t issuer_key_id[CA_KEY_ID_LEN], subject_key_id[CA_KEY_ID_LEN];
    rc = read_issuer(key, issuer_cert, buf_bytes(&subject), &issuer, issuer_key_id, f);
    if (rc)
        return rc;
    rc = ca_key_identifier(c->subject_spki, subject_key_id, f);
    if (rc)
        return rc;

    size_t tbs = der_begin(out, DER_SEQUENCE);
    size_t version = der_begin(out, DER_CONTEXT_0);
    der_put_small(out, 2);
    der_end(out, version);
    put_serial(out);
    put_algorithm(out, key->algorithm);
    buf_put(out, buf_bytes(&issuer));
    size_t validity = der_begin(out, DER_SEQUENCE);
    der_put_time(out, c->not_before_ms);
    der_put_time(out, c->not_after_ms);
    der_end(out, validity);
    buf_put(out, buf_bytes(&subject));
    buf_put(out, c->subject_spki);
    ca_put_extensions(out, c, subject_key_id, issuer_key_id);
    der_end(out, tbs);
    out->failed |= subject.failed | issuer.failed;
    return ESIGN_OK;
}

/* Parse the finished certificate and verify it with the issuer's key. */
static enum esign_rc check_issued(struct bytes der, struct bytes issuer_spki, struct fault *f)
{
    CLEANUP(X509_free_p) X509 *cert = NULL;
    enum esign_rc rc = cms_read_certificate(der, &cert, f);
    if (rc)
        return rc;
    const unsigned char *at = issuer_spki.data;
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)issuer_spki.len);
    bool good = key && X509_verify(cert, key) == 1;
    ERR_clear_error(); /* a bad value leaves errors behind */
    if (!good)
        return fault_reason(f, ESIGN_E_HSM, "value",
                            "the token's signature of a certificate does not verify");
    return ESIGN_OK;
}

enum esign_rc ca_issue(const struct ca_key *key, struct bytes issuer_cert,
                       const struct ca_certificate *certificate, int64_t deadline_at_ms,
                       struct buf *ret, struct fault *f)
{
    if (certificate->not_after_ms <= certificate->not_before_ms)
        return fault_field(f, ESIGN_E_PROTO, "not_after", "a certificate must end after it begins");
    CLEANUP(buf_done) struct buf tbs = buf_new(CA_CERT_MAX);
    enum esign_rc rc = put_tbs(&tbs, key, issuer_cert, certificate, f);
    if (rc)
        return rc;
    if (!buf_ok(&tbs))
        return fault_set(f, ESIGN_E_TOO_LARGE, "the certificate can't be written");

    CLEANUP(buf_done) struct buf digest = buf_new(EVP_MAX_MD_SIZE);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    rc = digest_tbs(buf_bytes(&tbs), key->algorithm, &digest, f);
    if (rc)
        return rc;
    rc = token_sign(key->token, key->key_id, buf_bytes(&digest), deadline_at_ms, &value, f);
    if (rc)
        return rc;

    CLEANUP(buf_done) struct buf whole = buf_new(CA_CERT_MAX);
    size_t cert = der_begin(&whole, DER_SEQUENCE);
    buf_put(&whole, buf_bytes(&tbs));
    put_algorithm(&whole, key->algorithm);
    der_put_bits(&whole, buf_bytes(&value));
    der_end(&whole, cert);
    if (!buf_ok(&whole))
        return fault_set(f, ESIGN_E_TOO_LARGE, "a certificate has at most %d bytes", CA_CERT_MAX);
    rc = check_issued(buf_bytes(&whole), key->spki, f);
    if (rc)
        return rc;
    buf_put(ret, buf_bytes(&whole));
    if (!buf_ok(ret))
        return fault_set(f, ESIGN_E_TOO_LARGE, "no room for a certificate");
    return ESIGN_OK;
}
