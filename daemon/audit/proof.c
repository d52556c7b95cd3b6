#include "audit/proof.h"

#include "audit/merkle.h"
#include "base/cleanup.h"
#include "base/encode.h"

#include <string.h>

static const char FIRST_LINE[] = "c2sp.org/tlog-proof@v1";
static const char INDEX[] = "index ";

void audit_put_proof(int64_t seq, struct bytes hashes, struct bytes note, struct buf *out)
{
    buf_put_fmt(out, "%s\n%s%lld\n", FIRST_LINE, INDEX, (long long)seq);
    for (size_t at = 0; at < hashes.len; at += SHA256_LEN) {
        encode_base64(bytes_of(hashes.data + at, SHA256_LEN), out);
        buf_put_u8(out, '\n');
    }
    buf_put_u8(out, '\n');
    buf_put(out, note);
}

static bool parse_index(struct bytes line, int64_t *ret)
{
    const size_t len = sizeof INDEX - 1;
    return line.len > len && bytes_equal(bytes_of(line.data, len), bytes_of(INDEX, len)) &&
           audit_parse_number(bytes_of(line.data + len, line.len - len), ret);
}

/* The hash lines up to the empty one. */
static bool parse_hashes(struct bytes *rest, struct buf *ret)
{
    struct bytes line;
    while (audit_take_line(rest, &line)) {
        if (line.len == 0)
            return true;
        size_t before = ret->len;
        if (decode_base64((const char *)line.data, line.len, ret) ||
            ret->len - before != SHA256_LEN)
            return false;
    }
    return false;
}

/* The sequence that an entry claims, or -1. */
static int64_t entry_seq(struct bytes entry)
{
    CLEANUP(json_decref_p) json_t *value = NULL;
    if (entry.len > STORE_ENTRY_MAX || json_parse_object(entry, &value, NULL))
        return -1;
    return json_int(value, "seq", -1);
}

enum esign_rc audit_proof_check(struct bytes proof, struct bytes entry, struct bytes spki,
                                struct audit_head *ret_head, int64_t *ret_seq, struct fault *f)
{
    static const uint8_t leaf_prefix = 0x00;
    CLEANUP(buf_done) struct buf hashes = buf_new((size_t)AUDIT_PROOF_HASHES_MAX * SHA256_LEN);
    struct bytes rest = proof;
    struct bytes line;
    struct audit_head head;
    int64_t seq = -1;
    if (spki.len == 0)
        return fault_set(f, ESIGN_E_FORMAT, "proof: the log's key is needed");
    if (proof.len > AUDIT_PROOF_MAX || !audit_take_line(&rest, &line) ||
        !bytes_equal(line, bytes_of_str(FIRST_LINE)))
        return fault_set(f, ESIGN_E_FORMAT, "proof: not a tlog-proof");
    if (!audit_take_line(&rest, &line) || !parse_index(line, &seq))
        return fault_set(f, ESIGN_E_FORMAT, "proof: the second line is not an index");
    if (!parse_hashes(&rest, &hashes))
        return fault_set(f, ESIGN_E_FORMAT, "proof: malformed hashes");
    enum esign_rc rc = audit_open_checkpoint(rest, NULL, spki, &head, f);
    if (rc)
        return rc;
    uint8_t leaf[SHA256_LEN];
    bytes_sha256(bytes_of(&leaf_prefix, 1), entry, leaf);
    if (!audit_inclusion_holds(leaf, seq, &head, buf_bytes(&hashes)))
        return fault_set(f, ESIGN_E_FORMAT, "proof: the entry is not in the audit trail there");
    if (entry_seq(entry) != seq)
        return fault_set(f, ESIGN_E_FORMAT, "proof: the entry has another sequence");
    *ret_head = head;
    *ret_seq = seq;
    return ESIGN_OK;
}
