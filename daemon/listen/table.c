#include "listen/table.h"

#include <assert.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"

struct table {
    pthread_mutex_t lock;
    pthread_cond_t emptied; /* on CLOCK_MONOTONIC */
    struct table_limits limits;
    unsigned count;
    bool draining;
    struct table_row rows[]; /* limits.max_connections, and TABLE_OWNER_MORE */
};

static void table_lock(struct table *t)
{
    int rc = pthread_mutex_lock(&t->lock);

    assert(rc == 0);
}

static void table_unlock(struct table *t)
{
    int rc = pthread_mutex_unlock(&t->lock);

    assert(rc == 0);
}

enum esign_rc table_new(const struct table_limits *limits, struct table **ret, struct fault *f)
{
    struct table *t =
        calloc(1, sizeof(*t) + (limits->max_connections + TABLE_OWNER_MORE) * sizeof(t->rows[0]));
    pthread_condattr_t attr;

    if (!t)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for %u connections",
                         limits->max_connections);
    t->limits = *limits;
    int rc = pthread_mutex_init(&t->lock, NULL);
    assert(rc == 0);
    rc = pthread_condattr_init(&attr);
    assert(rc == 0);
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    assert(rc == 0);
    rc = pthread_cond_init(&t->emptied, &attr);
    assert(rc == 0);
    (void)pthread_condattr_destroy(&attr); /* holds nothing */
    *ret = t;
    return ESIGN_OK;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    (void)pthread_cond_destroy(&t->emptied); /* nobody waits any more */
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

static bool table_same_caller(const struct api_peer *a, const struct api_peer *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == API_PEER_APPLICATION ? strcmp(a->id, b->id) == 0 : a->uid == b->uid;
}

/* Whether the limits leave room for one more of this peer. */
static bool table_has_room(const struct table *t, const struct api_peer *peer)
{
    unsigned same = 0, most = t->limits.max_connections;

    if (peer->kind == API_PEER_APPLICATION)
        most -= t->limits.kept_for_terminals;
    if (peer->kind == API_PEER_ROOT)
        most += TABLE_OWNER_MORE;
    if (t->count >= most)
        return false;
    for (size_t i = 0; i < t->limits.max_connections + TABLE_OWNER_MORE; i++)
        if (t->rows[i].phase != TABLE_FREE && table_same_caller(&t->rows[i].peer, peer))
            same++;
    return t->limits.per_caller == 0 || peer->kind == API_PEER_ROOT || same < t->limits.per_caller;
}

static struct table_row *table_row_of(struct table *t, int fd)
{
    for (size_t i = 0; i < t->limits.max_connections + TABLE_OWNER_MORE; i++)
        if (t->rows[i].phase != TABLE_FREE && t->rows[i].fd == fd)
            return &t->rows[i];
    return NULL;
}

static void table_drop(struct table *t, struct table_row *row)
{
    *row = (struct table_row){.fd = -1};
    if (--t->count == 0)
        (void)pthread_cond_broadcast(&t->emptied); /* can't fail */
}

struct table_row *table_add(struct table *t, int fd, const struct api_peer *peer)
{
    struct table_row *row = NULL;

    table_lock(t);
    /* The kernel gave this descriptor out again, so the library closed it without telling. */
    struct table_row *stale = table_row_of(t, fd);
    if (stale)
        table_drop(t, stale);
    if (!t->draining && table_has_room(t, peer)) {
        for (row = t->rows; row->phase != TABLE_FREE; row++)
            ;
        *row = (struct table_row){.fd = fd, .phase = TABLE_HANDED, .peer = *peer};
        t->count++;
    }
    table_unlock(t);
    return row;
}

struct table_row *table_find(struct table *t, int fd)
{
    table_lock(t);
    struct table_row *row = table_row_of(t, fd);
    table_unlock(t);
    return row;
}

void table_remove(struct table *t, struct table_row *row)
{
    table_lock(t);
    if (row->phase != TABLE_FREE)
        table_drop(t, row);
    table_unlock(t);
}

bool table_enter(struct table *t, struct table_row *row, enum table_phase phase, int64_t cut_at_ms)
{
    table_lock(t);
    bool alive = !row->cut;
    row->phase = phase;
    row->cut_at_ms = cut_at_ms;
    table_unlock(t);
    return alive;
}

static void table_shut(struct table_row *row)
{
    row->cut = true;
    (void)shutdown(row->fd, SHUT_RDWR); /* fails only if the other end is gone: the same result */
}

unsigned table_cut(struct table *t, int64_t now_ms)
{
    unsigned cut = 0;

    table_lock(t);
    for (size_t i = 0; i < t->limits.max_connections + TABLE_OWNER_MORE; i++) {
        struct table_row *row = &t->rows[i];
        bool is_waiting = row->phase == TABLE_IDLE || row->phase == TABLE_RECEIVING ||
                          row->phase == TABLE_REPLYING;
        if (!is_waiting || row->cut)
            continue;
        bool is_late = now_ms >= row->cut_at_ms;
        if (!is_late && !(t->draining && row->phase == TABLE_IDLE))
            continue;
        table_shut(row);
        cut += is_late;
    }
    table_unlock(t);
    return cut;
}

void table_drain(struct table *t)
{
    table_lock(t);
    t->draining = true;
    table_unlock(t);
}

bool table_is_draining(struct table *t)
{
    table_lock(t);
    bool draining = t->draining;
    table_unlock(t);
    return draining;
}

bool table_wait_empty(struct table *t, int64_t deadline_at_ms)
{
    const struct timespec until = {.tv_sec = deadline_at_ms / 1000,
                                   .tv_nsec = deadline_at_ms % 1000 * 1000000};
    int rc = 0;

    table_lock(t);
    while (t->count > 0 && rc == 0)
        rc = pthread_cond_timedwait(&t->emptied, &t->lock, &until);
    bool empty = t->count == 0;
    table_unlock(t);
    return empty;
}

void table_cut_all(struct table *t)
{
    table_lock(t);
    for (size_t i = 0; i < t->limits.max_connections + TABLE_OWNER_MORE; i++)
        if (t->rows[i].phase > TABLE_HANDED)
            table_shut(&t->rows[i]);
    table_unlock(t);
}

unsigned table_count(struct table *t)
{
    table_lock(t);
    unsigned count = t->count;
    table_unlock(t);
    return count;
}

void table_change(struct table *t, const struct table_limits *limits)
{
    assert(limits->max_connections == t->limits.max_connections);
    table_lock(t);
    t->limits = *limits;
    table_unlock(t);
}

bool table_has(struct table *t, const struct api_peer *peer)
{
    bool has = false;

    table_lock(t);
    for (size_t i = 0; !has && i < t->limits.max_connections + TABLE_OWNER_MORE; i++)
        has = t->rows[i].phase != TABLE_FREE && table_same_caller(&t->rows[i].peer, peer);
    table_unlock(t);
    return has;
}
