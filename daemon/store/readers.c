#include "store/readers.h"

#include <pthread.h>

enum { READERS_COUNT = 4 };

/* store_read_row() wants id, entry_seq, body, bytes, leaf.  Here the id is the caller's, and the
 * entry's bytes are read only where the row is not known. */
static const char GET_SQL[] = "SELECT row.entry_seq, row.body, entry.leaf "
                              "FROM row LEFT JOIN entry ON entry.seq = row.entry_seq "
                              "WHERE row.kind = ?1 AND row.id = ?2";
static const char ENTRY_SQL[] = "SELECT bytes, leaf FROM entry WHERE seq = ?1";

struct store_readers {
    struct store_reader all[READERS_COUNT];
    pthread_mutex_t mutex;
    pthread_cond_t given;
    struct store_reader *idle[READERS_COUNT];
    size_t idle_count;
};

static enum esign_rc open_one(struct store_readers *r, const char *path, struct fault *f)
{
    struct store_reader *reader = &r->all[r->idle_count];
    reader->home = r;
    store_known_init(&reader->known);
    enum esign_rc rc = store_open_reader(path, &reader->db, f);
    if (!rc)
        rc = store_prepare(reader->db, GET_SQL, &reader->get, f);
    if (!rc)
        rc = store_prepare(reader->db, ENTRY_SQL, &reader->entry, f);
    if (!rc)
        r->idle[r->idle_count++] = reader;
    return rc;
}

enum esign_rc store_readers_open(const char *path, struct store_readers **ret, struct fault *f)
{
    struct store_readers *r = calloc(1, sizeof *r);
    if (!r)
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    /* With default attributes these two only fill in a structure. */
    (void)pthread_mutex_init(&r->mutex, NULL);
    (void)pthread_cond_init(&r->given, NULL);
    while (r->idle_count < READERS_COUNT) {
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
    for (size_t i = 0; i < READERS_COUNT; i++) {
        sqlite3_finalize(r->all[i].get);
        sqlite3_finalize(r->all[i].entry);
        sqlite3_close(r->all[i].db);
    }
    (void)pthread_cond_destroy(&r->given);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}

struct store_reader *store_reader_take(struct store_readers *r)
{
    (void)pthread_mutex_lock(&r->mutex); /* can't fail: initialised and not recursive */
    while (r->idle_count == 0)
        (void)pthread_cond_wait(&r->given, &r->mutex);
    struct store_reader *reader = r->idle[--r->idle_count];
    (void)pthread_mutex_unlock(&r->mutex);
    return reader;
}

void store_reader_give(struct store_reader *reader)
{
    struct store_readers *r = reader->home;
    (void)sqlite3_reset(reader->get); /* these repeat a failure that was dealt with */
    (void)sqlite3_reset(reader->entry);
    (void)sqlite3_clear_bindings(reader->get);
    (void)pthread_mutex_lock(&r->mutex);
    r->idle[r->idle_count++] = reader;
    (void)pthread_cond_signal(&r->given);
    (void)pthread_mutex_unlock(&r->mutex);
}
