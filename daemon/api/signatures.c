/* /v1/signatures and /v1/validations: what was signed, its proofs, and the verdict on a signature.
 */
#include <string.h>

#include "api/handlers.h"
#include "authn/caller.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "verify/verify.h"

static json_t *signatures_view(struct site *s, const json_t *body)
{
    (void)s;
    return sign_signature_view(body);
}

/* The index member under which all signatures of one record stand. */
static enum esign_rc signatures_record_key(const char *type, const char *id,
                                           char ret[2 * SHA256_LEN + 1], struct fault *f)
{
    CLEANUP(buf_done) struct buf key = buf_new(1024);
    uint8_t hash[SHA256_LEN];

    buf_put_blob(&key, bytes_of_str(type));
    buf_put_blob(&key, bytes_of_str(id));
    if (!buf_ok(&key))
        return fault_field(f, ESIGN_E_TOO_LARGE, "record_id", "the record's name is too long");
    bytes_sha256(buf_bytes(&key), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), ret);
    return ESIGN_OK;
}

/* Without the right "read" an application sees the signatures that it asked for: a lost reply can
 * always be fetched again.  Source: requirements 3.6. */
static bool signatures_own(const struct api_request *request, const json_t *row)
{
    const char *application = handler_application(request);
    const char *owner = json_str(row, "envelope.application");

    return application && owner && strcmp(owner, application) == 0;
}

static bool signatures_sees_all(const struct api_request *request, struct fault *f)
{
    const char *application = handler_application(request);

    return !application || authn_caller_right(site_store(handler_site(request)), application,
                                              "read", f) == ESIGN_OK;
}

HANDLER(handle_signature_list)
{
    const char *type = api_query_text(&request->query, "record_type");
    const char *id = api_query_text(&request->query, "record_id");
    const char *signer = api_query_text(&request->query, "signer");
    char key[2 * SHA256_LEN + 1];

    if (!type != !id)
        return fault_field(f, ESIGN_E_PROTO, "record_id", "record_type and record_id go together");
    if (type && signer)
        return fault_field(f, ESIGN_E_PROTO, "signer", "search by record or by signer, not both");
    struct handler_list list = {.kind = "signature",
                                .member = type     ? "record_key"
                                          : signer ? "user_id"
                                                   : NULL,
                                .value = type ? key : signer,
                                .view = signatures_view,
                                .keep = signatures_sees_all(request, NULL) ? NULL : signatures_own};
    enum esign_rc rc = type ? signatures_record_key(type, id, key, f) : ESIGN_OK;
    return rc == ESIGN_OK ? handler_list(request, &list, reply, f) : rc;
}

static enum esign_rc signatures_get(const struct api_request *request, json_t **ret,
                                    int64_t *ret_seq, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    enum esign_rc rc =
        store_get(site_store(handler_site(request)), "signature", request->id, &row, ret_seq, f);

    if (rc != ESIGN_OK)
        return rc;
    if (!signatures_own(request, row) && !signatures_sees_all(request, f))
        return f->rc;
    *ret = TAKE(row);
    return ESIGN_OK;
}

HANDLER(handle_signature_get)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    int64_t seq = -1;
    enum esign_rc rc = signatures_get(request, &row, &seq, f);

    if (rc != ESIGN_OK)
        return rc;
    if (json_object_set_new(row, "entry_seq", json_integer(seq)) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    return handler_reply(reply, 200, sign_signature_view(row), f);
}

HANDLER(handle_signature_manifestation)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    enum esign_rc rc = signatures_get(request, &row, NULL, f);

    if (rc != ESIGN_OK)
        return rc;
    return handler_reply(reply, 200, json_pack("{s:s}", "text", json_str(row, "manifestation")), f);
}

/* The proof needs a checkpoint that covers the entry: one is signed if the newest does not. */
static enum esign_rc signatures_cover(struct site *s, int64_t seq, struct fault *f)
{
    CLEANUP(buf_done) struct buf note = buf_new(4096);
    int64_t size = 0;
    enum esign_rc rc = store_checkpoint(site_store(s), &note, &size, f);

    if (rc != ESIGN_OK && rc != ESIGN_E_NOT_FOUND)
        return rc;
    return rc == ESIGN_OK && size > seq ? ESIGN_OK : site_checkpoint(s, NULL, f);
}

static enum esign_rc signatures_proof(struct site *s, int64_t seq, json_t **ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf proof = buf_new(16 * 1024);
    CLEANUP(buf_done) struct buf entry = buf_new(STORE_ENTRY_MAX);
    enum esign_rc rc = signatures_cover(s, seq, f);

    if (rc == ESIGN_OK)
        rc = audit_proof(site_audit(s), seq, &proof, f);
    if (rc == ESIGN_OK)
        rc = store_entry(site_store(s), seq, &entry, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *proof_text = buf_str(&proof), *entry_text = buf_str(&entry);
    *ret = proof_text && entry_text ? json_pack("{s:s, s:s, s:I}", "proof", proof_text, "entry",
                                                entry_text, "seq", (json_int_t)seq)
                                    : NULL;
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

HANDLER(handle_signature_proof)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    json_t *proof = NULL;
    int64_t seq = -1;
    enum esign_rc rc = signatures_get(request, &row, &seq, f);

    if (rc == ESIGN_OK)
        rc = signatures_proof(handler_site(request), seq, &proof, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, proof, f) : rc;
}

HANDLER(handle_audit_proof)
{
    json_t *proof = NULL;
    int64_t seq = api_query_number(&request->query, "seq", -1);

    if (seq < 0)
        return fault_field(f, ESIGN_E_PROTO, "seq", "say which entry: ?seq=NUMBER");
    if (seq >= store_size(site_store(handler_site(request))))
        return fault_field(f, ESIGN_E_NOT_FOUND, "seq", "there is no entry %lld", (long long)seq);
    enum esign_rc rc = signatures_proof(handler_site(request), seq, &proof, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, proof, f) : rc;
}

static const struct json_field signatures_record_fields[] = {
    {"content", JSON_FIELD_STR, false, SIGN_RECORD_MAX / 3 * 4 + 4},
    {"sha256", JSON_FIELD_STR, false, 2 * SHA256_LEN},
    {"type", JSON_FIELD_STR, false, 128},
    {"id", JSON_FIELD_STR, false, 128},
    {"version", JSON_FIELD_STR, false, 128},
};

HANDLER(handle_validation)
{
    const json_t *record = json_object_get(request->body, "record");
    const char *text = json_str(request->body, "signature");
    CLEANUP(buf_done) struct buf cms = buf_new(DOCUMENT_SIGNATURE_MAX);
    CLEANUP(buf_done) struct buf digest = buf_new(SHA256_LEN);
    json_t *verdict = NULL;
    enum esign_rc rc =
        json_check(record, "record", signatures_record_fields,
                   sizeof(signatures_record_fields) / sizeof(signatures_record_fields[0]), f);

    if (rc == ESIGN_OK && decode_base64(text, strlen(text), &cms) != ESIGN_OK)
        rc =
            fault_field(f, ESIGN_E_PROTO, "signature",
                        "the signature must be base64 of at most %d bytes", DOCUMENT_SIGNATURE_MAX);
    if (rc == ESIGN_OK)
        rc = handler_record_digest(record, &digest, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct verify_request wanted = {.cms = buf_bytes(&cms),
                                          .record_digest = buf_bytes(&digest),
                                          .record_type = json_str(record, "type"),
                                          .record_id = json_str(record, "id"),
                                          .record_version = json_str(record, "version"),
                                          .deadline_at_ms = request->deadline_at_ms};
    rc = verify_signature(handler_site(request), &wanted, &verdict, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, verdict, f) : rc;
}
