/* A small issuing CA whose key is on a token: certificates for itself, for signers, and its
 * encoding. Source: RFC 5280. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "pkcs11/token.h"

enum { CA_CERT_MAX = 8192 };

struct ca_key {
    struct token *token; /* borrowed */
    uint8_t key_id[TOKEN_KEY_ID_LEN];
    enum token_algorithm algorithm;
    struct bytes spki; /* borrowed */
};

struct ca_certificate {
    struct bytes subject_spki;
    const char *common_name; /* printed name, or the CA's name */
    const char *user_id; /* serialNumber attribute of the subject: the identification code; NULL for
                            the CA */
    const char
        *signer_id; /* UID attribute (0.9.2342.19200300.100.1.1) of the subject; NULL for the CA */
    const char *organisation; /* O, may be NULL */
    int64_t not_before_ms, not_after_ms;
    bool is_ca; /* basicConstraints CA, pathlen 0, keyCertSign + cRLSign; else digitalSignature +
                   nonRepudiation */
};

/* Issue and check a certificate.  issuer_cert: DER of the issuing certificate, empty: self-signed
 * by key. ret: DER. */
enum esign_rc ca_issue(const struct ca_key *key, struct bytes issuer_cert,
                       const struct ca_certificate *certificate, int64_t deadline_at_ms,
                       struct buf *ret, struct fault *f) MUST_CHECK;
