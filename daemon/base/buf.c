#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    BUF_FIRST = 256,
    BUF_FIRST_LARGE = 4096, /* of a buffer that may become long: each growth copies and wipes */
    BUF_FIRST_LOCKED = 4096 /* whole pages */
};

/* Memory of whole pages that only this buffer has: unlocking can't unlock what is another's. */
static uint8_t *buf_map_locked(size_t cap)
{
    void *data = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (data == MAP_FAILED)
        return NULL;
    if (mlock(data, cap) == 0 && madvise(data, cap, MADV_DONTDUMP) == 0)
        return data;
    (void)munmap(data, cap); /* a mapping of ours */
    return NULL;
}

static void buf_free(struct buf *b)
{
    if (!b->data)
        return;
    explicit_bzero(b->data, b->cap);
    if (b->locked)
        (void)munmap(b->data, b->cap); /* as above */
    else
        free(b->data);
}

void buf_done(struct buf *b)
{
    buf_free(b);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    b->len = 0;
    b->failed = false;
}

bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->data, b->len);
}

static size_t buf_first(const struct buf *b)
{
    if (b->locked)
        return BUF_FIRST_LOCKED;
    return b->max > BUF_FIRST_LARGE ? BUF_FIRST_LARGE : BUF_FIRST;
}

/* Room for at least `need` bytes in all.  The old memory is wiped: it may have held a secret. */
static bool buf_grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : buf_first(b);

    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    uint8_t *data = b->locked ? buf_map_locked(cap) : malloc(cap);
    if (!data)
        return false;
    if (b->data)
        memcpy(data, b->data, b->len);
    buf_free(b);
    b->data = data;
    b->cap = cap;
    return true;
}

uint8_t *buf_reserve(struct buf *b, size_t len)
{
    if (b->failed)
        return NULL;
    /* one byte is kept for the NUL of buf_str() */
    if (len > b->max || b->len > b->max - len ||
        (b->len + len + 1 > b->cap && !buf_grow(b, b->len + len + 1))) {
        b->failed = true;
        return NULL;
    }
    uint8_t *room = b->data + b->len;
    b->len += len;
    return room;
}

void buf_put(struct buf *b, struct bytes bytes)
{
    uint8_t *room = buf_reserve(b, bytes.len);

    if (room && bytes.len)
        memcpy(room, bytes.data, bytes.len);
}

void buf_put_str(struct buf *b, const char *s)
{
    buf_put(b, bytes_of_str(s));
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    uint8_t *room = buf_reserve(b, 1);

    if (room)
        *room = v;
}

void buf_put_u16(struct buf *b, uint16_t v)
{
    buf_put_u8(b, (uint8_t)(v >> 8));
    buf_put_u8(b, (uint8_t)(v & 0xff));
}

void buf_put_u32(struct buf *b, uint32_t v)
{
    buf_put_u16(b, (uint16_t)(v >> 16));
    buf_put_u16(b, (uint16_t)(v & 0xffff));
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    buf_put_u32(b, (uint32_t)(v >> 32));
    buf_put_u32(b, (uint32_t)(v & 0xffffffff));
}

void buf_put_blob(struct buf *b, struct bytes bytes)
{
    if (bytes.len > UINT32_MAX) {
        b->failed = true;
        return;
    }
    buf_put_u32(b, (uint32_t)bytes.len);
    buf_put(b, bytes);
}

void buf_put_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    /* vsnprintf writes a NUL: reserve it and give it back */
    uint8_t *room = len < 0 ? NULL : buf_reserve(b, (size_t)len + 1);
    if (room) {
        (void)vsnprintf((char *)room, (size_t)len + 1, fmt, again); /* measured above */
        b->len--;
    } else {
        b->failed = true;
    }
    va_end(again);
}

const char *buf_str(struct buf *b)
{
    if (b->failed || (!b->data && !buf_grow(b, 1)))
        return NULL;
    b->data[b->len] = '\0';
    return (const char *)b->data;
}
