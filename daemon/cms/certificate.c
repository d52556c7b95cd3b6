/* The issuer and serial number of our certificates, by which a signature names its signer. */
#include "cms/certificate.h"

#include "cms/cms.h"
#include "cms/der.h"
#include "cms/der_read.h"

#include <openssl/err.h>

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
    struct reader all = reader_of(cert);
    struct reader parts = reader_of(der_take(&all, DER_SEQUENCE));
    struct reader tbs = reader_of(der_take(&parts, DER_SEQUENCE));
    struct bytes version = der_take(&tbs, DER_CONTEXT_0);
    struct bytes serial = der_take_any(&tbs);
    struct bytes algorithm = der_take(&tbs, DER_SEQUENCE);
    struct bytes issuer = der_take_any(&tbs);

    if (!reader_done(&all) || parts.failed || tbs.failed || !version.len || !algorithm.len ||
        serial.data[0] != DER_INTEGER || issuer.data[0] != DER_SEQUENCE)
        return fault_set(f, ESIGN_E_INTERNAL, "a certificate of ours can't be read");
    if (as_general_names) {
        size_t names = der_begin(out, DER_SEQUENCE);
        der_put(out, DER_CONTEXT_4, issuer);
        der_end(out, names);
    } else {
        buf_put(out, issuer);
    }
    buf_put(out, serial);
    return ESIGN_OK;
}

enum esign_rc cms_certificate_end(struct bytes cert, int64_t *ret_ms, struct fault *f)
{
    struct reader all = reader_of(cert);
    struct reader parts = reader_of(der_take(&all, DER_SEQUENCE));
    struct reader tbs = reader_of(der_take(&parts, DER_SEQUENCE));

    (void)der_take(&tbs, DER_CONTEXT_0); /* version; errors stay in tbs, as in the next three */
    (void)der_take_any(&tbs);            /* serial number */
    (void)der_take(&tbs, DER_SEQUENCE);  /* algorithm */
    (void)der_take_any(&tbs);            /* issuer */
    struct reader validity = reader_of(der_take(&tbs, DER_SEQUENCE));
    (void)der_take_time(&validity); /* notBefore */
    int64_t end_ms = der_take_time(&validity);

    if (!reader_done(&all) || parts.failed || tbs.failed || !reader_done(&validity))
        return fault_set(f, ESIGN_E_INTERNAL, "a certificate of ours can't be read");
    *ret_ms = end_ms;
    return ESIGN_OK;
}
