/* What the files of validate/ share: a signature taken apart, and what was found out about it. */
#pragma once

#include "document/document.h"

#include "base/cleanup.h"
#include "cms/cms.h"
#include "cms/der_read.h"

enum {
    VALIDATE_CERTS_MAX = CMS_CHAIN_MAX + 1, /* certificates in one signature */
    VALIDATE_TEXT_MAX = 256                 /* bytes of a name in the facts, with its NUL */
};

/* A SignedData taken apart.  Owned by validate_parts_done(). */
struct validate_parts {
    CMS_ContentInfo *cms;
    CMS_SignerInfo *info; /* the first SignerInfo; borrowed from cms */
    int info_count;
    STACK_OF(X509) * certs;
    X509 *signer;          /* borrowed from certs; NULL: not there */
    struct buf signer_der; /* its bytes */
    struct buf attributes; /* the signed attributes as SET OF (tag 0x31); empty: there are none */
    struct bytes value;    /* borrowed from cms */
    bool has_content;      /* not detached */
};

/* What the signed attributes say, borrowed from parts->attributes.  Absent: empty, -1, "". */
struct validate_claims {
    struct bytes content_type, message_digest;
    int64_t signing_time_ms;
    char commitment[DER_OID_TEXT_MAX];
    char role[CMS_ROLE_MAX + 1];
    struct bytes envelope; /* contentDescription of content-hints */
    bool readable;         /* all of these could be decoded, each at most once */
};

/* The subject of the signer's certificate. */
struct validate_subject {
    char printed_name[VALIDATE_TEXT_MAX], user_id[VALIDATE_TEXT_MAX], signer_id[VALIDATE_TEXT_MAX];
};

/* What is found out.  The words are those of FACTS.md. */
struct validate_findings {
    const char *structure, *digest, *value, *attributes, *chain;
    bool identity;
    json_t *envelope; /* owned; NULL: none */
    char detail[200]; /* the first thing that is wrong */
};

/* Say what is wrong, unless something was said before. */
void validate_note(struct validate_findings *findings, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Take a signature apart.  false: it is no SignedData with a signer (findings say why). */
bool validate_parts_read(struct bytes cms, struct validate_parts *ret,
                         struct validate_findings *findings);
void validate_parts_done(struct validate_parts *parts);

/* Decode the signed attributes that we know. */
void validate_claims_read(struct bytes attributes, struct validate_claims *ret);

/* The envelope as an object if the claims carry one of format 1.  ret: owned by the caller. */
bool validate_envelope_read(struct bytes text, json_t **ret);
/* Whether it is whole, canonical, and says the same as certificate and signed attributes. */
bool validate_envelope_check(const json_t *envelope, const struct validate_claims *claims,
                             const struct validate_subject *subject,
                             struct validate_findings *findings);

/* The subject's attributes that we use.  false: one of them is missing or there twice. */
bool validate_subject_read(X509 *cert, struct validate_subject *ret);

/* The algorithm of the signer's key; 0: not one that we sign with. */
enum token_algorithm validate_algorithm(X509 *cert);

/* "ok", "bad", or "malformed": the value of a signature of ours over its signed attributes. */
const char *validate_value_ours(const struct validate_parts *parts);
/* "ok", "bad", "unknown": the values of any other signature, all signers. */
const char *validate_value_any(const struct validate_parts *parts);

/* Encode a signature of ours again from what it says: sets findings->attributes and ->identity.
 * Fails only if memory is out. */
void validate_identity_check(const struct document_signature *s, const struct validate_parts *parts,
                             const struct validate_claims *claims,
                             struct validate_findings *findings);

/* A certificate whose way to an anchor is judged at a time; all borrowed. */
struct validate_path {
    X509 *cert; /* NULL: only the anchors are read */
    STACK_OF(X509) * others;
    const struct bytes *anchors;
    size_t anchor_count;
    int64_t at_ms;
};
/* ret_word: "ok", "no-anchor", "expired" or "bad"; ret_why: OpenSSL's sentence, "" if ok; both
 * static.  ret_chain: of a good one, owned by the caller; NULL: not wanted.  ESIGN_E_PROTO: an
 * anchor can't be read. */
enum esign_rc validate_path_check(const struct validate_path *path, STACK_OF(X509) * *ret_chain,
                                  const char **ret_word, const char **ret_why,
                                  struct fault *f) MUST_CHECK;

/* Texts of facts; NULL: no memory. */
json_t *validate_issuer_text(X509 *cert);  /* RFC 4514 */
json_t *validate_subject_text(X509 *cert); /* RFC 4514 */
json_t *validate_serial_text(X509 *cert);  /* hexadecimal */
json_t *validate_time_text(const ASN1_TIME *at);
json_t *validate_base64_text(struct bytes bytes);

/* The chain from the signer to an anchor at that time: sets findings->chain.  If it holds, each
 * other certificate in the signature must be part of it, byte for byte, or findings->identity is
 * cleared.  ESIGN_E_PROTO: an anchor can't be read. */
enum esign_rc validate_chain_check(const struct document_signature *s,
                                   const struct validate_parts *parts, int64_t at_ms,
                                   struct validate_findings *findings, struct fault *f) MUST_CHECK;

/* The facts as JSON.  signer may be NULL. */
enum esign_rc validate_facts(const struct validate_findings *findings, struct bytes cms,
                             const struct validate_parts *parts,
                             const struct validate_claims *claims, json_t **ret,
                             struct fault *f) MUST_CHECK;
