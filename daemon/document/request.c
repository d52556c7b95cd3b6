/* The body of a request for facts. */
#include "document/document_internal.h"

#include "base/reader.h"

void document_put_request(struct buf *body, const struct document_signature *s)
{
    buf_put_blob(body, s->cms);
    buf_put_blob(body, s->record_digest);
    buf_put_u64(body, (uint64_t)s->at_ms);
    buf_put_u32(body, (uint32_t)s->anchor_count);
    for (size_t i = 0; i < s->anchor_count; i++)
        buf_put_blob(body, s->anchors[i]);
}

enum esign_rc document_get_request(struct bytes body, struct document_signature *ret,
                                   struct bytes anchors[DOCUMENT_ANCHORS_MAX], struct fault *f)
{
    struct reader r = reader_of(body);
    ret->cms = reader_blob(&r, DOCUMENT_SIGNATURE_MAX);
    ret->record_digest = reader_blob(&r, SHA256_LEN);
    ret->at_ms = (int64_t)reader_u64(&r);
    uint32_t count = reader_u32(&r);
    if (count > DOCUMENT_ANCHORS_MAX)
        r.failed = true;
    for (uint32_t i = 0; i < count && !r.failed; i++)
        anchors[i] = reader_blob(&r, DOCUMENT_ANCHOR_MAX);
    bool digest_fits = ret->record_digest.len == 0 || ret->record_digest.len == SHA256_LEN;
    if (!reader_done(&r) || !digest_fits || ret->at_ms < 0)
        return fault_set(f, ESIGN_E_PROTO, "the request for facts is malformed");
    ret->anchors = anchors;
    ret->anchor_count = count;
    return ESIGN_OK;
}
