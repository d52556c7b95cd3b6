/* The findings as JSON (FACTS.md). */
#include "document/validate/validate_internal.h"

#include "base/clock.h"
#include "base/encode.h"

#include <openssl/err.h>

enum { NAME_TEXT_LEN = 1024, SERIAL_OCTETS_MAX = 64 };

/* The value of the one attribute of that kind in a name.  false: none, several, or no text. */
static bool read_name_part(const X509_NAME *name, int nid, char ret[VALIDATE_TEXT_MAX])
{
    ret[0] = '\0';
    int at = X509_NAME_get_index_by_NID(name, nid, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0)
        return false;
    unsigned char *text = NULL;
    int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    bool fits = len > 0 && len < VALIDATE_TEXT_MAX && !memchr(text, 0, (size_t)len);
    if (fits) {
        memcpy(ret, text, (size_t)len);
        ret[len] = '\0';
    }
    OPENSSL_free(text);
    return fits;
}

bool validate_subject_read(X509 *cert, struct validate_subject *ret)
{
    const X509_NAME *name = X509_get_subject_name(cert);
    bool has_name = read_name_part(name, NID_commonName, ret->printed_name);
    bool has_user = read_name_part(name, NID_serialNumber, ret->user_id);
    bool has_signer = read_name_part(name, NID_userId, ret->signer_id);
    return has_name && has_user && has_signer;
}

/* A text that may come from others: "" if it is no UTF-8. */
static json_t *text_or_empty(const char *text, size_t len)
{
    json_t *value = json_stringn(text, len);
    return value ? value : json_string("");
}

static json_t *name_text(const X509_NAME *name)
{
    CLEANUP(BIO_free_all_p) BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (!out || X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0)
        return json_string("");
    long len = BIO_get_mem_data(out, &text);
    return len > 0 && len <= NAME_TEXT_LEN ? text_or_empty(text, (size_t)len) : json_string("");
}

json_t *validate_issuer_text(X509 *cert)
{
    return name_text(X509_get_issuer_name(cert));
}

json_t *validate_subject_text(X509 *cert)
{
    return name_text(X509_get_subject_name(cert));
}

json_t *validate_serial_text(X509 *cert)
{
    char hex[2 * SERIAL_OCTETS_MAX + 1] = "";
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    int len = ASN1_STRING_length(serial);
    if (len > 0 && len <= SERIAL_OCTETS_MAX)
        encode_hex(bytes_of(ASN1_STRING_get0_data(serial), (size_t)len), hex);
    return json_string(hex);
}

json_t *validate_time_text(const ASN1_TIME *at)
{
    char text[CLOCK_TEXT] = "";
    int days = 0, seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    if (epoch && ASN1_TIME_diff(&days, &seconds, epoch, at) == 1)
        clock_format_utc(((int64_t)days * 86400 + seconds) * 1000, text);
    ASN1_TIME_free(epoch);
    return json_string(text);
}

json_t *validate_base64_text(struct bytes bytes)
{
    CLEANUP(buf_done) struct buf text = buf_new(2 * DOCUMENT_SIGNATURE_MAX);
    encode_base64(bytes, &text);
    const char *s = buf_str(&text);
    return s ? json_string(s) : NULL;
}

static json_t *certificate_facts(const struct validate_parts *parts)
{
    struct validate_subject subject;
    X509 *cert = parts->signer;
    (void)validate_subject_read(cert, &subject); /* what is missing is empty here */
    return json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "user_id",
        text_or_empty(subject.user_id, strlen(subject.user_id)), "printed_name",
        text_or_empty(subject.printed_name, strlen(subject.printed_name)), "signer_id",
        text_or_empty(subject.signer_id, strlen(subject.signer_id)), "serial",
        validate_serial_text(cert), "not_before", validate_time_text(X509_get0_notBefore(cert)),
        "not_after", validate_time_text(X509_get0_notAfter(cert)), "issuer",
        validate_issuer_text(cert), "der", validate_base64_text(buf_bytes(&parts->signer_der)));
}

static json_t *cms_hash_text(struct bytes cms)
{
    uint8_t digest[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    bytes_sha256(cms, (struct bytes){0}, digest);
    encode_hex(bytes_of(digest, sizeof digest), hex);
    return json_string(hex);
}

/* Members that are there only if the signature has them. */
static bool put_optional(json_t *facts, const struct validate_findings *findings,
                         const struct validate_parts *parts, const struct validate_claims *claims)
{
    bool good = true;
    if (findings->envelope)
        good &= json_object_set(facts, "envelope", findings->envelope) == 0;
    if (parts->signer)
        good &= json_object_set_new(facts, "certificate", certificate_facts(parts)) == 0;
    if (claims->signing_time_ms >= 0) {
        char text[CLOCK_TEXT];
        clock_format_utc(claims->signing_time_ms, text);
        good &= json_object_set_new(facts, "signing_time", json_string(text)) == 0;
    }
    if (claims->commitment[0])
        good &= json_object_set_new(facts, "commitment_type", json_string(claims->commitment)) == 0;
    if (claims->role[0])
        good &= json_object_set_new(facts, "claimed_role", json_string(claims->role)) == 0;
    return good;
}

enum esign_rc validate_facts(const struct validate_findings *findings, struct bytes cms,
                             const struct validate_parts *parts,
                             const struct validate_claims *claims, json_t **ret, struct fault *f)
{
    CLEANUP(json_decref_p)
    json_t *facts = json_pack("{s:s,s:b,s:s,s:s,s:s,s:s,s:o,s:o}", "structure", findings->structure,
                              "identity", (int)findings->identity, "digest", findings->digest,
                              "value", findings->value, "attributes", findings->attributes, "chain",
                              findings->chain, "cms_sha256", cms_hash_text(cms), "detail",
                              text_or_empty(findings->detail, strlen(findings->detail)));
    bool good = facts && put_optional(facts, findings, parts, claims);
    ERR_clear_error();
    if (!good)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the facts of a signature");
    *ret = TAKE(facts);
    return ESIGN_OK;
}
