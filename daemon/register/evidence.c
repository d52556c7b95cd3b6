/* Evidence of a person's identity, and the small helpers of the register's rows. */
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "register/register_internal.h"

enum { EVIDENCE_NUMBER_MAX = 64, EVIDENCE_TEXT_MAX = 200, EVIDENCE_FOLDED_MAX = 16384 };

static const struct json_field evidence_fields[] = {
    {"method", JSON_FIELD_STR, true, 16},
    {"document_type", JSON_FIELD_STR, true, EVIDENCE_NUMBER_MAX},
    {"issuer", JSON_FIELD_STR, true, EVIDENCE_TEXT_MAX},
    {"number", JSON_FIELD_STR, true, EVIDENCE_NUMBER_MAX},
    {"seen", JSON_FIELD_STR, true, 10},
    {"note", JSON_FIELD_STR, false, EVIDENCE_TEXT_MAX},
};

static enum esign_rc evidence_check(const json_t *evidence, const char *field, struct fault *f)
{
    static const char *const methods[] = {"in-person", "remote", "transferred"};
    static const char *const lines[] = {"document_type", "issuer", "number"};
    char text[CLOCK_TEXT];
    int64_t at_ms = 0;
    bool known = false;
    enum esign_rc rc = json_check(evidence, field, evidence_fields,
                                  sizeof(evidence_fields) / sizeof(evidence_fields[0]), f);

    if (rc != ESIGN_OK)
        return rc;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        known = known || strcmp(methods[i], json_str(evidence, "method")) == 0;
    if (!known)
        return fault_field(f, ESIGN_E_PROTO, "evidence.method",
                           "the method is in-person, remote or transferred");
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (!text_is_line(json_str(evidence, lines[i]), EVIDENCE_TEXT_MAX))
            return fault_field(f, ESIGN_E_PROTO, lines[i], "%s must be a line of text", lines[i]);
    (void)snprintf(text, sizeof(text), "%sT00:00:00.000Z", json_str(evidence, "seen"));
    if (clock_parse_utc(text, &at_ms) != ESIGN_OK)
        return fault_field(f, ESIGN_E_PROTO, "evidence.seen", "the date is written YYYY-MM-DD");
    return ESIGN_OK;
}

/* The form in which a member is compared: letters, marks and digits only, without regard to case
 * and to how a character is encoded, so that one document gives one person however it is typed. */
static enum esign_rc evidence_fold(const char *member, const char *text, struct buf *out,
                                   struct fault *f)
{
    size_t len = 0;
    uint8_t *folded =
        u8_casefold((const uint8_t *)text, strlen(text), NULL, UNINORM_NFKC, NULL, &len);
    const uc_general_category_t kept =
        uc_general_category_or(uc_general_category_or(UC_CATEGORY_L, UC_CATEGORY_M), UC_CATEGORY_N);

    if (!folded)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for evidence");
    for (size_t at = 0; at < len;) {
        ucs4_t c = 0;
        int width = u8_mbtoucr(&c, folded + at, len - at);
        if (width <= 0)
            break;
        if (uc_is_general_category(c, kept))
            buf_put(out, bytes_of(folded + at, (size_t)width));
        at += (size_t)width;
    }
    free(folded);
    if (out->len == 0)
        return fault_field(f, ESIGN_E_PROTO, member, "%s needs letters or digits", member);
    return ESIGN_OK;
}

enum esign_rc register_evidence_hash(const json_t *evidence, struct bytes key,
                                     char ret[2 * SHA256_LEN + 1], struct fault *f)
{
    static const char *const members[] = {"document_type", "issuer", "number"};
    CLEANUP(buf_done) struct buf text = buf_new(EVIDENCE_FOLDED_MAX);
    uint8_t mac[SHA256_LEN];
    unsigned len = 0;

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        CLEANUP(buf_done) struct buf folded = buf_new(EVIDENCE_FOLDED_MAX);
        enum esign_rc rc = evidence_fold(members[i], json_str(evidence, members[i]), &folded, f);
        if (rc != ESIGN_OK)
            return rc;
        buf_put_blob(&text, buf_bytes(&folded));
    }
    if (!buf_ok(&text) ||
        !HMAC(EVP_sha256(), key.data, (int)key.len, text.data, text.len, mac, &len))
        return fault_set(f, ESIGN_E_INTERNAL, "the evidence can't be hashed");
    encode_hex(bytes_of(mac, sizeof(mac)), ret);
    return ESIGN_OK;
}

/* What is kept readable of a number of more than eight bytes: the characters of its last four. */
static const char *evidence_end(const char *number)
{
    size_t len = strlen(number), at = len > 8 ? len - 4 : len;

    while (at < len && (number[at] & 0xc0) == 0x80) /* inside a character */
        at++;
    return number + at;
}

enum esign_rc register_evidence(const json_t *evidence, const char *field, struct bytes key,
                                const char *checked_by, json_t **ret, struct fault *f)
{
    char hash[2 * SHA256_LEN + 1];
    enum esign_rc rc = evidence_check(evidence, field, f);

    if (rc == ESIGN_OK)
        rc = register_evidence_hash(evidence, key, hash, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *number = json_str(evidence, "number"), *end = evidence_end(number);
    json_t *stored = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s*}", "method", json_str(evidence, "method"),
        "document_type", json_str(evidence, "document_type"), "issuer",
        json_str(evidence, "issuer"), "number_hash", hash, "number_end", end, "seen",
        json_str(evidence, "seen"), "checked_by", checked_by, "note", json_str(evidence, "note"));
    if (!stored)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for evidence");
    *ret = stored;
    return ESIGN_OK;
}

enum esign_rc register_evidence_key(struct site *s, struct buf *ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    enum esign_rc rc = store_get(site_store(s), "site", "site", &row, NULL, f);

    return rc == ESIGN_OK ? site_decode(row, "evidence_key", ret, f) : rc;
}

enum esign_rc register_check_names(const json_t *params, const char *prefix, struct fault *f)
{
    const char *user_id = json_str(params, "user_id"), *name = json_str(params, "printed_name");

    if (!text_is_id(user_id, 64))
        return fault_field(f, ESIGN_E_PROTO, "user_id",
                           "%s the code is 1 to 64 letters, digits, '.', '_' or '-'", prefix);
    if (!text_is_line(name, 64))
        return fault_field(f, ESIGN_E_PROTO, "printed_name",
                           "%s the name is a line of at most 64 bytes", prefix);
    if (strcmp(user_id, name) == 0)
        return fault_field(f, ESIGN_E_PROTO, "printed_name",
                           "%s the printed name must not be the identification code", prefix);
    if (!text_is_line(json_str(params, "title"), 64))
        return fault_field(f, ESIGN_E_PROTO, "title", "%s the title is a line of at most 64 bytes",
                           prefix);
    return ESIGN_OK;
}

json_t *register_keep(json_t *bag, json_t *value)
{
    return value && json_array_append_new(bag, value) == 0 ? value : NULL;
}

enum esign_rc register_used(enum esign_rc rc, struct fault *f)
{
    if (rc != ESIGN_E_CONFLICT || strcmp(f->reason, "generation") != 0)
        return rc;
    if (strncmp(f->field, "userid/", 7) == 0)
        return fault_field(f, ESIGN_E_ID_USED, "user_id",
                           "this identification code was used before and is never given again");
    if (strncmp(f->field, "evidence/", 9) == 0)
        return fault_field(f, ESIGN_E_ID_USED, "evidence.number",
                           "another signer was enrolled with this evidence");
    if (strncmp(f->field, "key/", 4) == 0)
        return fault_field(f, ESIGN_E_ID_USED, "params.certificate",
                           "this key is or was a signer's; a key is used once, by one person");
    if (strncmp(f->field, "application/", 12) == 0 || strncmp(f->field, "terminal/", 9) == 0)
        return fault_field(f, ESIGN_E_ID_USED, "id", "this id was used before");
    if (strncmp(f->field, "peer/", 5) == 0)
        return fault_field(f, ESIGN_E_ID_USED, "uid", "this uid or gid is registered already");
    return rc;
}
