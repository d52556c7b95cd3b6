/* The algorithm identifiers of our signatures. */
#include "cms/cms_internal.h"

#include "cms/der.h"

static const struct {
    enum token_algorithm algorithm;
    const char *oid;
    bool null_parameters;
} signatures[] = {
    {TOKEN_P256, "1.2.840.10045.4.3.2", false},     /* ecdsa-with-SHA256 */
    {TOKEN_P384, "1.2.840.10045.4.3.2", false},     /* the same: see cms_dtbs_digest */
    {TOKEN_RSA3072, "1.2.840.113549.1.1.11", true}, /* sha256WithRSAEncryption */
    {TOKEN_RSA2048, "1.2.840.113549.1.1.11", true}, {TOKEN_RSA4096, "1.2.840.113549.1.1.11", true},
};

void cms_put_digest_algorithm(struct buf *out, uint8_t tag)
{
    size_t begun = der_begin(out, tag);
    der_put_oid(out, "2.16.840.1.101.3.4.2.1");
    der_end(out, begun);
}

void cms_put_signature_algorithm(struct buf *out, uint8_t tag, enum token_algorithm algorithm)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        if (signatures[i].algorithm != algorithm)
            continue;
        size_t begun = der_begin(out, tag);
        der_put_oid(out, signatures[i].oid);
        if (signatures[i].null_parameters)
            der_put_null(out);
        der_end(out, begun);
    }
}

enum esign_rc cms_check_algorithm(enum token_algorithm algorithm, struct fault *f)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
        if (signatures[i].algorithm == algorithm)
            return ESIGN_OK;
    return fault_set(f, ESIGN_E_UNSUPPORTED, "there are no signatures with algorithm %d",
                     (int)algorithm);
}
