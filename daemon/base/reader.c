#include "base/reader.h"

struct bytes reader_take(struct reader *r, size_t len)
{
    if (r->failed || len > r->rest.len) {
        r->failed = true;
        return (struct bytes){0};
    }
    struct bytes taken = bytes_of(r->rest.data, len);
    r->rest = bytes_of(r->rest.data + len, r->rest.len - len);
    return taken;
}

uint8_t reader_u8(struct reader *r)
{
    struct bytes b = reader_take(r, 1);

    return r->failed ? 0 : b.data[0];
}

uint16_t reader_u16(struct reader *r)
{
    uint16_t high = reader_u8(r);

    return (uint16_t)(high << 8 | reader_u8(r));
}

uint32_t reader_u32(struct reader *r)
{
    uint32_t high = reader_u16(r);

    return high << 16 | reader_u16(r);
}

uint64_t reader_u64(struct reader *r)
{
    uint64_t high = reader_u32(r);

    return high << 32 | reader_u32(r);
}

struct bytes reader_blob(struct reader *r, size_t max)
{
    uint32_t len = reader_u32(r);

    if (len > max)
        r->failed = true;
    return reader_take(r, len);
}

void reader_str(struct reader *r, char *ret, size_t size)
{
    struct bytes b = reader_blob(r, size - 1);

    if (b.len > 0 && memchr(b.data, 0, b.len))
        r->failed = true;
    ret[0] = '\0';
    if (r->failed)
        return;
    if (b.len > 0)
        memcpy(ret, b.data, b.len);
    ret[b.len] = '\0';
}

bool reader_done(const struct reader *r)
{
    return !r->failed && r->rest.len == 0;
}
