/* A small issuing CA whose key is on a token: certificates for itself and for signers.
 * Source: RFC 5280. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "pkcs11/token.h"

enum {
    CA_CERT_MAX = 8192, /* bytes of a certificate */
    CA_NAME_CHARS = 64  /* characters of a name or code in a subject: RFC 5280 appendix A.1 */
};

struct ca_key {
    struct token *token; /* borrowed */
    uint8_t key_id[TOKEN_KEY_ID_LEN];
    enum token_algorithm algorithm;
    struct bytes spki; /* borrowed */
};

struct ca_certificate {
    struct bytes subject_spki;
    const char *common_name;  /* printed name, or the CA's name */
    const char *user_id;      /* serialNumber attribute of the subject: the identification code;
                                 NULL for the CA */
    const char *signer_id;    /* UID attribute (0.9.2342.19200300.100.1.1) of the subject; NULL for
                                 the CA */
    const char *organisation; /* O, may be NULL */
    int64_t not_before_ms, not_after_ms;
    bool is_ca; /* basicConstraints CA, pathlen 0, keyCertSign + cRLSign; else digitalSignature +
                   nonRepudiation */
};

/* Issue a certificate and check it: parsed again, its signature verified with the issuer's key.
 * issuer_cert: DER of the issuing certificate, empty: self-signed by key.  deadline_at_ms: of the
 * call to the token, monotonic.  ret: DER, appended.
 * ESIGN_E_PROTO: field names the member that a certificate can't hold; ESIGN_E_INTERNAL: a key or
 * the issuer's certificate can't be read; ESIGN_E_HSM reason "value": the token's value does not
 * verify; and what token_sign() answers.
 * Source: RFC 5280 section 4; key identifiers by RFC 7093 section 2 (1). */
enum esign_rc ca_issue(const struct ca_key *key, struct bytes issuer_cert,
                       const struct ca_certificate *certificate, int64_t deadline_at_ms,
                       struct buf *ret, struct fault *f) MUST_CHECK;
