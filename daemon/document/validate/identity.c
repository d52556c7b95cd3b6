/* Byte identity: a signature of ours is encoded again from what it says, so that no bit of it can
 * be changed unnoticed. */
#include "document/validate/validate_internal.h"

struct others {
    struct buf ders[VALIDATE_CERTS_MAX];
    struct bytes list[VALIDATE_CERTS_MAX];
    size_t count;
};

static void others_done(struct others *others)
{
    for (size_t i = 0; i < others->count; i++)
        buf_done(&others->ders[i]);
}

/* The certificates beside the signer's, each once. */
static bool read_others(const struct validate_parts *parts, struct others *ret)
{
    for (int i = 0; i < sk_X509_num(parts->certs); i++) {
        X509 *cert = sk_X509_value(parts->certs, i);
        if (cert == parts->signer)
            continue;
        struct buf *der = &ret->ders[ret->count];
        *der = buf_new(DOCUMENT_SIGNATURE_MAX);
        int len = i2d_X509(cert, NULL);
        unsigned char *room = len > 0 ? buf_reserve(der, (size_t)len) : NULL;
        ret->count++;
        if (!room || i2d_X509(cert, &room) != len)
            return false;
        ret->list[ret->count - 1] = buf_bytes(der);
        bool twice = bytes_equal(buf_bytes(der), buf_bytes(&parts->signer_der));
        for (size_t j = 0; j + 1 < ret->count; j++)
            twice |= bytes_equal(ret->list[j], buf_bytes(der));
        if (twice)
            return false;
    }
    return true;
}

static bool encode_attributes(const struct validate_parts *parts,
                              const struct validate_claims *claims, struct buf *ret)
{
    const struct cms_attributes attributes = {
        .record_digest = claims->message_digest,
        .signing_time_ms = claims->signing_time_ms,
        .signer_cert = buf_bytes(&parts->signer_der),
        .algorithm = validate_algorithm(parts->signer),
        .commitment_oid = claims->commitment[0] ? claims->commitment : NULL,
        .claimed_role = claims->role[0] ? claims->role : NULL,
        .envelope = claims->envelope,
    };
    return claims->readable && !cms_signed_attributes(&attributes, ret, NULL);
}

void validate_identity_check(const struct document_signature *s, const struct validate_parts *parts,
                             const struct validate_claims *claims,
                             struct validate_findings *findings)
{
    CLEANUP(buf_done) struct buf attributes = buf_new(CMS_SIGNED_MAX);
    CLEANUP(buf_done) struct buf whole = buf_new(CMS_SIGNED_MAX);
    CLEANUP(others_done) struct others others = {0};

    findings->identity = false;
    findings->attributes = "bad";
    if (!parts->signer) {
        validate_note(findings, "the signer's certificate is not in the signature");
        return;
    }
    if (!encode_attributes(parts, claims, &attributes) ||
        !bytes_equal(buf_bytes(&attributes), buf_bytes(&parts->attributes))) {
        validate_note(findings, "the signed attributes are not those of our format for this "
                                "certificate");
        return;
    }
    findings->attributes = "ok";
    findings->identity =
        read_others(parts, &others) &&
        !cms_signed_data(buf_bytes(&attributes), validate_algorithm(parts->signer), parts->value,
                         buf_bytes(&parts->signer_der), others.list, others.count, &whole, NULL) &&
        bytes_equal(buf_bytes(&whole), s->cms);
    if (!findings->identity)
        validate_note(findings, "bytes outside of what is signed are not as we write them");
}
