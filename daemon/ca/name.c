/* The subject's name of a certificate. */
#include "ca/ca_internal.h"

#include "base/encode.h"
#include "cms/der.h"

enum { NAME_BYTES_MAX = CA_NAME_CHARS * 4 };

static size_t count_characters(const char *utf8)
{
    size_t count = 0;
    for (; *utf8; utf8++)
        if (((unsigned char)*utf8 & 0xc0) != 0x80)
            count++;
    return count;
}

/* The alphabet of PrintableString.  Source: X.680 section 41.4. */
static bool is_printable(const char *text)
{
    static const char others[] = " '()+,-./:=?";
    for (; *text; text++) {
        bool letter = (*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z');
        bool digit = *text >= '0' && *text <= '9';
        if (!letter && !digit && !strchr(others, *text))
            return false;
    }
    return true;
}

static void put_name_part(struct buf *out, const char *oid, uint8_t tag, const char *value)
{
    size_t part = der_begin(out, DER_SET);
    size_t pair = der_begin(out, DER_SEQUENCE);
    der_put_oid(out, oid);
    der_put(out, tag, bytes_of_str(value));
    der_end(out, pair);
    der_end(out, part);
}

enum esign_rc ca_put_subject(struct buf *out, const struct ca_certificate *c, struct fault *f)
{
    const struct {
        const char *field, *oid, *value;
        bool printable; /* serialNumber is a PrintableString where its value allows it */
        bool required;
    } parts[] = {
        {"organisation", "2.5.4.10", c->organisation, false, false},
        {"printed_name", "2.5.4.3", c->common_name, false, true},
        {"user_id", "2.5.4.5", c->user_id, true, !c->is_ca},
        {"signer_id", "0.9.2342.19200300.100.1.1", c->signer_id, false, !c->is_ca},
    };
    size_t name = der_begin(out, DER_SEQUENCE);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *value = parts[i].value;
        if (!value && !parts[i].required)
            continue;
        if (!value || !text_is_line(value, NAME_BYTES_MAX) ||
            count_characters(value) > CA_NAME_CHARS)
            return fault_field(f, ESIGN_E_PROTO, parts[i].field,
                               "a certificate holds a line of 1 to %d characters here",
                               CA_NAME_CHARS);
        bool printable = parts[i].printable && is_printable(value);
        put_name_part(out, parts[i].oid, printable ? DER_PRINTABLE_STRING : DER_UTF8_STRING, value);
    }
    der_end(out, name);
    return ESIGN_OK;
}
