/* Encoding of our CAdES-B-B signatures in DER (RFC 5652, EN 319 122-1).  Nothing is parsed here. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "pkcs11/token.h"

enum { CMS_SIGNED_MAX = 64 * 1024, CMS_ENVELOPE_MAX = 16 * 1024 };

struct cms_attributes {
    struct bytes record_digest; /* SHA-256 of the record: message-digest */
    int64_t
        signing_time_ms; /* UTC; written to the second (UTCTime up to 2049, then GeneralizedTime) */
    struct bytes signer_cert; /* DER: ESS signing-certificate-v2 (SHA-256, with IssuerSerial) */
    enum token_algorithm algorithm; /* of the key: cms-algorithm-protection */
    const char *commitment_oid;     /* dotted: ETSI commitment type, or NULL */
    const char *claimed_role;       /* signer-attributes-v2, or NULL */
    struct bytes envelope;          /* canonical JSON: contentDescription of content-hints */
};

/* The signed attributes as DER SET OF (tag 0x31), sorted: what is hashed and signed.
 * Source: RFC 5652 section 5.4. */
enum esign_rc cms_signed_attributes(const struct cms_attributes *a, struct buf *ret,
                                    struct fault *f) MUST_CHECK;

/* The digest of the signed attributes that the token signs: SHA-256, SHA-384 for P-384. */
enum esign_rc cms_dtbs_digest(struct bytes signed_attributes, enum token_algorithm algorithm,
                              struct buf *ret, struct fault *f) MUST_CHECK;

/* Whether value is the signature of digest under the public key of cert (DER). */
enum esign_rc cms_check_value(struct bytes cert, struct bytes digest, struct bytes value, bool *ret,
                              struct fault *f) MUST_CHECK;

/* ContentInfo with SignedData, detached, certificates: signer first, then chain. signed_attributes:
 * as made above. */
enum esign_rc cms_signed_data(struct bytes signed_attributes, enum token_algorithm algorithm,
                              struct bytes value, struct bytes signer_cert,
                              const struct bytes *chain, size_t chain_count, struct buf *ret,
                              struct fault *f) MUST_CHECK;
