#include <limits.h>
#include <string.h>

#include "audit/audit.h"
#include "base/clock.h"
#include "base/encode.h"
#include "cli/programs.h"
#include "cli/verify.h"
#include "document/document.h"

DEFINE_CLEANUP(struct document *, document_close)

enum { OFFLINE_DEADLINE_MS = 20000, OFFLINE_SPKI_MAX = 1024 };

bool verify_pem_next(const char **at, const char *label, struct buf *ret)
{
    char begin[64], end[64];

    (void)snprintf(begin, sizeof(begin), "-----BEGIN %s-----", label); /* labels are short */
    (void)snprintf(end, sizeof(end), "-----END %s-----", label);
    const char *from = strstr(*at, begin);
    const char *to = from ? strstr(from, end) : NULL;
    if (!to)
        return false;
    CLEANUP(buf_done) struct buf text = buf_new(CLI_FILE_MAX);
    for (from += strlen(begin); from < to; from++)
        if (*from != '\n' && *from != '\r')
            buf_put_u8(&text, (uint8_t)*from);
    *at = to + strlen(end);
    return buf_ok(&text) && decode_base64((const char *)text.data, text.len, ret) == ESIGN_OK &&
           ret->len > 0;
}

/* Whether the entry is the successful outcome of the signature with that digest. */
static bool offline_entry_fits(const char *entry, struct bytes cms)
{
    CLEANUP(json_decref_p) json_t *object = NULL;
    uint8_t digest[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];

    if (json_parse_object(bytes_of_str(entry), &object, NULL) != ESIGN_OK)
        return false;
    bytes_sha256(cms, (struct bytes){0}, digest);
    encode_hex(bytes_of(digest, sizeof(digest)), hex);
    const char *action = json_str(object, "action"), *result = json_str(object, "result");
    const char *hash = json_str(object, "new.cms_sha256");
    return action && strcmp(action, "signature.outcome") == 0 && result &&
           strcmp(result, "OK") == 0 && hash && strcmp(hash, hex) == 0;
}

const char *verify_membership(struct bytes cms, const json_t *proof, struct bytes spki,
                              struct fault *ret_detail)
{
    struct audit_head head;
    int64_t seq = 0;
    const char *text = json_str(proof, "proof"), *entry = json_str(proof, "entry");

    if (!text || !entry) {
        (void)fault_set(ret_detail, ESIGN_E_FORMAT, "The proof's file has no proof and entry.");
        return NULL;
    }
    if (audit_proof_check(bytes_of_str(text), bytes_of_str(entry), spki, &head, &seq, ret_detail) !=
        ESIGN_OK)
        return NULL;
    if (offline_entry_fits(entry, cms))
        return "member";
    (void)fault_set(ret_detail, ESIGN_E_FORMAT, "The proof is of another signature.");
    return NULL;
}

/* The log's key: base64 of the SubjectPublicKeyInfo, or a PEM file. */
static enum cli_exit offline_log_key(const struct cli *cli, struct buf *ret)
{
    CLEANUP(buf_done) struct buf file = buf_new(0);
    const char *key = cli_option(cli, OPTION_LOG_KEY);

    *ret = buf_new(OFFLINE_SPKI_MAX);
    if (strlen(key) > 80 && decode_base64(key, strlen(key), ret) == ESIGN_OK)
        return CLI_DONE;
    buf_done(ret);
    *ret = buf_new(OFFLINE_SPKI_MAX);
    enum cli_exit rc = cli_read_file(cli, key, &file);
    if (rc != CLI_DONE)
        return rc;
    const char *at = buf_str(&file);
    if (at && verify_pem_next(&at, "PUBLIC KEY", ret))
        return CLI_DONE;
    return cli_usage("--log-key is a PEM file with a public key, or the key's base64");
}

/* "member", or NULL: no proof was given, or it proves nothing (ret_detail says why). */
static enum cli_exit offline_audit(const struct cli *cli, const struct verify_input *input,
                                   const char **ret, struct fault *ret_detail)
{
    CLEANUP(buf_done) struct buf file = buf_new(0);
    CLEANUP(buf_done) struct buf spki = buf_new(0);
    CLEANUP(json_decref_p) json_t *proof = NULL;
    const char *path = cli_option(cli, OPTION_PROOF);
    struct fault f = {0};

    *ret = NULL;
    if (!path)
        return CLI_DONE;
    enum cli_exit rc = cli_read_file(cli, path, &file);
    if (rc == CLI_DONE)
        rc = offline_log_key(cli, &spki);
    if (rc != CLI_DONE)
        return rc;
    if (json_parse_object(buf_bytes(&file), &proof, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    *ret = verify_membership(buf_bytes(&input->signature), proof, buf_bytes(&spki), ret_detail);
    return CLI_DONE;
}

/* Ask a child that is esign-document for the facts. */
static enum cli_exit offline_facts(const struct cli *cli, const struct verify_input *input,
                                   json_t **ret)
{
    CLEANUP(buf_done) struct buf pem = buf_new(0);
    struct buf der[DOCUMENT_ANCHORS_MAX];
    struct bytes anchors[DOCUMENT_ANCHORS_MAX];
    char path[PATH_MAX];
    struct fault f = {0};
    size_t count = 0;
    const char *program = cli_option(cli, OPTION_DOCUMENT_PROGRAM);
    enum cli_exit rc = cli_read_file(cli, cli_option(cli, OPTION_TRUST), &pem);

    if (rc != CLI_DONE)
        return rc;
    if (!program && !programs_path("esign-document", path, sizeof(path)))
        return cli_usage("esign-document is not found; give --document-program PATH");
    const char *at = buf_str(&pem);
    for (bool more = at != NULL; more && count < DOCUMENT_ANCHORS_MAX; count += more) {
        der[count] = buf_new(DOCUMENT_ANCHOR_MAX);
        more = verify_pem_next(&at, "CERTIFICATE", &der[count]);
        anchors[count] = buf_bytes(&der[count]);
        if (!more)
            buf_done(&der[count]);
    }
    CLEANUP(buf_done) struct buf excess = buf_new(DOCUMENT_ANCHOR_MAX);
    if (count == DOCUMENT_ANCHORS_MAX && verify_pem_next(&at, "CERTIFICATE", &excess))
        rc = cli_usage("--trust has at most %d certificates", DOCUMENT_ANCHORS_MAX);
    const struct document_signature signature = {
        .cms = buf_bytes(&input->signature),
        .record_digest =
            input->has_record ? bytes_of(input->digest, SHA256_LEN) : (struct bytes){0},
        .anchors = anchors,
        .anchor_count = count,
    };
    CLEANUP(document_close_p) struct document *document = NULL;
    enum esign_rc result =
        count > 0 ? document_spawn(program ? program : path, &document, &f)
                  : fault_set(&f, ESIGN_E_FORMAT, "--trust names a file without a certificate");
    if (result == ESIGN_OK)
        result = document_facts(document, &signature,
                                clock_mono_ms(clock_system()) + OFFLINE_DEADLINE_MS, ret, &f);
    while (count > 0)
        buf_done(&der[--count]);
    if (rc != CLI_DONE)
        return rc;
    return result == ESIGN_OK ? CLI_DONE : cli_fault(cli, &f);
}

/* A copy of a member of the envelope in the verdict, under its own name. */
static void offline_copy(json_t *verdict, const char *name, const json_t *facts, const char *member)
{
    json_t *value = json_object_get(json_object_get(facts, "envelope"), member);

    if (value) /* missing in the report at worst */
        (void)json_object_set(verdict, name, value);
}

static json_t *offline_checks(const json_t *facts, const struct document_context *context)
{
    struct document_check checks[DOCUMENT_CHECKS_MAX];
    size_t count = document_checks(facts, context, checks);
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *check = json_object();
        cli_set(check, "name", checks[i].name);
        cli_set(check, "result", document_result_name(checks[i].result));
        cli_set(check, "detail", checks[i].detail);
        (void)json_array_append_new(list, check); /* missing in the report at worst */
    }
    return list;
}

enum cli_exit verify_offline(struct cli *cli, const struct verify_input *input, json_t **ret)
{
    CLEANUP(json_decref_p) json_t *facts = NULL;
    struct document_context context = {.record_type = input->record.type,
                                       .record_id = input->record.id,
                                       .record_version = input->record.version};
    struct document_verdict verdict;
    struct fault detail = {0};
    enum cli_exit rc = offline_audit(cli, input, &context.audit, &detail);

    if (rc == CLI_DONE)
        rc = offline_facts(cli, input, &facts);
    if (rc != CLI_DONE)
        return rc;
    document_verdict(facts, &context, &verdict);
    json_t *object = json_object();
    cli_set(object, "indication", verdict.indication);
    cli_set(object, "reason", verdict.reason);
    bool about_proof = detail.detail[0] && strcmp(verdict.reason, "NOT_IN_AUDIT") == 0;
    cli_set(object, "detail", about_proof ? detail.detail : verdict.detail);
    if (strcmp(verdict.indication, "TOTAL_FAILED") != 0) { /* what a forgery claims is not told */
        offline_copy(object, "signature", facts, "signature_id");
        offline_copy(object, "signer", facts, "signer");
        offline_copy(object, "meaning", facts, "meaning");
        offline_copy(object, "time", facts, "time");
        offline_copy(object, "record", facts, "record");
    }
    (void)json_object_set_new(object, "checks", offline_checks(facts, &context));
    (void)json_object_set(object, "facts", facts); /* missing in the report at worst */
    *ret = object;
    return CLI_DONE;
}
