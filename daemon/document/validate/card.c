/* The facts of a certificate that somebody else issued: that of a signer's own card. */
#include "document/validate/validate_internal.h"

#include "base/clock.h"

#include <openssl/err.h>

/* One certificate and nothing after it; NULL: it is none. */
static X509 *read_one(struct bytes der)
{
    const unsigned char *at = der.data;
    CLEANUP(X509_free_p) X509 *cert = NULL;

    if (der.len && der.len <= DOCUMENT_ANCHOR_MAX)
        cert = d2i_X509(NULL, &at, (long)der.len);
    ERR_clear_error();
    return cert && at == der.data + der.len ? TAKE(cert) : NULL;
}

/* The name of an algorithm that cards may sign with, whose key is sound; "" otherwise. */
static const char *key_algorithm(X509 *cert)
{
    enum token_algorithm algorithm = validate_algorithm(cert);
    EVP_PKEY *key = X509_get0_pubkey(cert);
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    bool sound = algorithm && ctx && EVP_PKEY_public_check(ctx) == 1;

    ERR_clear_error(); /* an unsound key leaves errors behind */
    const char *name = sound ? token_algorithm_name(algorithm) : NULL;
    return name ? name : "";
}

static json_t *key_text(X509 *cert)
{
    CLEANUP(buf_done) struct buf spki = buf_new(DOCUMENT_ANCHOR_MAX);
    X509_PUBKEY *key = X509_get_X509_PUBKEY(cert);
    int len = key ? i2d_X509_PUBKEY(key, NULL) : 0;
    unsigned char *room = len > 0 ? buf_reserve(&spki, (size_t)len) : NULL;

    if (!room || i2d_X509_PUBKEY(key, &room) != len)
        return json_string("");
    return validate_base64_text(buf_bytes(&spki));
}

/* Authentication and signing are both meant for what a person does with the card. */
static bool may_sign(X509 *cert)
{
    uint32_t usage = X509_get_key_usage(cert); /* all bits set if there is no such extension */

    return X509_check_ca(cert) == 0 && (usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) != 0;
}

static bool is_valid(X509 *cert, int64_t at_ms)
{
    time_t at = (time_t)(at_ms / 1000);

    return X509_cmp_time(X509_get0_notBefore(cert), &at) < 0 &&
           X509_cmp_time(X509_get0_notAfter(cert), &at) > 0;
}

enum esign_rc validate_certificate(const struct document_certificate *c, json_t **ret,
                                   struct fault *f)
{
    CLEANUP(X509_free_p) X509 *cert = read_one(c->der);
    const struct validate_path path = {cert, NULL, c->anchors, c->anchor_count,
                                       c->at_ms ? c->at_ms : clock_now_ms(clock_system())};
    const char *chain = NULL, *why = NULL;
    enum esign_rc rc = validate_path_check(&path, NULL, &chain, &why, f);

    if (rc)
        return rc;
    json_t *facts =
        !cert ? json_pack("{s:s}", "structure", "malformed")
              : json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:b,s:s,s:s}", "structure", "ok",
                          "algorithm", key_algorithm(cert), "spki", key_text(cert), "subject",
                          validate_subject_text(cert), "issuer", validate_issuer_text(cert),
                          "serial", validate_serial_text(cert), "not_before",
                          validate_time_text(X509_get0_notBefore(cert)), "not_after",
                          validate_time_text(X509_get0_notAfter(cert)), "signing",
                          (int)may_sign(cert), "valid", (int)is_valid(cert, path.at_ms), "chain",
                          chain, "detail", why);
    ERR_clear_error();
    if (!facts)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the facts of a certificate");
    *ret = facts;
    return ESIGN_OK;
}
