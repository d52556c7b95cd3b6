#include "audit/checkpoint.h"

#include "base/cleanup.h"
#include "base/encode.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>
#include <unistr.h>

static const char DASH[] = "\xe2\x80\x94 "; /* the em dash and the space before a key name */

enum { SIGNATURE_MAX = 256, P256_POINT_LEN = 65 };

/* SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point (RFC 5480). */
static const uint8_t P256_SPKI_PREFIX[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                           0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                           0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

bool audit_is_origin(const char *origin)
{
    size_t len = strlen(origin);
    if (len == 0 || len > AUDIT_ORIGIN_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (origin[i] <= ' ' || origin[i] > '~' || origin[i] == '+')
            return false;
    return true;
}

bool audit_take_line(struct bytes *rest, struct bytes *ret_line)
{
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    if (!end)
        return false;
    size_t len = (size_t)(end - rest->data);
    *ret_line = bytes_of(rest->data, len);
    *rest = bytes_of(end + 1, rest->len - len - 1);
    return true;
}

bool audit_parse_number(struct bytes text, int64_t *ret)
{
    int64_t value = 0;
    if (text.len == 0 || (text.len > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text.data[i] - '0', &value))
            return false;
    }
    *ret = value;
    return true;
}

enum esign_rc audit_parse_checkpoint_text(struct bytes text, struct audit_checkpoint_text *ret,
                                          struct fault *f)
{
    struct audit_checkpoint_text c = {.rest = text};
    struct bytes size;
    struct bytes root;
    if (!audit_take_line(&c.rest, &c.origin) || c.origin.len == 0)
        return fault_set(f, ESIGN_E_FORMAT, "checkpoint: no origin");
    if (!audit_take_line(&c.rest, &size) || !audit_parse_number(size, &c.size))
        return fault_set(f, ESIGN_E_FORMAT, "checkpoint: the second line is not a tree size");
    CLEANUP(buf_done) struct buf hash = buf_new(sizeof c.root);
    if (!audit_take_line(&c.rest, &root) || root.len == 0 ||
        decode_base64((const char *)root.data, root.len, &hash))
        return fault_set(f, ESIGN_E_FORMAT, "checkpoint: the third line is not a root hash");
    memcpy(c.root, hash.data, hash.len);
    c.root_len = hash.len;
    *ret = c;
    return ESIGN_OK;
}

void audit_put_checkpoint_text(const char *origin, const struct audit_head *head, struct buf *out)
{
    buf_put_fmt(out, "%s\n%lld\n", origin, (long long)head->size);
    encode_base64(bytes_of(head->root, sizeof head->root), out);
    buf_put_u8(out, '\n');
}

static void key_id(struct bytes spki, uint8_t ret[AUDIT_KEY_ID_LEN])
{
    uint8_t hash[SHA256_LEN];
    bytes_sha256(spki, (struct bytes){0}, hash);
    memcpy(ret, hash, AUDIT_KEY_ID_LEN);
}

/* The key of a P-256 SubjectPublicKeyInfo, or NULL. */
static EVP_PKEY *open_key(struct bytes spki)
{
    const size_t prefix = sizeof P256_SPKI_PREFIX;
    if (spki.len != prefix + P256_POINT_LEN ||
        !bytes_equal(bytes_of(spki.data, prefix), bytes_of(P256_SPKI_PREFIX, prefix)))
        return NULL;
    uint8_t point[P256_POINT_LEN];
    char group[] = "prime256v1";
    memcpy(point, spki.data + prefix, sizeof point);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end()};
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return key;
}

static bool signature_holds(EVP_PKEY *key, struct bytes text, struct bytes value)
{
    CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    return ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
           EVP_DigestVerify(ctx, value.data, value.len, text.data, text.len) == 1;
}

/* Divide a note at its last empty line.  text keeps its newline. */
static bool split_note(struct bytes note, struct bytes *ret_text, struct bytes *ret_signatures)
{
    for (size_t at = note.len; at >= 2; at--)
        if (note.data[at - 1] == '\n' && note.data[at - 2] == '\n') {
            *ret_text = bytes_of(note.data, at - 1);
            *ret_signatures = bytes_of(note.data + at, note.len - at);
            return true;
        }
    return false;
}

static bool is_note_text(struct bytes note)
{
    if (note.len == 0 || note.len > AUDIT_NOTE_MAX || u8_check(note.data, note.len))
        return false;
    for (size_t i = 0; i < note.len; i++)
        if (note.data[i] < ' ' && note.data[i] != '\n')
            return false;
    return true;
}

/* One line "— name base64(key id || signature)".  False: not of this form. */
static bool parse_signature(struct bytes line, struct bytes *ret_name, struct buf *ret_value)
{
    const size_t dash = sizeof DASH - 1;
    if (line.len < dash || !bytes_equal(bytes_of(line.data, dash), bytes_of(DASH, dash)))
        return false;
    struct bytes rest = bytes_of(line.data + dash, line.len - dash);
    const uint8_t *space = rest.len ? memchr(rest.data, ' ', rest.len) : NULL;
    if (!space || space == rest.data)
        return false;
    size_t name_len = (size_t)(space - rest.data);
    *ret_name = bytes_of(rest.data, name_len);
    if (memchr(rest.data, '+', name_len))
        return false;
    return decode_base64((const char *)space + 1, rest.len - name_len - 1, ret_value) == ESIGN_OK &&
           ret_value->len > AUDIT_KEY_ID_LEN;
}

/* Whether one of the signature lines is a good one of key under the name origin; a bad one of that
 * key spoils the note. */
static enum esign_rc check_signatures(struct bytes text, struct bytes lines, struct bytes origin,
                                      struct bytes spki, struct fault *f)
{
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = spki.len ? open_key(spki) : NULL;
    if (spki.len && !key)
        return fault_set(f, ESIGN_E_FORMAT, "checkpoint: the log's key is not a P-256 key");
    uint8_t id[AUDIT_KEY_ID_LEN];
    key_id(spki, id);
    bool good = false;
    for (int count = 0; lines.len > 0; count++) {
        CLEANUP(buf_done) struct buf value = buf_new(AUDIT_NOTE_MAX);
        struct bytes line;
        struct bytes name;
        if (count == AUDIT_SIGNATURES_MAX || !audit_take_line(&lines, &line) ||
            !parse_signature(line, &name, &value))
            return fault_set(f, ESIGN_E_FORMAT, "checkpoint: malformed signature line");
        if (!key || !bytes_equal(name, origin) ||
            !bytes_equal(bytes_of(value.data, sizeof id), bytes_of(id, sizeof id)))
            continue;
        if (!signature_holds(key, text, bytes_of(value.data + sizeof id, value.len - sizeof id)))
            return fault_set(f, ESIGN_E_FORMAT, "checkpoint: the signature does not hold");
        good = true;
    }
    if (key && !good)
        return fault_set(f, ESIGN_E_FORMAT, "checkpoint: not signed by the log's key");
    return ESIGN_OK;
}

enum esign_rc audit_open_checkpoint(struct bytes note, const char *origin, struct bytes spki,
                                    struct audit_head *ret, struct fault *f)
{
    struct bytes text;
    struct bytes lines;
    struct audit_checkpoint_text c = {0};
    if (!is_note_text(note) || !split_note(note, &text, &lines) || lines.len == 0)
        return fault_set(f, ESIGN_E_FORMAT, "checkpoint: not a signed note");
    enum esign_rc rc = audit_parse_checkpoint_text(text, &c, f);
    if (rc)
        return rc;
    if (c.root_len != SHA256_LEN || c.rest.len != 0)
        return fault_set(f, ESIGN_E_FORMAT, "checkpoint: not of the form that esignd writes");
    if (origin && !bytes_equal(c.origin, bytes_of_str(origin)))
        return fault_set(f, ESIGN_E_FORMAT, "checkpoint: of another log");
    rc = check_signatures(text, lines, c.origin, spki, f);
    if (rc)
        return rc;
    ret->size = c.size;
    memcpy(ret->root, c.root, SHA256_LEN);
    return ESIGN_OK;
}

enum esign_rc audit_sign_checkpoint(const char *origin, const struct audit_head *head,
                                    const struct audit_signer *signer, struct buf *out,
                                    struct fault *f)
{
    CLEANUP(buf_done) struct buf note = buf_new(AUDIT_NOTE_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(SIGNATURE_MAX);
    CLEANUP(buf_done) struct buf line = buf_new(AUDIT_KEY_ID_LEN + SIGNATURE_MAX);
    uint8_t digest[SHA256_LEN];
    audit_put_checkpoint_text(origin, head, &note);
    bytes_sha256(buf_bytes(&note), (struct bytes){0}, digest);
    enum esign_rc rc = signer->sign(signer->ctx, bytes_of(digest, sizeof digest), &value, f);
    if (rc)
        return rc;
    uint8_t id[AUDIT_KEY_ID_LEN];
    key_id(signer->spki, id);
    buf_put(&line, bytes_of(id, sizeof id));
    buf_put(&line, buf_bytes(&value));
    buf_put_fmt(&note, "\n%s%s ", DASH, origin);
    encode_base64(buf_bytes(&line), &note);
    buf_put_u8(&note, '\n');
    struct audit_head again;
    if (!buf_ok(&note) || !buf_ok(&line) ||
        audit_open_checkpoint(buf_bytes(&note), origin, signer->spki, &again, NULL))
        return fault_reason(f, ESIGN_E_HSM, "value",
                            "the log key's signature of a checkpoint does not hold");
    buf_put(out, buf_bytes(&note));
    return buf_ok(out) ? ESIGN_OK
                       : fault_set(f, ESIGN_E_TOO_LARGE, "the checkpoint does not fit the buffer");
}
