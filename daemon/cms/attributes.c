/* The signed attributes of our signatures (FORMAT.md, section 2). */
#include "cms/cms_internal.h"

#include "base/encode.h"
#include "cms/certificate.h"
#include "cms/der.h"

static const char oid_data[] = "1.2.840.113549.1.7.1";
static const char oid_content_type[] = "1.2.840.113549.1.9.3";
static const char oid_message_digest[] = "1.2.840.113549.1.9.4";
static const char oid_signing_time[] = "1.2.840.113549.1.9.5";
static const char oid_signing_certificate_v2[] = "1.2.840.113549.1.9.16.2.47";
static const char oid_algorithm_protection[] = "1.2.840.113549.1.9.52";
static const char oid_commitment_type[] = "1.2.840.113549.1.9.16.2.16";
static const char oid_signer_attributes_v2[] = "0.4.0.19122.1.1";
static const char oid_role[] = "2.5.4.72";
static const char oid_content_hints[] = "1.2.840.113549.1.9.16.2.4";

typedef enum esign_rc (*value_writer)(const struct cms_attributes *a, struct buf *out,
                                      struct fault *f);

static enum esign_rc put_content_type(const struct cms_attributes *a, struct buf *out,
                                      struct fault *f)
{
    (void)a; /* the signature of this row is shared */
    (void)f;
    der_put_oid(out, oid_data);
    return ESIGN_OK;
}

static enum esign_rc put_message_digest(const struct cms_attributes *a, struct buf *out,
                                        struct fault *f)
{
    if (a->record_digest.len != SHA256_LEN)
        return fault_set(f, ESIGN_E_PROTO, "a record's digest has %d bytes", SHA256_LEN);
    der_put(out, DER_OCTET_STRING, a->record_digest);
    return ESIGN_OK;
}

static enum esign_rc put_signing_time(const struct cms_attributes *a, struct buf *out,
                                      struct fault *f)
{
    der_put_time(out, a->signing_time_ms);
    if (!buf_ok(out))
        return fault_set(f, ESIGN_E_PROTO, "the signing time can't be written");
    return ESIGN_OK;
}

/* SigningCertificateV2 with one ESSCertIDv2; its hashAlgorithm is the DEFAULT, so DER leaves it
 * out.  Source: RFC 5035 section 3. */
static enum esign_rc put_signing_certificate(const struct cms_attributes *a, struct buf *out,
                                             struct fault *f)
{
    uint8_t digest[SHA256_LEN];
    bytes_sha256(a->signer_cert, (struct bytes){0}, digest);

    size_t value = der_begin(out, DER_SEQUENCE);
    size_t certs = der_begin(out, DER_SEQUENCE);
    size_t cert_id = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OCTET_STRING, bytes_of(digest, sizeof digest));
    size_t issuer_serial = der_begin(out, DER_SEQUENCE);
    enum esign_rc rc = cms_put_issuer_serial(out, a->signer_cert, true, f);
    if (rc)
        return rc;
    der_end(out, issuer_serial);
    der_end(out, cert_id);
    der_end(out, certs);
    der_end(out, value);
    return ESIGN_OK;
}

/* Source: RFC 6211 section 2 (signatureAlgorithm is [1] IMPLICIT). */
static enum esign_rc put_algorithm_protection(const struct cms_attributes *a, struct buf *out,
                                              struct fault *f)
{
    enum esign_rc rc = cms_check_algorithm(a->algorithm, f);
    if (rc)
        return rc;
    size_t value = der_begin(out, DER_SEQUENCE);
    cms_put_digest_algorithm(out, DER_SEQUENCE);
    cms_put_signature_algorithm(out, DER_CONTEXT_1, a->algorithm);
    der_end(out, value);
    return ESIGN_OK;
}

/* Source: EN 319 122-1 section 5.2.3. */
static enum esign_rc put_commitment_type(const struct cms_attributes *a, struct buf *out,
                                         struct fault *f)
{
    size_t value = der_begin(out, DER_SEQUENCE);
    der_put_oid(out, a->commitment_oid);
    der_end(out, value);
    if (!buf_ok(out))
        return fault_set(f, ESIGN_E_PROTO, "the commitment type is no object identifier");
    return ESIGN_OK;
}

/* SignerAttributeV2 with claimedAttributes [0] EXPLICIT: one Attribute role (2.5.4.72).
 * Source: EN 319 122-1 section 5.2.6.1. */
static enum esign_rc put_signer_attributes(const struct cms_attributes *a, struct buf *out,
                                           struct fault *f)
{
    if (!text_is_line(a->claimed_role, CMS_ROLE_MAX))
        return fault_field(f, ESIGN_E_PROTO, "role", "a role is a line of at most %d bytes",
                           CMS_ROLE_MAX);
    size_t value = der_begin(out, DER_SEQUENCE);
    size_t claimed = der_begin(out, DER_CONTEXT_0);
    size_t attributes = der_begin(out, DER_SEQUENCE);
    size_t attribute = der_begin(out, DER_SEQUENCE);
    der_put_oid(out, oid_role);
    size_t values = der_begin(out, DER_SET);
    der_put(out, DER_UTF8_STRING, bytes_of_str(a->claimed_role));
    der_end(out, values);
    der_end(out, attribute);
    der_end(out, attributes);
    der_end(out, claimed);
    der_end(out, value);
    return ESIGN_OK;
}

/* Source: RFC 2634 section 2.9. */
static enum esign_rc put_content_hints(const struct cms_attributes *a, struct buf *out,
                                       struct fault *f)
{
    if (!a->envelope.len || a->envelope.len > CMS_ENVELOPE_MAX)
        return fault_set(f, ESIGN_E_TOO_LARGE, "the envelope must have 1 to %d bytes",
                         CMS_ENVELOPE_MAX);
    size_t value = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_UTF8_STRING, a->envelope);
    der_put_oid(out, oid_data);
    der_end(out, value);
    return ESIGN_OK;
}

/* One Attribute: its type and a SET of one value. */
static enum esign_rc put_attribute(const struct cms_attributes *a, const char *oid,
                                   value_writer write, struct buf *out, struct fault *f)
{
    size_t attribute = der_begin(out, DER_SEQUENCE);
    der_put_oid(out, oid);
    size_t values = der_begin(out, DER_SET);
    enum esign_rc rc = write(a, out, f);
    if (rc)
        return rc;
    der_end(out, values);
    der_end(out, attribute);
    return ESIGN_OK;
}

enum esign_rc cms_signed_attributes(const struct cms_attributes *a, struct buf *ret,
                                    struct fault *f)
{
    const struct {
        const char *oid;
        value_writer write;
        bool present;
    } rows[] = {
        {oid_content_type, put_content_type, true},
        {oid_message_digest, put_message_digest, true},
        {oid_signing_time, put_signing_time, true},
        {oid_signing_certificate_v2, put_signing_certificate, true},
        {oid_algorithm_protection, put_algorithm_protection, true},
        {oid_commitment_type, put_commitment_type, a->commitment_oid != NULL},
        {oid_signer_attributes_v2, put_signer_attributes, a->claimed_role != NULL},
        {oid_content_hints, put_content_hints, true},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    CLEANUP(buf_done) struct buf all = buf_new(CMS_SIGNED_MAX);
    size_t begins[ROWS + 1] = {0}, count = 0;

    for (size_t i = 0; i < ROWS; i++) {
        if (!rows[i].present)
            continue;
        enum esign_rc rc = put_attribute(a, rows[i].oid, rows[i].write, &all, f);
        if (rc)
            return rc;
        begins[++count] = all.len;
    }
    struct bytes attributes[ROWS];
    for (size_t i = 0; i < count && buf_ok(&all); i++)
        attributes[i] = bytes_of(all.data + begins[i], begins[i + 1] - begins[i]);
    if (buf_ok(&all))
        der_put_set_of(ret, DER_SET, attributes, count);
    if (!buf_ok(&all) || !buf_ok(ret))
        return fault_set(f, ESIGN_E_TOO_LARGE, "the signed attributes are over %d bytes",
                         CMS_SIGNED_MAX);
    return ESIGN_OK;
}
