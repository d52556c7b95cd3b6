/* Taking a CMS signature apart, with OpenSSL's parser and accessors only. */
#include "document/validate/validate_internal.h"

#include "cms/der.h"

#include <openssl/err.h>

static bool malformed(struct validate_findings *findings, const char *why)
{
    ERR_clear_error();
    findings->structure = "malformed";
    validate_note(findings, "%s", why);
    return false;
}

/* Append an attribute in DER and remember where it ends. */
static bool put_attribute(struct buf *out, X509_ATTRIBUTE *attribute)
{
    int len = i2d_X509_ATTRIBUTE(attribute, NULL);
    if (len <= 0)
        return false;
    unsigned char *room = buf_reserve(out, (size_t)len);
    return room && i2d_X509_ATTRIBUTE(attribute, &room) == len;
}

/* The signed attributes in the form in which they are hashed.  false: they can't be written. */
static bool read_attributes(CMS_SignerInfo *info, struct buf *ret)
{
    int count = CMS_signed_get_attr_count(info);
    if (count <= 0)
        return true;
    if (count > DER_SET_MAX)
        return false;
    CLEANUP(buf_done) struct buf all = buf_new(DOCUMENT_SIGNATURE_MAX);
    size_t ends[DER_SET_MAX + 1] = {0};
    for (int i = 0; i < count; i++) {
        if (!put_attribute(&all, CMS_signed_get_attr(info, i)))
            return false;
        ends[i + 1] = all.len;
    }
    struct bytes attributes[DER_SET_MAX];
    for (int i = 0; i < count; i++)
        attributes[i] = bytes_of(all.data + ends[i], ends[i + 1] - ends[i]);
    der_put_set_of(ret, DER_SET, attributes, (size_t)count);
    return buf_ok(ret);
}

/* The signer's certificate among those in the signature; the first that fits. */
static bool find_signer(struct validate_parts *parts)
{
    for (int i = 0; i < sk_X509_num(parts->certs) && !parts->signer; i++) {
        X509 *cert = sk_X509_value(parts->certs, i);
        if (CMS_SignerInfo_cert_cmp(parts->info, cert) == 0)
            parts->signer = cert;
    }
    if (!parts->signer)
        return true;
    int len = i2d_X509(parts->signer, NULL);
    unsigned char *room = len > 0 ? buf_reserve(&parts->signer_der, (size_t)len) : NULL;
    return room && i2d_X509(parts->signer, &room) == len;
}

bool validate_parts_read(struct bytes cms, struct validate_parts *ret,
                         struct validate_findings *findings)
{
    *ret = (struct validate_parts){.signer_der = buf_new(DOCUMENT_SIGNATURE_MAX),
                                   .attributes = buf_new(DOCUMENT_SIGNATURE_MAX)};
    if (!cms.len || cms.len > DOCUMENT_SIGNATURE_MAX)
        return malformed(findings, "a signature has 1 to 65536 bytes");
    const unsigned char *at = cms.data;
    ret->cms = d2i_CMS_ContentInfo(NULL, &at, (long)cms.len);
    if (!ret->cms || at != cms.data + cms.len)
        return malformed(findings, "this is not one CMS object in DER");
    if (OBJ_obj2nid(CMS_get0_type(ret->cms)) != NID_pkcs7_signed)
        return malformed(findings, "this CMS object is no SignedData");
    STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(ret->cms);
    ret->info_count = infos ? sk_CMS_SignerInfo_num(infos) : 0;
    if (ret->info_count < 1)
        return malformed(findings, "nobody signed this CMS object");
    ret->info = sk_CMS_SignerInfo_value(infos, 0);
    const ASN1_OCTET_STRING *value = CMS_SignerInfo_get0_signature(ret->info);
    ret->value = bytes_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    ASN1_OCTET_STRING **content = CMS_get0_content(ret->cms);
    ret->has_content = content && *content;
    ret->certs = CMS_get1_certs(ret->cms);
    if (sk_X509_num(ret->certs) > VALIDATE_CERTS_MAX)
        return malformed(findings, "there are too many certificates in the signature");
    if (!find_signer(ret))
        return malformed(findings, "the signer's certificate can't be read");
    if (!read_attributes(ret->info, &ret->attributes))
        return malformed(findings, "the signed attributes can't be read");
    ERR_clear_error();
    return true;
}

void validate_parts_done(struct validate_parts *parts)
{
    sk_X509_pop_free(parts->certs, X509_free);
    CMS_ContentInfo_free(parts->cms);
    buf_done(&parts->signer_der);
    buf_done(&parts->attributes);
    *parts = (struct validate_parts){0};
}
