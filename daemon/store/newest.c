#include "store/newest.h"

#include "store/entry.h"
#include "store/told.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

enum { SLOTS_START = 1024, KINDS_MAX = 64 };

/* seq + 1, so that a slot of zeros is free.  A keyed hash of the row's name: if two rows ever had
 * the same, the older one would be refused, never a false one believed. */
struct slot {
    uint64_t fingerprint;
    int64_t next_seq;
};

struct kind {
    char name[STORE_KIND_MAX + 1];
    int64_t count;
    bool missing;
};

struct store_newest {
    uint8_t hash_key[crypto_shorthash_KEYBYTES]; /* names can't be chosen to have one hash */
    pthread_mutex_t mutex;                       /* for all that follows */
    struct slot *slots;                          /* open addressing */
    size_t slot_count;                           /* a power of two */
    size_t used;
    struct kind kinds[KINDS_MAX];
    size_t kind_count;
};

enum esign_rc store_newest_open(struct store_newest **ret, struct fault *f)
{
    struct store_newest *n = calloc(1, sizeof *n);
    if (!n)
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    n->slots = calloc(SLOTS_START, sizeof *n->slots);
    if (!n->slots) {
        free(n);
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    }
    n->slot_count = SLOTS_START;
    bytes_random(n->hash_key, sizeof n->hash_key);
    (void)pthread_mutex_init(&n->mutex, NULL); /* with default attributes it can't fail */
    *ret = n;
    return ESIGN_OK;
}

void store_newest_close(struct store_newest *n)
{
    if (!n)
        return;
    (void)pthread_mutex_destroy(&n->mutex);
    free(n->slots);
    free(n);
}

static uint64_t fingerprint_of(const struct store_newest *n, const char *key)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t ret;
    (void)crypto_shorthash(hash, (const uint8_t *)key, strlen(key), n->hash_key); /* can't fail */
    memcpy(&ret, hash, sizeof ret);
    return ret;
}

/* The slot of a fingerprint, or the free one where it belongs. */
static struct slot *find_slot(struct slot *slots, size_t slot_count, uint64_t fingerprint)
{
    size_t at = fingerprint & (slot_count - 1);
    while (slots[at].next_seq && slots[at].fingerprint != fingerprint)
        at = (at + 1) & (slot_count - 1);
    return &slots[at];
}

static struct kind *find_kind(struct store_newest *n, const char *name, size_t len)
{
    for (size_t i = 0; i < n->kind_count; i++)
        if (bytes_equal(bytes_of_str(n->kinds[i].name), bytes_of(name, len)))
            return &n->kinds[i];
    return NULL;
}

/* A new row of the kind that key begins with.  Kinds beyond the table are not counted. */
static void count_row(struct store_newest *n, const char *key)
{
    size_t len = strcspn(key, "/");
    struct kind *kind = find_kind(n, key, len);
    if (!kind && n->kind_count < KINDS_MAX && len <= STORE_KIND_MAX) {
        kind = &n->kinds[n->kind_count++];
        memcpy(kind->name, key, len);
    }
    if (kind)
        kind->count++;
}

static bool grow(struct store_newest *n)
{
    size_t slot_count = n->slot_count * 2;
    struct slot *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < n->slot_count; i++)
        if (n->slots[i].next_seq)
            *find_slot(slots, slot_count, n->slots[i].fingerprint) = n->slots[i];
    free(n->slots);
    n->slots = slots;
    n->slot_count = slot_count;
    return true;
}

enum esign_rc store_newest_reserve(struct store_newest *n, size_t rows, struct fault *f)
{
    bool ok = true;
    (void)pthread_mutex_lock(&n->mutex); /* can't fail: initialised and not recursive */
    while (ok && n->used + rows > n->slot_count / 4 * 3)
        ok = grow(n);
    (void)pthread_mutex_unlock(&n->mutex);
    return ok ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "out of memory");
}

void store_newest_put(struct store_newest *n, const char *key, int64_t seq)
{
    uint64_t fingerprint = fingerprint_of(n, key);
    (void)pthread_mutex_lock(&n->mutex); /* as above */
    struct slot *slot = find_slot(n->slots, n->slot_count, fingerprint);
    if (!slot->next_seq) {
        n->used++;
        count_row(n, key);
    }
    *slot = (struct slot){fingerprint, seq + 1};
    (void)pthread_mutex_unlock(&n->mutex);
}

int64_t store_newest_get(struct store_newest *n, const char *kind, const char *id)
{
    char key[STORE_KEY_SIZE];
    store_row_key(kind, id, key);
    uint64_t fingerprint = fingerprint_of(n, key);
    (void)pthread_mutex_lock(&n->mutex); /* as above */
    int64_t next_seq = find_slot(n->slots, n->slot_count, fingerprint)->next_seq;
    (void)pthread_mutex_unlock(&n->mutex);
    return next_seq - 1;
}

int64_t store_newest_count(struct store_newest *n, const char *kind, bool *ret_missing)
{
    (void)pthread_mutex_lock(&n->mutex); /* as above */
    const struct kind *found = find_kind(n, kind, strlen(kind));
    int64_t count = found ? found->count : 0;
    *ret_missing = found && found->missing;
    (void)pthread_mutex_unlock(&n->mutex);
    return count;
}

/* ---- from the trail */

struct reading {
    struct store_newest *newest;
    int64_t seq;
    struct fault *f;
};

static enum esign_rc read_key(void *ctx, const char *key)
{
    struct reading *r = ctx;
    enum esign_rc rc = store_newest_reserve(r->newest, 1, r->f);
    if (!rc)
        store_newest_put(r->newest, key, r->seq);
    return rc;
}

static enum esign_rc does_not_hold(int64_t seq, struct fault *f)
{
    return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered",
                        "the audit trail does not hold at entry %lld", (long long)seq);
}

/* The entry on which st stands (seq, bytes, leaf). */
static enum esign_rc read_entry(struct reading *r, sqlite3_stmt *st)
{
    uint8_t hash[SHA256_LEN];
    struct bytes entry = store_column(st, 1);
    store_leaf_hash(entry, hash);
    if (sqlite3_column_int64(st, 0) != r->seq ||
        !bytes_equal(bytes_of(hash, sizeof hash), store_column(st, 2)))
        return does_not_hold(r->seq, r->f);
    enum esign_rc rc = store_told_rows(entry, r->seq, read_key, r);
    return rc == ESIGN_E_FORMAT ? does_not_hold(r->seq, r->f) : rc;
}

/* Kinds of which rows are gone. */
static enum esign_rc read_counts(struct store_newest *n, sqlite3 *db, struct fault *f)
{
    enum esign_rc rc = ESIGN_OK;
    for (size_t i = 0; !rc && i < n->kind_count; i++) {
        int64_t count = 0;
        rc = store_count_rows(db, n->kinds[i].name, &count, f);
        n->kinds[i].missing = count < n->kinds[i].count;
    }
    return rc;
}

enum esign_rc store_newest_read(struct store_newest *n, sqlite3 *db, int64_t size, struct fault *f)
{
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    struct reading r = {.newest = n, .f = f};
    enum esign_rc rc =
        store_prepare(db, "SELECT seq, bytes, leaf FROM entry WHERE seq >= 0 ORDER BY seq", &st, f);
    int step = SQLITE_DONE;
    for (; !rc && (step = sqlite3_step(st)) == SQLITE_ROW; r.seq++)
        rc = read_entry(&r, st);
    if (!rc && step != SQLITE_DONE)
        rc = store_fault(db, "store: read the trail", f);
    if (!rc && r.seq != size)
        rc = does_not_hold(r.seq, f);
    return rc ? rc : read_counts(n, db, f);
}
