/* SignedData around signed attributes and a signature value (FORMAT.md, section 1). */
#include "cms/cms_internal.h"

#include "cms/certificate.h"
#include "cms/der.h"

/* The signed attributes carry [0] IMPLICIT in the SignerInfo and SET OF when they are hashed. */
static void put_signed_attributes(struct buf *out, struct bytes signed_attributes)
{
    buf_put_u8(out, DER_CONTEXT_0);
    buf_put(out, bytes_of(signed_attributes.data + 1, signed_attributes.len - 1));
}

static enum esign_rc put_signer_info(struct buf *out, struct bytes signed_attributes,
                                     enum token_algorithm algorithm, struct bytes value,
                                     struct bytes signer_cert, struct fault *f)
{
    size_t info = der_begin(out, DER_SEQUENCE);
    der_put_small(out, 1);
    size_t sid = der_begin(out, DER_SEQUENCE);
    enum esign_rc rc = cms_put_issuer_serial(out, signer_cert, false, f);
    if (rc)
        return rc;
    der_end(out, sid);
    cms_put_digest_algorithm(out, DER_SEQUENCE);
    put_signed_attributes(out, signed_attributes);
    cms_put_signature_algorithm(out, DER_SEQUENCE, algorithm);
    size_t octets = der_begin(out, DER_OCTET_STRING);
    rc = cms_put_value(out, value, algorithm, f);
    if (rc)
        return rc;
    der_end(out, octets);
    der_end(out, info);
    return ESIGN_OK;
}

static enum esign_rc put_signed_data(struct buf *out, struct bytes signed_attributes,
                                     enum token_algorithm algorithm, struct bytes value,
                                     const struct bytes *certs, size_t cert_count, struct fault *f)
{
    size_t data = der_begin(out, DER_SEQUENCE);
    der_put_small(out, 1);
    size_t digests = der_begin(out, DER_SET);
    cms_put_digest_algorithm(out, DER_SEQUENCE);
    der_end(out, digests);
    size_t content = der_begin(out, DER_SEQUENCE);
    der_put_oid(out, "1.2.840.113549.1.7.1");
    der_end(out, content);
    der_put_set_of(out, DER_CONTEXT_0, certs, cert_count);
    size_t infos = der_begin(out, DER_SET);
    enum esign_rc rc = put_signer_info(out, signed_attributes, algorithm, value, certs[0], f);
    if (rc)
        return rc;
    der_end(out, infos);
    der_end(out, data);
    return ESIGN_OK;
}

enum esign_rc cms_signed_data(struct bytes signed_attributes, enum token_algorithm algorithm,
                              struct bytes value, struct bytes signer_cert,
                              const struct bytes *chain, size_t chain_count, struct buf *ret,
                              struct fault *f)
{
    enum esign_rc rc = cms_check_algorithm(algorithm, f);
    if (rc)
        return rc;
    if (signed_attributes.len < 2 || signed_attributes.data[0] != DER_SET || !value.len)
        return fault_set(f, ESIGN_E_INTERNAL, "there are no signed attributes or no value");
    if (chain_count > CMS_CHAIN_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "a signature carries at most %d certificates",
                         CMS_CHAIN_MAX + 1);
    struct bytes certs[CMS_CHAIN_MAX + 1] = {signer_cert};
    for (size_t i = 0; i < chain_count; i++)
        certs[1 + i] = chain[i];

    size_t info = der_begin(ret, DER_SEQUENCE);
    der_put_oid(ret, "1.2.840.113549.1.7.2");
    size_t content = der_begin(ret, DER_CONTEXT_0);
    rc = put_signed_data(ret, signed_attributes, algorithm, value, certs, 1 + chain_count, f);
    if (rc)
        return rc;
    der_end(ret, content);
    der_end(ret, info);
    if (!buf_ok(ret) || ret->len > CMS_SIGNED_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "the signature is over %d bytes", CMS_SIGNED_MAX);
    return ESIGN_OK;
}
