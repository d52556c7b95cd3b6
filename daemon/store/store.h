/* The store: rows of state and the audit trail, one transaction for both.
 *
 * A row is a JSON object under a kind and an id.  The only call that changes state, store_commit(),
 * demands an audit entry; the entry holds the hash of each row that it writes and the row holds the
 * sequence of that entry, so that a row edited on disk is found when it is read.
 * Source: 21 CFR 11.10(e), design section 7. */
#pragma once

#include "base/clock.h"
#include "base/json.h"

struct store;

struct store_row {
    const char *kind; /* "signer", "ticket", …: [a-z-]+ */
    const char *id;   /* text_is_id, at most 64 bytes */
    json_t *body;     /* borrowed; canonical JSON must be possible */
};

/* A generation that was read: the commit is refused if the row has moved since. */
struct store_guard {
    const char *kind, *id;
    int64_t seq; /* of the row's newest entry; -1: the row must not exist */
};

enum { STORE_ROWS_MAX = 12, STORE_ENTRY_MAX = 65535 };

struct store_change {
    /* The caller's members of the entry (borrowed): action, actor, object, result, and where they
     * apply application, terminal, old, new, reason, alert (audit/FORMAT.md).  The writer adds
     * format, seq, time, offset, clock and rows. */
    json_t *entry;
    struct store_row rows[STORE_ROWS_MAX];
    size_t row_count;
    struct store_guard guards[STORE_ROWS_MAX];
    size_t guard_count;
};

struct store_receipt {
    int64_t seq;     /* sequence of the entry = leaf index, from 0 */
    int64_t time_ms; /* UTC */
};

/* Open or create the store and start its writer.  One process at a time: ESIGN_E_CONFLICT if
 * another has it.  clock: borrowed for the store's life.  ESIGN_E_AUDIT_UNAVAILABLE: not readable,
 * newer schema, an entry does not fit its leaf, or the newest entries do not fit the rows.  Reads
 * the whole trail once. */
enum esign_rc store_open(const char *path, const struct clock *clock, struct store **ret,
                         struct fault *f) MUST_CHECK;
void store_close(struct store *s); /* finishes what was accepted */

/* fn is told each change that store_commit() has written, in the thread that wrote it.  To be set
 * before other threads use the store; fn NULL: nobody. */
void store_observe(struct store *s, void (*fn)(void *ctx, const struct store_change *change),
                   void *ctx);

/* Since when (monotonic) the writer is busy with what it took last; 0: it waits for work. */
int64_t store_busy_since(struct store *s);

/* STORE_FULL: the disk is full and the reserve used up for the entry store.full; every change is
 * refused until there is room for a reserve again, which is entered as store.room.  STORE_BROKEN:
 * nobody knows what is on disk, only opening the store anew tells. */
enum store_state { STORE_WRITES, STORE_FULL, STORE_BROKEN };
enum store_state store_state_now(struct store *s);

/* The newest entry store.room since the store was opened, -1: none. */
int64_t store_room_seq(struct store *s);

/* Have a full store look whether there is room again.  Errors as store_commit: there is none. */
enum esign_rc store_try_room(struct store *s, struct fault *f) MUST_CHECK;

/* Write entry and rows; ret may be NULL; returns when they are on disk.  Group commit with what
 * else is waiting. ESIGN_E_CONFLICT (reason "generation", field kind/id): a guard has moved,
 * nothing written; ESIGN_E_CRED_STATE reason "tampered": it has moved only on disk, not
 * written; ESIGN_E_AUDIT_UNAVAILABLE (reason "full": no room on the disk): not written;
 * ESIGN_E_DEADLINE: not written (once the writer has taken the change it is waited for);
 * ESIGN_E_CLOCK: the clock is more than a minute behind the newest entry, not written;
 * ESIGN_E_TOO_LARGE, ESIGN_E_PROTO, ESIGN_E_INTERNAL: the change can't be an entry and rows. */
enum esign_rc store_commit(struct store *s, const struct store_change *change,
                           int64_t deadline_at_ms, struct store_receipt *ret,
                           struct fault *f) MUST_CHECK;

/* Wait until a row has moved from its generation (as a guard of store_commit) and is on disk, at
 * most until the deadline (monotonic).  False: none has moved.  Moves between the reading of the
 * generations and this call are not missed. */
bool store_await(struct store *s, const struct store_guard *guards, size_t count,
                 int64_t deadline_at_ms);

/* Every read shares a few connections: ESIGN_E_BUSY if none is free for five seconds.  Lists and
 * leaves leave some of them to single rows and entries, which signing needs. */

/* One row as the newest entry tells of it.  It is read and checked once; until this process writes
 * it again it may be given from memory, so that an edit on disk is not believed but not always
 * found here either.  ret_seq: its generation, may be NULL.  ESIGN_E_NOT_FOUND; ESIGN_E_CRED_STATE
 * reason "tampered": the row is not the one that its entry tells of, older than the trail tells, or
 * gone.  ret: owned by the caller. */
enum esign_rc store_get(struct store *s, const char *kind, const char *id, json_t **ret,
                        int64_t *ret_seq, struct fault *f) MUST_CHECK;

/* A row that others read at the same time: it must not be changed. */
struct store_view {
    const json_t *body; /* NULL: none */
    int64_t seq;        /* generation */
    struct store *store;
};

/* As store_get without a copy.  ret: to be ended with store_view_done(); left as it is on failure.
 */
enum esign_rc store_look(struct store *s, const char *kind, const char *id, struct store_view *ret,
                         struct fault *f) MUST_CHECK;
void store_view_done(struct store_view *v); /* of zeros, too */

/* As store_get, but always read from disk and checked: for verdicts on what is kept. */
enum esign_rc store_read(struct store *s, const char *kind, const char *id, json_t **ret,
                         int64_t *ret_seq, struct fault *f) MUST_CHECK;

/* Rows of a kind whose member (a top-level string) equals value; member NULL: all.  In order of id,
 * after the id `after` (NULL: from the first), at most limit.  ret: JSON array of
 * {"id":…,"seq":…,"body":{…}}, owned by the caller.  Tampered as in store_read; rows that are gone
 * are known as long as the kind has few, and from the opening of the store on. */
enum esign_rc store_list(struct store *s, const char *kind, const char *member, const char *value,
                         const char *after, size_t limit, json_t **ret, struct fault *f) MUST_CHECK;

/* A row that a walk has come to. */
struct store_walked {
    const char *id;
    json_t *body; /* the walk's: fn may change it */
    int64_t seq;  /* generation */
};

struct store_walk {
    const char *kind, *member, *value; /* as in store_list() */
    int64_t before;                    /* only rows of older entries; -1: all */
    enum esign_rc (*fn)(void *ctx, const struct store_walked *row, struct fault *f);
    void *ctx;
};

/* Call fn for each such row, in order of id, page by page; fn may write rows.  Ends with what fn
 * returns unless that is ESIGN_OK.  Errors as store_list(). */
enum esign_rc store_walk(struct store *s, const struct store_walk *walk,
                         struct fault *f) MUST_CHECK;

/* How many rows of a kind have that member's value, and the newest of them by its entry (owned by
 * the caller; NULL: none).  Tampered as in store_get; a row that is gone is not counted. */
enum esign_rc store_tally(struct store *s, const char *kind, const char *member, const char *value,
                          int64_t *ret_count, json_t **ret_newest, struct fault *f) MUST_CHECK;

/* Number of entries. */
int64_t store_size(struct store *s);

/* When the store was opened: how many entries there were, and the monotonic time.  Entries below
 * that number are of another process, whose monotonic times mean nothing here. */
struct store_opened {
    int64_t size, mono_ms;
};
struct store_opened store_opened(const struct store *s);

/* The clock by which entries are timed; borrowed. */
const struct clock *store_clock(const struct store *s);

/* The bytes of one entry, appended to out.  ESIGN_E_NOT_FOUND. */
enum esign_rc store_entry(struct store *s, int64_t seq, struct buf *out,
                          struct fault *f) MUST_CHECK;

/* Leaf hashes of entries from (inclusive), count of them, 32 bytes each, appended to out: as stored
 * beside the entries. */
enum esign_rc store_leaves(struct store *s, int64_t from, int64_t count, struct buf *out,
                           struct fault *f) MUST_CHECK;

/* The same leaves as they were when this process wrote the entries, where it still has them in
 * memory; else as store_leaves: for the tree, which takes up each leaf once. */
enum esign_rc store_new_leaves(struct store *s, int64_t from, int64_t count, struct buf *out,
                               struct fault *f) MUST_CHECK;

/* Keep a signed checkpoint (evidence about the trail, not state: no entry).  And the newest one
 * kept: ESIGN_E_NOT_FOUND if there is none. */
enum esign_rc store_put_checkpoint(struct store *s, int64_t size, const char *note,
                                   struct fault *f) MUST_CHECK;
enum esign_rc store_checkpoint(struct store *s, struct buf *out, int64_t *ret_size,
                               struct fault *f) MUST_CHECK;

/* The smallest kept checkpoint of a size above `after` (-1: the first).  As store_checkpoint. */
enum esign_rc store_checkpoint_after(struct store *s, int64_t after, struct buf *out,
                                     int64_t *ret_size, struct fault *f) MUST_CHECK;

/* Check every row against its entry and every entry against its leaf, on a connection of its own:
 * it takes long and nobody else waits for it; *ret_bad_seq: first bad
 * sequence or -1; detail of it in f->detail although ESIGN_OK is returned. */
enum esign_rc store_check(struct store *s, int64_t *ret_bad_seq, struct fault *f) MUST_CHECK;
