/* Reading DER strictly. */
#include "cms/der_read.h"

#include "base/clock.h"
#include "cms/der.h"

#include <inttypes.h>
#include <stdio.h>

uint8_t der_peek(const struct reader *r)
{
    return r->failed || !r->rest.len ? 0 : r->rest.data[0];
}

/* The length octets.  0 with the reader failed if they are not minimal. */
static size_t take_length(struct reader *r)
{
    uint8_t first = reader_u8(r);
    if (first < 0x80)
        return first;
    size_t count = first & 0x7f, len = 0;
    if (count == 0 || count > 3) {
        r->failed = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t octet = reader_u8(r);
        if (i == 0 && octet == 0)
            r->failed = true;
        len = len << 8 | octet;
    }
    if (len < 0x80)
        r->failed = true;
    return r->failed ? 0 : len;
}

struct bytes der_take(struct reader *r, uint8_t tag)
{
    if (reader_u8(r) != tag || (tag & 0x1f) == 0x1f)
        r->failed = true;
    size_t len = take_length(r);
    return reader_take(r, len);
}

struct bytes der_take_any(struct reader *r)
{
    struct bytes before = r->rest;
    (void)der_take(r, der_peek(r)); /* an error is sticky in the reader */
    if (r->failed)
        return (struct bytes){0};
    return bytes_of(before.data, before.len - r->rest.len);
}

/* Append one arc; returns the new length, 0 if there is no room. */
static size_t put_arc(char *ret, size_t at, uint64_t arc)
{
    int len = snprintf(ret + at, DER_OID_TEXT_MAX - at, "%s%" PRIu64, at ? "." : "", arc);
    return len > 0 && (size_t)len < DER_OID_TEXT_MAX - at ? at + (size_t)len : 0;
}

bool der_oid_text(struct bytes content, char ret[DER_OID_TEXT_MAX])
{
    size_t at = 0;
    uint64_t arc = 0;
    bool inside = false;
    for (size_t i = 0; i < content.len; i++) {
        uint8_t octet = content.data[i];
        if ((!inside && octet == 0x80) || arc >> 56)
            return false;
        arc = arc << 7 | (octet & 0x7f);
        inside = octet & 0x80;
        if (inside)
            continue;
        if (!at) {
            uint64_t top = arc < 40 ? 0 : arc < 80 ? 1 : 2;
            at = put_arc(ret, 0, top);
            arc -= top * 40;
        }
        at = put_arc(ret, at, arc);
        if (!at)
            return false;
        arc = 0;
    }
    return at && !inside;
}

int64_t der_take_time(struct reader *r)
{
    bool utc_time = der_peek(r) == DER_UTC_TIME;
    struct bytes text = der_take(r, utc_time ? DER_UTC_TIME : DER_GENERALIZED_TIME);
    const char *t = (const char *)text.data;
    int64_t at_ms = 0;
    char year[5] = "", iso[CLOCK_TEXT];

    if (r->failed || text.len != (utc_time ? 13u : 15u)) {
        r->failed = true;
        return 0;
    }
    if (utc_time)
        (void)snprintf(year, sizeof year, "%s%.2s", t[0] >= '5' ? "19" : "20", t); /* fits */
    else
        (void)snprintf(year, sizeof year, "%.4s", t); /* fits */
    t += utc_time ? 2 : 4;
    (void)snprintf(iso, sizeof iso, "%s-%.2s-%.2sT%.2s:%.2s:%.2s.000Z", year, t, t + 2, t + 4,
                   t + 6, t + 8); /* fits; a cut or odd text is refused by the next call */
    bool right_form =
        t[10] == 'Z' && utc_time == (strcmp(year, "1950") >= 0 && strcmp(year, "2050") < 0);
    if (!right_form || clock_parse_utc(iso, &at_ms))
        r->failed = true;
    return r->failed ? 0 : at_ms;
}
