/* Writing DER. */
#include "cms/der.h"

#include <time.h>

enum { OID_ARCS_MAX = 20 };

/* The length octets for a content of len bytes.  Returns how many. */
static size_t encode_length(size_t len, uint8_t ret[5])
{
    if (len < 0x80) {
        ret[0] = (uint8_t)len;
        return 1;
    }
    size_t count = 0;
    for (size_t rest = len; rest; rest >>= 8)
        count++;
    ret[0] = (uint8_t)(0x80 | count);
    for (size_t i = 0; i < count; i++)
        ret[1 + i] = (uint8_t)(len >> (8 * (count - 1 - i)));
    return 1 + count;
}

size_t der_begin(struct buf *out, uint8_t tag)
{
    buf_put_u8(out, tag);
    return out->len;
}

void der_end(struct buf *out, size_t begun)
{
    if (!buf_ok(out))
        return;
    size_t len = out->len - begun;
    if (len > 0xffffffff) {
        out->failed = true;
        return;
    }
    uint8_t length[5];
    size_t count = encode_length(len, length);
    if (!buf_reserve(out, count))
        return;
    memmove(out->data + begun + count, out->data + begun, len);
    memcpy(out->data + begun, length, count);
}

void der_put(struct buf *out, uint8_t tag, struct bytes content)
{
    size_t begun = der_begin(out, tag);
    buf_put(out, content);
    der_end(out, begun);
}

/* Read the arcs of a dotted OID.  Returns their count, 0 if it is none. */
static size_t read_arcs(const char *dotted, uint32_t arcs[OID_ARCS_MAX])
{
    size_t count = 0;
    for (const char *p = dotted;; p++) {
        uint64_t arc = 0;
        const char *start = p;
        for (; *p >= '0' && *p <= '9'; p++) {
            arc = arc * 10 + (uint64_t)(*p - '0');
            if (arc > 0xffffffff)
                return 0;
        }
        if (p == start || (*start == '0' && p - start > 1) || count == OID_ARCS_MAX)
            return 0;
        arcs[count++] = (uint32_t)arc;
        if (!*p)
            break;
        if (*p != '.')
            return 0;
    }
    bool valid = count >= 2 && arcs[0] <= 2 && (arcs[0] == 2 || arcs[1] < 40);
    return valid ? count : 0;
}

static void put_base128(struct buf *out, uint64_t value)
{
    int shift = 0;
    while (shift < 63 && value >> (shift + 7))
        shift += 7;
    for (; shift > 0; shift -= 7)
        buf_put_u8(out, (uint8_t)(0x80 | ((value >> shift) & 0x7f)));
    buf_put_u8(out, (uint8_t)(value & 0x7f));
}

void der_put_oid(struct buf *out, const char *dotted)
{
    uint32_t arcs[OID_ARCS_MAX];
    size_t count = read_arcs(dotted, arcs);
    if (!count) {
        out->failed = true;
        return;
    }
    size_t begun = der_begin(out, DER_OID);
    put_base128(out, (uint64_t)arcs[0] * 40 + arcs[1]);
    for (size_t i = 2; i < count; i++)
        put_base128(out, arcs[i]);
    der_end(out, begun);
}

void der_put_uint(struct buf *out, struct bytes big_endian)
{
    while (big_endian.len && big_endian.data[0] == 0)
        big_endian = bytes_of(big_endian.data + 1, big_endian.len - 1);
    size_t begun = der_begin(out, DER_INTEGER);
    if (!big_endian.len || big_endian.data[0] & 0x80)
        buf_put_u8(out, 0);
    buf_put(out, big_endian);
    der_end(out, begun);
}

void der_put_small(struct buf *out, uint32_t value)
{
    const uint8_t octets[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                              (uint8_t)value};
    der_put_uint(out, bytes_of(octets, sizeof octets));
}

void der_put_bool(struct buf *out, bool value)
{
    const uint8_t octet = value ? 0xff : 0;
    der_put(out, DER_BOOLEAN, bytes_of(&octet, 1));
}

void der_put_null(struct buf *out)
{
    der_put(out, DER_NULL, (struct bytes){0});
}

void der_put_time(struct buf *out, int64_t at_ms)
{
    time_t at = (time_t)(at_ms / 1000);
    struct tm tm;
    if (at_ms < 0 || !gmtime_r(&at, &tm) || tm.tm_year + 1900 > 9999) {
        out->failed = true;
        return;
    }
    int year = tm.tm_year + 1900;
    bool short_year = year <= 2049;
    size_t begun = der_begin(out, short_year ? DER_UTC_TIME : DER_GENERALIZED_TIME);
    if (short_year)
        buf_put_fmt(out, "%02d", year % 100);
    else
        buf_put_fmt(out, "%04d", year);
    buf_put_fmt(out, "%02d%02d%02d%02d%02dZ", tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                tm.tm_sec);
    der_end(out, begun);
}

void der_put_bits(struct buf *out, struct bytes content)
{
    size_t begun = der_begin(out, DER_BIT_STRING);
    buf_put_u8(out, 0);
    buf_put(out, content);
    der_end(out, begun);
}

/* Whether a comes before b: as octet strings, the shorter padded with zeros. */
static bool comes_before(struct bytes a, struct bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < common; i++)
        if (a.data[i] != b.data[i])
            return a.data[i] < b.data[i];
    return a.len < b.len;
}

void der_put_set_of(struct buf *out, uint8_t tag, const struct bytes *elements, size_t count)
{
    struct bytes sorted[DER_SET_MAX];
    if (count > DER_SET_MAX) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && comes_before(elements[i], sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = elements[i];
    }
    size_t begun = der_begin(out, tag);
    for (size_t i = 0; i < count; i++)
        buf_put(out, sorted[i]);
    der_end(out, begun);
}
