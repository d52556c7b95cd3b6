#include "base/encode.h"

#include <stdlib.h>
#include <string.h>
#include <uninorm.h>
#include <unistr.h>

static const char encode_digits[] = "0123456789abcdef";
static const char encode_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void encode_hex(struct bytes in, char *ret)
{
    for (size_t i = 0; i < in.len; i++) {
        ret[2 * i] = encode_digits[in.data[i] >> 4];
        ret[2 * i + 1] = encode_digits[in.data[i] & 15];
    }
    ret[2 * in.len] = '\0';
}

static int decode_digit(char c)
{
    const char *at = c ? strchr(encode_digits, c) : NULL;

    return at ? (int)(at - encode_digits) : -1;
}

enum esign_rc decode_hex(const char *text, uint8_t *ret, size_t len)
{
    if (strlen(text) != 2 * len)
        return ESIGN_E_PROTO;
    for (size_t i = 0; i < len; i++) {
        int high = decode_digit(text[2 * i]), low = decode_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return ESIGN_E_PROTO;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return ESIGN_OK;
}

void encode_base64(struct bytes in, struct buf *out)
{
    for (size_t i = 0; i < in.len; i += 3) {
        size_t n = in.len - i < 3 ? in.len - i : 3;
        uint32_t v = (uint32_t)in.data[i] << 16;
        if (n > 1)
            v |= (uint32_t)in.data[i + 1] << 8;
        if (n > 2)
            v |= in.data[i + 2];
        buf_put_u8(out, (uint8_t)encode_alphabet[v >> 18]);
        buf_put_u8(out, (uint8_t)encode_alphabet[v >> 12 & 63]);
        buf_put_u8(out, n > 1 ? (uint8_t)encode_alphabet[v >> 6 & 63] : '=');
        buf_put_u8(out, n > 2 ? (uint8_t)encode_alphabet[v & 63] : '=');
    }
}

static int decode_sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four characters; count: how many bytes it holds (3, or less in the last group). */
static enum esign_rc decode_group(const char *text, size_t count, struct buf *out)
{
    uint32_t v = 0;

    for (size_t i = 0; i < 4; i++) {
        int sextet = i <= count ? decode_sextet(text[i]) : text[i] == '=' ? 0 : -1;
        if (sextet < 0)
            return ESIGN_E_PROTO;
        v = v << 6 | (uint32_t)sextet;
    }
    if ((count == 1 && (v & 0xffff)) || (count == 2 && (v & 0xff)))
        return ESIGN_E_PROTO;
    const uint8_t bytes[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    buf_put(out, bytes_of(bytes, count));
    return ESIGN_OK;
}

enum esign_rc decode_base64(const char *text, size_t len, struct buf *out)
{
    if (len % 4 != 0)
        return ESIGN_E_PROTO;
    for (size_t i = 0; i < len; i += 4) {
        size_t count = 3;
        if (i + 4 == len && text[i + 3] == '=')
            count = text[i + 2] == '=' ? 1 : 2;
        enum esign_rc rc = decode_group(text + i, count, out);
        if (rc != ESIGN_OK)
            return rc;
    }
    return buf_ok(out) ? ESIGN_OK : ESIGN_E_TOO_LARGE;
}

/* Control characters, line separators and bidirectional overrides or isolates. */
static bool text_forbidden(ucs4_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0x061c ||
           c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || c == 0xfffd;
}

static bool text_is_nfc(const uint8_t *text, size_t len)
{
    size_t normal_len = 0;
    uint8_t *normal = u8_normalize(UNINORM_NFC, text, len, NULL, &normal_len);
    bool same =
        normal && normal_len == len && bytes_equal(bytes_of(normal, len), bytes_of(text, len));

    free(normal);
    return same;
}

bool text_is_line(const char *text, size_t max)
{
    size_t len = strlen(text);
    const uint8_t *at = (const uint8_t *)text;

    if (len == 0 || len > max || u8_check(at, len) || text[0] == ' ' || text[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len;) {
        ucs4_t c = 0;
        int step = u8_mbtouc(&c, at + i, len - i);
        if (step <= 0 || text_forbidden(c))
            return false;
        i += (size_t)step;
    }
    return text_is_nfc(at, len);
}

bool text_is_id(const char *text, size_t max)
{
    size_t len = strlen(text);

    if (len == 0 || len > max || text[0] == '.' || text[0] == '_' || text[0] == '-')
        return false;
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}
