/* What the signed attributes of a signature say. */
#include "document/validate/validate_internal.h"

#include "base/encode.h"
#include "cms/der.h"

typedef bool (*claim_reader)(struct reader value, struct validate_claims *ret);

static bool read_content_type(struct reader value, struct validate_claims *ret)
{
    ret->content_type = der_take(&value, DER_OID);
    return reader_done(&value);
}

static bool read_message_digest(struct reader value, struct validate_claims *ret)
{
    ret->message_digest = der_take(&value, DER_OCTET_STRING);
    return reader_done(&value);
}

static bool read_signing_time(struct reader value, struct validate_claims *ret)
{
    int64_t at_ms = der_take_time(&value);
    if (!reader_done(&value))
        return false;
    ret->signing_time_ms = at_ms;
    return true;
}

static bool read_commitment(struct reader value, struct validate_claims *ret)
{
    struct reader sequence = reader_of(der_take(&value, DER_SEQUENCE));
    bool good = der_oid_text(der_take(&sequence, DER_OID), ret->commitment);
    return good && reader_done(&sequence) && reader_done(&value);
}

/* SignerAttributeV2 with one claimed role. */
static bool read_role(struct reader value, struct validate_claims *ret)
{
    static const uint8_t role[] = {0x55, 0x04, 0x48};
    struct reader outer = reader_of(der_take(&value, DER_SEQUENCE));
    struct reader claimed = reader_of(der_take(&outer, DER_CONTEXT_0));
    struct reader list = reader_of(der_take(&claimed, DER_SEQUENCE));
    struct reader attribute = reader_of(der_take(&list, DER_SEQUENCE));
    struct bytes type = der_take(&attribute, DER_OID);
    struct reader values = reader_of(der_take(&attribute, DER_SET));
    struct bytes text = der_take(&values, DER_UTF8_STRING);
    bool whole = reader_done(&values) && reader_done(&attribute) && reader_done(&list) &&
                 reader_done(&claimed) && reader_done(&outer) && reader_done(&value);

    if (!whole || !bytes_equal(type, bytes_of(role, sizeof role)) || !text.len ||
        text.len > CMS_ROLE_MAX || memchr(text.data, 0, text.len))
        return false;
    char line[CMS_ROLE_MAX + 1];
    memcpy(line, text.data, text.len);
    line[text.len] = '\0';
    if (!text_is_line(line, CMS_ROLE_MAX))
        return false;
    memcpy(ret->role, line, text.len + 1);
    return true;
}

static bool read_content_hints(struct reader value, struct validate_claims *ret)
{
    struct reader sequence = reader_of(der_take(&value, DER_SEQUENCE));
    struct bytes text = der_take(&sequence, DER_UTF8_STRING);
    (void)der_take(&sequence, DER_OID); /* compared when the signature is encoded again */
    if (!reader_done(&sequence) || !reader_done(&value) || !text.len)
        return false;
    ret->envelope = text;
    return true;
}

/* The attributes whose values are needed; the others are compared by encoding them again. */
static const struct {
    const char *oid;
    claim_reader read;
} rows[] = {
    {"1.2.840.113549.1.9.3", read_content_type},
    {"1.2.840.113549.1.9.4", read_message_digest},
    {"1.2.840.113549.1.9.5", read_signing_time},
    {"1.2.840.113549.1.9.16.2.16", read_commitment},
    {"0.4.0.19122.1.1", read_role},
    {"1.2.840.113549.1.9.16.2.4", read_content_hints},
};

enum { ROWS = sizeof rows / sizeof *rows };

/* One attribute: type and a SET of one value.  false: it is one of ours and not as it should be. */
static bool read_attribute(struct reader attribute, struct validate_claims *ret, unsigned *seen)
{
    char oid[DER_OID_TEXT_MAX];
    if (!der_oid_text(der_take(&attribute, DER_OID), oid))
        return false;
    for (unsigned i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].oid, oid) != 0)
            continue;
        struct bytes values = der_take(&attribute, DER_SET);
        bool twice = *seen & 1u << i;
        *seen |= 1u << i;
        return !twice && reader_done(&attribute) && rows[i].read(reader_of(values), ret);
    }
    return true;
}

void validate_claims_read(struct bytes attributes, struct validate_claims *ret)
{
    *ret = (struct validate_claims){.signing_time_ms = -1, .readable = true};
    if (!attributes.len)
        return;
    struct reader all = reader_of(attributes);
    struct reader set = reader_of(der_take(&all, DER_SET));
    unsigned seen = 0;
    while (der_peek(&set))
        if (!read_attribute(reader_of(der_take(&set, DER_SEQUENCE)), ret, &seen))
            ret->readable = false;
    if (!reader_done(&set) || !reader_done(&all))
        ret->readable = false;
}
