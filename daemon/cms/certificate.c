/* The issuer and serial number of our certificates, by which a signature names its signer. */
#include "cms/certificate.h"

#include "cms/cms.h"
#include "cms/der.h"

#include <openssl/err.h>

enum { NAME_MAX_LEN = 4096, SERIAL_MAX_LEN = 64 };

enum esign_rc cms_read_certificate(struct bytes der, X509 **ret, struct fault *f)
{
    const unsigned char *at = der.data;
    CLEANUP(X509_free_p) X509 *cert = NULL;

    if (der.len && der.len <= CMS_SIGNED_MAX)
        cert = d2i_X509(NULL, &at, (long)der.len);
    if (!cert || at != der.data + der.len) {
        unsigned long cause = ERR_peek_last_error();
        ERR_clear_error();
        return fault_cause(f, ESIGN_E_INTERNAL, cause, "a certificate of ours can't be read");
    }
    *ret = TAKE(cert);
    return ESIGN_OK;
}

enum esign_rc cms_put_issuer_serial(struct buf *out, struct bytes cert, bool as_general_names,
                                    struct fault *f)
{
    CLEANUP(X509_free_p) X509 *x509 = NULL;
    enum esign_rc rc = cms_read_certificate(cert, &x509, f);
    if (rc)
        return rc;

    const unsigned char *name = NULL;
    size_t name_len = 0;
    unsigned char serial[SERIAL_MAX_LEN], *end = serial;
    const ASN1_INTEGER *number = X509_get0_serialNumber(x509);
    int serial_len = i2d_ASN1_INTEGER(number, NULL);
    if (X509_NAME_get0_der(X509_get_issuer_name(x509), &name, &name_len) != 1 ||
        name_len > NAME_MAX_LEN || serial_len <= 0 || serial_len > SERIAL_MAX_LEN ||
        i2d_ASN1_INTEGER(number, &end) != serial_len)
        return fault_set(f, ESIGN_E_INTERNAL, "a certificate of ours has an unusable issuer");

    if (as_general_names) {
        size_t names = der_begin(out, DER_SEQUENCE);
        der_put(out, DER_CONTEXT_4, bytes_of(name, name_len));
        der_end(out, names);
    } else {
        buf_put(out, bytes_of(name, name_len));
    }
    buf_put(out, bytes_of(serial, (size_t)serial_len));
    return ESIGN_OK;
}
