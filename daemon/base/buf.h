/* An owned, growing run of bytes with a maximum and a sticky error.
 *
 * Writers never fail one by one: after the maximum is reached or memory is out, every further write
 * does nothing and buf_ok() says false.  Check once at the end. */
#pragma once

#include "base/bytes.h"

struct buf {
    uint8_t *data;
    size_t len, cap, max;
    bool failed, locked;
};

/* An empty buffer that will hold at most max bytes. */
static inline struct buf buf_new(size_t max)
{
    return (struct buf){.max = max};
}

/* The same for what holds a secret: its memory is never swapped out nor part of a core.  Where the
 * kernel does not lock it (RLIMIT_MEMLOCK), writing fails. */
static inline struct buf buf_new_locked(size_t max)
{
    return (struct buf){.max = max, .locked = true};
}

void buf_done(struct buf *b);     /* wipes, frees; leaves an empty buffer of maximum 0 */
void buf_clear(struct buf *b);    /* wipes the content, keeps memory and maximum, forgets errors */
bool buf_ok(const struct buf *b); /* no write has failed */
struct bytes buf_bytes(const struct buf *b); /* borrowed until the next write */

void buf_put(struct buf *b, struct bytes bytes);
void buf_put_str(struct buf *b, const char *s);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v); /* big endian, as the next two */
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_blob(struct buf *b, struct bytes bytes); /* u32 length, then the bytes */
void buf_put_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for len bytes at the end, to be filled by the caller; NULL (and sticky error) if there is
 * none. */
uint8_t *buf_reserve(struct buf *b, size_t len);

/* The content as a NUL-terminated string (the NUL is not counted), or NULL after an error. */
const char *buf_str(struct buf *b);
