/* A cursor over borrowed bytes with a sticky error: read everything, then ask once whether all of
 * it was there and nothing is left. */
#pragma once

#include "base/bytes.h"

struct reader {
    struct bytes rest;
    bool failed;
};

static inline struct reader reader_of(struct bytes bytes)
{
    return (struct reader){.rest = bytes};
}

uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r); /* big endian, as the next two; 0 after an error */
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
struct bytes reader_take(struct reader *r, size_t len); /* borrowed; empty after an error */
struct bytes reader_blob(struct reader *r,
                         size_t max); /* u32 length (at most max), then the bytes */

/* A blob copied into ret as a string of at most size-1 bytes, without NUL inside. */
void reader_str(struct reader *r, char *ret, size_t size);

/* No read has failed and nothing is left. */
bool reader_done(const struct reader *r);
