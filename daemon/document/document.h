/* The face of esign-document: facts about signed objects and certificates that others made, and the
 * verdict from those facts. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "base/json.h"

struct document;

enum {
    DOCUMENT_SIGNATURE_MAX = 64 * 1024, /* bytes of a signature */
    DOCUMENT_ANCHORS_MAX = 4,           /* trusted certificates in one call */
    DOCUMENT_ANCHOR_MAX = 8192          /* bytes of one of them */
};

/* path: the service's socket; lanes: documents at once.  ret: owned by the caller. */
enum esign_rc document_open(const char *path, unsigned lanes, struct document **ret,
                            struct fault *f) MUST_CHECK;
/* The same program as a child of this process, for one call (`esign verify --offline`).  program:
 * path.  ESIGN_E_HSM reason "worker": it can't be started. */
enum esign_rc document_spawn(const char *program, struct document **ret,
                             struct fault *f) MUST_CHECK;
void document_close(struct document *d); /* ends and reaps a child; NULL is allowed */

/* Whether the service answers; nothing is parsed.  ESIGN_E_HSM reason "worker", ESIGN_E_DEADLINE.
 */
enum esign_rc document_ping(struct document *d, int64_t deadline_at_ms, struct fault *f) MUST_CHECK;

struct document_signature {
    struct bytes cms;            /* DER of the detached signature */
    struct bytes record_digest;  /* SHA-256 of the record's bytes; empty: unknown */
    const struct bytes *anchors; /* trusted CA certificates, DER */
    size_t anchor_count;
    int64_t at_ms; /* time at which the chain is judged: 0 = the signing-time attribute */
};

/* The facts of a CMS signature, as a JSON object (docs in daemon/document/FACTS.md).  A signature
 * that is malformed is a fact too ("structure"), not an error of the call.  Blocks at most until
 * deadline_at_ms (monotonic).  ret: owned by the caller.  ESIGN_E_TOO_LARGE: field "signature" or
 * "anchors"; ESIGN_E_PROTO: an anchor is no certificate; ESIGN_E_HSM reason "worker" or "closed":
 * the helper died; ESIGN_E_DEADLINE. */
enum esign_rc document_facts(struct document *d, const struct document_signature *s,
                             int64_t deadline_at_ms, json_t **ret, struct fault *f) MUST_CHECK;

/* The same as a pure function in this process: what esign-document runs (document/validate/). */
enum esign_rc validate_signature(const struct document_signature *s, json_t **ret,
                                 struct fault *f) MUST_CHECK;

/* A certificate that somebody else issued. */
struct document_certificate {
    struct bytes der;            /* at most DOCUMENT_ANCHOR_MAX */
    const struct bytes *anchors; /* trusted CA certificates, DER */
    size_t anchor_count;         /* at most DOCUMENT_ANCHORS_MAX */
    int64_t at_ms;               /* time at which it is judged: 0 = now */
};

/* The facts of a certificate, as a JSON object (docs in daemon/document/FACTS.md).  One that is
 * malformed is a fact too.  As document_facts(); field "certificate" instead of "signature". */
enum esign_rc document_certificate_facts(struct document *d, const struct document_certificate *c,
                                         int64_t deadline_at_ms, json_t **ret,
                                         struct fault *f) MUST_CHECK;

/* The same as a pure function in this process: what esign-document runs (document/validate/). */
enum esign_rc validate_certificate(const struct document_certificate *c, json_t **ret,
                                   struct fault *f) MUST_CHECK;

/* What is known besides the signature itself.  Unknown: the pointer is NULL. */
struct document_context {
    const char *record_type, *record_id,
        *record_version; /* what the caller says that this record is */
    const char
        *audit; /* "member": this signature's outcome entry is in the trail; "absent"; "broken" */
    const char
        *signer_state; /* state of the signer at signing time: "active", "revoked", "suspended" */
    bool production;   /* refuse signatures with system=test */
};

enum document_result { DOCUMENT_PASS, DOCUMENT_FAIL, DOCUMENT_UNKNOWN };

/* "pass", "fail", "unknown". */
const char *document_result_name(enum document_result result);

struct document_check {
    const char *name; /* static: "record", "audit-entry", … */
    enum document_result result;
    char detail[200]; /* a sentence for people; empty for a plain pass */
};

enum { DOCUMENT_CHECKS_MAX = 16 };

/* All checks in their fixed order with what came of them; pure.  Returns their count. */
size_t document_checks(const json_t *facts, const struct document_context *context,
                       struct document_check ret[DOCUMENT_CHECKS_MAX]);

struct document_verdict {
    const char *indication; /* "TOTAL_PASSED", "TOTAL_FAILED", "INDETERMINATE" */
    const char *reason;     /* of requirements 0.2; "" for TOTAL_PASSED */
    char detail[200];       /* a sentence for people */
};

/* The verdict; pure.  The first failing check in a fixed table decides, failures before doubts;
 * a doubt about the signer's state does not count, for the audit entry of the signature settles it;
 * a record that was not named by type, id and version does.  Source: ETSI EN 319 102-1;
 * requirements 0.2; 21 CFR 11.10(a), 11.70. */
void document_verdict(const json_t *facts, const struct document_context *context,
                      struct document_verdict *ret);
