/* Encoding of our CAdES-B-B signatures in DER (RFC 5652, EN 319 122-1), frozen in FORMAT.md.
 * Nothing foreign is parsed here: the only thing read are certificates that we issued. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "pkcs11/token.h"

enum {
    CMS_SIGNED_MAX = 64 * 1024,   /* bytes of a whole signature */
    CMS_ENVELOPE_MAX = 16 * 1024, /* bytes of the envelope */
    CMS_ROLE_MAX = 256,           /* bytes of the claimed role */
    CMS_CHAIN_MAX = 7             /* certificates beside the signer's */
};

struct cms_attributes {
    struct bytes record_digest;     /* SHA-256 of the record: message-digest */
    int64_t signing_time_ms;        /* UTC; written to the second (UTCTime up to 2049, then
                                       GeneralizedTime) */
    struct bytes signer_cert;       /* DER: ESS signing-certificate-v2 (SHA-256, IssuerSerial) */
    enum token_algorithm algorithm; /* of the key: cms-algorithm-protection */
    const char *commitment_oid;     /* dotted: ETSI commitment type, or NULL */
    const char *claimed_role;       /* signer-attributes-v2, a line of text, or NULL */
    struct bytes envelope;          /* canonical JSON: contentDescription of content-hints */
};

/* The signed attributes as DER SET OF (tag 0x31), sorted: what is hashed and signed.
 * ret: appended to.  ESIGN_E_PROTO: a value that the format does not allow; ESIGN_E_TOO_LARGE:
 * envelope or result over the limit; ESIGN_E_INTERNAL: signer_cert is no certificate.
 * Source: RFC 5652 sections 5.4 and 11, RFC 5035, RFC 6211, RFC 2634 section 2.9, EN 319 122-1
 * section 5.2. */
enum esign_rc cms_signed_attributes(const struct cms_attributes *a, struct buf *ret,
                                    struct fault *f) MUST_CHECK;

/* The digest of the signed attributes that the token signs.  It is SHA-256 with every key, P-384
 * too: one digest algorithm must serve record and attributes (RFC 5753 section 2.1.1), and that of
 * the record is SHA-256 everywhere.  ret: 32 bytes, appended.  ESIGN_E_UNSUPPORTED: unknown
 * algorithm. */
enum esign_rc cms_dtbs_digest(struct bytes signed_attributes, enum token_algorithm algorithm,
                              struct buf *ret, struct fault *f) MUST_CHECK;

/* ContentInfo with SignedData: version 1, detached, one SignerInfo by issuer and serial, the
 * signer's certificate and the chain (at most CMS_CHAIN_MAX) as DER SET OF, no CRLs, no unsigned
 * attributes.  signed_attributes: as made above.  value: of the two ECDSA values (r, s) and (r,
 * n-s), which verify alike, the one with the smaller s is written.  ret: appended to.
 * ESIGN_E_TOO_LARGE; ESIGN_E_FORMAT: value is no ECDSA-Sig-Value; ESIGN_E_INTERNAL: signer_cert is
 * no certificate.  Source: RFC 5652 section 5.1. */
enum esign_rc cms_signed_data(struct bytes signed_attributes, enum token_algorithm algorithm,
                              struct bytes value, struct bytes signer_cert,
                              const struct bytes *chain, size_t chain_count, struct buf *ret,
                              struct fault *f) MUST_CHECK;
