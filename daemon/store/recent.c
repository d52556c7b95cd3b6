#include "store/recent.h"

void store_recent_init(struct store_recent *r)
{
    r->end = r->count = 0;
    (void)pthread_mutex_init(&r->mutex, NULL); /* with default attributes it can't fail */
}

void store_recent_done(struct store_recent *r)
{
    (void)pthread_mutex_destroy(&r->mutex); /* nobody holds it */
}

void store_recent_put(struct store_recent *r, int64_t seq, const uint8_t leaf[SHA256_LEN])
{
    (void)pthread_mutex_lock(&r->mutex); /* can't fail: initialised and not recursive */
    memcpy(r->leaves[seq % STORE_RECENT], leaf, SHA256_LEN);
    r->count = r->end != seq ? 1 : r->count < STORE_RECENT ? r->count + 1 : STORE_RECENT;
    r->end = seq + 1;
    (void)pthread_mutex_unlock(&r->mutex);
}

bool store_recent_get(struct store_recent *r, int64_t from, int64_t count, struct buf *out)
{
    (void)pthread_mutex_lock(&r->mutex); /* as above */
    bool here = from >= r->end - r->count && from + count <= r->end;
    for (int64_t seq = from; here && seq < from + count; seq++)
        buf_put(out, bytes_of(r->leaves[seq % STORE_RECENT], SHA256_LEN));
    (void)pthread_mutex_unlock(&r->mutex);
    return here;
}
