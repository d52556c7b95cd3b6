#include "store/readers.h"

#include <pthread.h>
#include <time.h>

static const char GET_SQL[] = "SELECT entry_seq, body FROM row WHERE kind = ?1 AND id = ?2";
static const char ENTRY_SQL[] = "SELECT bytes, leaf FROM entry WHERE seq = ?1";

struct store_readers {
    struct store_reader all[STORE_READERS_COUNT];
    pthread_mutex_t mutex;
    pthread_cond_t given;
    struct store_reader *idle[STORE_READERS_COUNT];
    size_t idle_count;
    int64_t wait_ms;
};

static enum esign_rc open_one(struct store_readers *r, const char *path, struct fault *f)
{
    struct store_reader *reader = &r->all[r->idle_count];
    reader->home = r;
    enum esign_rc rc = store_open_reader(path, &reader->db, f);
    if (!rc)
        rc = store_prepare(reader->db, GET_SQL, &reader->get, f);
    if (!rc)
        rc = store_prepare(reader->db, ENTRY_SQL, &reader->entry, f);
    if (!rc)
        r->idle[r->idle_count++] = reader;
    return rc;
}

enum esign_rc store_readers_open(const char *path, int64_t wait_ms, struct store_readers **ret,
                                 struct fault *f)
{
    pthread_condattr_t attributes;
    struct store_readers *r = calloc(1, sizeof *r);
    if (!r)
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    r->wait_ms = wait_ms;
    /* These only fill in structures. */
    (void)pthread_mutex_init(&r->mutex, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->given, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    while (r->idle_count < STORE_READERS_COUNT) {
        enum esign_rc rc = open_one(r, path, f);
        if (rc) {
            store_readers_close(r);
            return rc;
        }
    }
    *ret = r;
    return ESIGN_OK;
}

void store_readers_close(struct store_readers *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < STORE_READERS_COUNT; i++) {
        sqlite3_finalize(r->all[i].get);
        sqlite3_finalize(r->all[i].entry);
        sqlite3_close(r->all[i].db);
    }
    (void)pthread_cond_destroy(&r->given);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}

static struct timespec end_of_wait(int64_t wait_ms)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* exists on every Linux */
    int64_t ns = t.tv_nsec + wait_ms % 1000 * 1000000;
    t.tv_sec += (time_t)(wait_ms / 1000 + ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

enum esign_rc store_reader_take(struct store_readers *r, enum store_read read,
                                struct store_reader **ret, struct fault *f)
{
    const size_t spare = read == STORE_READ_LONG ? STORE_READERS_RESERVED : 0;
    const struct timespec until = end_of_wait(r->wait_ms);
    struct store_reader *reader = NULL;
    (void)pthread_mutex_lock(&r->mutex); /* can't fail: initialised and not recursive */
    while (r->idle_count <= spare && pthread_cond_timedwait(&r->given, &r->mutex, &until) == 0)
        ;
    if (r->idle_count > spare)
        reader = r->idle[--r->idle_count];
    (void)pthread_mutex_unlock(&r->mutex);
    if (!reader)
        return fault_set(f, ESIGN_E_BUSY, "every connection to the store is in use");
    *ret = reader;
    return ESIGN_OK;
}

void store_reader_give(struct store_reader *reader)
{
    struct store_readers *r = reader->home;
    (void)sqlite3_reset(reader->get); /* these repeat a failure that was dealt with */
    (void)sqlite3_reset(reader->entry);
    (void)sqlite3_clear_bindings(reader->get);
    (void)pthread_mutex_lock(&r->mutex);
    r->idle[r->idle_count++] = reader;
    (void)pthread_cond_broadcast(&r->given); /* not all may take it */
    (void)pthread_mutex_unlock(&r->mutex);
}
