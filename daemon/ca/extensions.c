/* The extensions of our certificates, one function each. */
#include "ca/ca_internal.h"

#include "cms/der.h"

#include <openssl/err.h>

DEFINE_CLEANUP(X509_PUBKEY *, X509_PUBKEY_free)

enum esign_rc ca_key_identifier(struct bytes spki, uint8_t ret[CA_KEY_ID_LEN], struct fault *f)
{
    const unsigned char *at = spki.data, *bits = NULL;
    int bits_len = 0;
    CLEANUP(X509_PUBKEY_free_p)
    X509_PUBKEY *key =
        spki.len <= TOKEN_SPKI_MAX ? d2i_X509_PUBKEY(NULL, &at, (long)spki.len) : NULL;

    if (!key || at != spki.data + spki.len || !X509_PUBKEY_get0(key) ||
        X509_PUBKEY_get0_param(NULL, &bits, &bits_len, NULL, key) != 1 || bits_len <= 0) {
        unsigned long cause = ERR_peek_last_error();
        ERR_clear_error();
        return fault_cause(f, ESIGN_E_INTERNAL, cause, "a public key of a token can't be read");
    }
    uint8_t digest[SHA256_LEN];
    bytes_sha256(bytes_of(bits, (size_t)bits_len), (struct bytes){0}, digest);
    memcpy(ret, digest, CA_KEY_ID_LEN);
    return ESIGN_OK;
}

/* One Extension around its value in DER. */
static void put_extension(struct buf *out, const char *oid, bool critical, struct bytes value)
{
    size_t extension = der_begin(out, DER_SEQUENCE);
    der_put_oid(out, oid);
    if (critical)
        der_put_bool(out, true);
    der_put(out, DER_OCTET_STRING, value);
    der_end(out, extension);
}

static void put_basic_constraints(struct buf *out, bool is_ca)
{
    CLEANUP(buf_done) struct buf value = buf_new(CA_CERT_MAX);
    size_t constraints = der_begin(&value, DER_SEQUENCE);
    if (is_ca) {
        der_put_bool(&value, true);
        der_put_small(&value, 0);
    }
    der_end(&value, constraints);
    put_extension(out, "2.5.29.19", true, buf_bytes(&value));
    out->failed |= value.failed;
}

/* BIT STRING of named bits, with its unused bits: bit 0 is the highest. */
static void put_key_usage(struct buf *out, bool is_ca)
{
    static const uint8_t signer[] = {0x03, 0x02, 0x06, 0xc0}; /* digitalSignature nonRepudiation */
    static const uint8_t ca[] = {0x03, 0x02, 0x01, 0x06};     /* keyCertSign cRLSign */
    put_extension(out, "2.5.29.15", true,
                  is_ca ? bytes_of(ca, sizeof ca) : bytes_of(signer, sizeof signer));
}

static void put_subject_key_id(struct buf *out, const uint8_t key_id[CA_KEY_ID_LEN])
{
    CLEANUP(buf_done) struct buf value = buf_new(CA_CERT_MAX);
    der_put(&value, DER_OCTET_STRING, bytes_of(key_id, CA_KEY_ID_LEN));
    put_extension(out, "2.5.29.14", false, buf_bytes(&value));
    out->failed |= value.failed;
}

static void put_authority_key_id(struct buf *out, const uint8_t key_id[CA_KEY_ID_LEN])
{
    CLEANUP(buf_done) struct buf value = buf_new(CA_CERT_MAX);
    size_t sequence = der_begin(&value, DER_SEQUENCE);
    der_put(&value, DER_PRIMITIVE_0, bytes_of(key_id, CA_KEY_ID_LEN));
    der_end(&value, sequence);
    put_extension(out, "2.5.29.35", false, buf_bytes(&value));
    out->failed |= value.failed;
}

void ca_put_extensions(struct buf *out, const struct ca_certificate *c,
                       const uint8_t subject_key_id[CA_KEY_ID_LEN],
                       const uint8_t issuer_key_id[CA_KEY_ID_LEN])
{
    size_t wrapper = der_begin(out, DER_CONTEXT_3);
    size_t extensions = der_begin(out, DER_SEQUENCE);
    put_basic_constraints(out, c->is_ca);
    put_key_usage(out, c->is_ca);
    put_subject_key_id(out, subject_key_id);
    put_authority_key_id(out, issuer_key_id);
    der_end(out, extensions);
    der_end(out, wrapper);
}
