/* The operations between document.h's calls and esign-document (worker frame bodies, big endian).
 */
#pragma once

#include "document/document.h"

enum {
    /* Request: blob signature, blob digest (empty or 32 bytes), u64 at_ms, u32 count of anchors,
     * that many blobs.  Reply: the facts as JSON text (FACTS.md). */
    DOCUMENT_OP_FACTS = 1,
    /* Request: as above, with a certificate instead of the signature and an empty digest.  Reply:
     * its facts as JSON text. */
    DOCUMENT_OP_CERTIFICATE = 2,
    DOCUMENT_FACTS_MAX = 96 * 1024 /* bytes of the facts as text */
};

void document_put_request(struct buf *body, const struct document_signature *s);

/* ret borrows from body and from anchors.  ESIGN_E_PROTO. */
enum esign_rc document_get_request(struct bytes body, struct document_signature *ret,
                                   struct bytes anchors[DOCUMENT_ANCHORS_MAX],
                                   struct fault *f) MUST_CHECK;
