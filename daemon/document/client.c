/* Asking esign-document, as a service or as a child. */
#include "document/document_internal.h"

#include "base/cleanup.h"
#include "base/worker/child.h"

struct document {
    struct worker_pool *pool;  /* of a service; NULL: a child */
    struct worker_child child; /* none: a service */
};

enum esign_rc document_open(const char *path, unsigned lanes, struct document **ret,
                            struct fault *f)
{
    CLEANUP(free_p) struct document *d = calloc(1, sizeof *d);
    if (!d)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a service");
    enum esign_rc rc = worker_pool_new("document", path, lanes, &d->pool, f);
    if (rc)
        return rc;
    *ret = TAKE(d);
    return ESIGN_OK;
}

enum esign_rc document_spawn(const char *program, struct document **ret, struct fault *f)
{
    /* nothing of our environment is needed there */
    char *const argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "--once", NULL};
    char *const environment[] = {NULL};
    CLEANUP(free_p) struct document *d = calloc(1, sizeof *d);
    if (!d)
        return fault_set(f, ESIGN_E_INTERNAL, "no room for a child");
    enum esign_rc rc = worker_child_start("document", argv, environment, &d->child, f);
    if (rc)
        return rc;
    *ret = TAKE(d);
    return ESIGN_OK;
}

void document_close(struct document *d)
{
    if (!d)
        return;
    worker_child_end(&d->child);
    worker_pool_free(d->pool);
    free(d);
}

static struct worker_pool *pool_of(const struct document *d)
{
    return d->pool ? d->pool : d->child.pool;
}

enum esign_rc document_ping(struct document *d, int64_t deadline_at_ms, struct fault *f)
{
    return worker_ping(pool_of(d), deadline_at_ms, f);
}

static enum esign_rc check_sizes(const struct document_signature *s, struct fault *f)
{
    if (s->cms.len > DOCUMENT_SIGNATURE_MAX)
        return fault_field(f, ESIGN_E_TOO_LARGE, "signature", "a signature has at most %d bytes",
                           DOCUMENT_SIGNATURE_MAX);
    if (s->anchor_count > DOCUMENT_ANCHORS_MAX)
        return fault_field(f, ESIGN_E_TOO_LARGE, "anchors", "there may be at most %d anchors",
                           DOCUMENT_ANCHORS_MAX);
    for (size_t i = 0; i < s->anchor_count; i++)
        if (s->anchors[i].len > DOCUMENT_ANCHOR_MAX)
            return fault_field(f, ESIGN_E_TOO_LARGE, "anchors", "an anchor has at most %d bytes",
                               DOCUMENT_ANCHOR_MAX);
    return ESIGN_OK;
}

/* One operation about an object and its anchors. */
static enum esign_rc ask(struct document *d, uint16_t op, const struct document_signature *s,
                         int64_t deadline_at_ms, json_t **ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf body = buf_new(FRAME_BODY_MAX);
    CLEANUP(buf_done) struct buf reply = buf_new(DOCUMENT_FACTS_MAX);

    document_put_request(&body, s);
    if (!buf_ok(&body))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a request");
    enum esign_rc rc =
        worker_call(pool_of(d), op, buf_bytes(&body), NULL, 0, deadline_at_ms, &reply, f);
    if (rc)
        return rc;
    return json_parse_object(buf_bytes(&reply), ret, f);
}

enum esign_rc document_facts(struct document *d, const struct document_signature *s,
                             int64_t deadline_at_ms, json_t **ret, struct fault *f)
{
    enum esign_rc rc = check_sizes(s, f);

    return rc ? rc : ask(d, DOCUMENT_OP_FACTS, s, deadline_at_ms, ret, f);
}

enum esign_rc document_certificate_facts(struct document *d, const struct document_certificate *c,
                                         int64_t deadline_at_ms, json_t **ret, struct fault *f)
{
    const struct document_signature s = {
        .cms = c->der, .anchors = c->anchors, .anchor_count = c->anchor_count, .at_ms = c->at_ms};

    if (c->der.len > DOCUMENT_ANCHOR_MAX)
        return fault_field(f, ESIGN_E_TOO_LARGE, "certificate",
                           "a certificate has at most %d bytes", DOCUMENT_ANCHOR_MAX);
    enum esign_rc rc = check_sizes(&s, f);
    return rc ? rc : ask(d, DOCUMENT_OP_CERTIFICATE, &s, deadline_at_ms, ret, f);
}
