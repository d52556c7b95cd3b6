/* The writer: the one thread, with the one connection, that writes and checkpoints. */
#pragma once

#include "store/entry.h"
#include "store/newest.h"
#include "store/recent.h"
#include "store/sqlite.h"

struct store_writer;

/* Where the trail ends. */
struct store_head {
    int64_t size;
    int64_t time_ms; /* of the newest entry; 0 if there is none */
};

/* What the writer tells of all that it has written; borrowed. */
struct store_memory {
    struct store_newest *newest;
    struct store_recent *recent;
};

/* Start the thread.  path: the store's; db: taken over, closed by store_writer_stop (or here on
 * failure); clock: borrowed. */
enum esign_rc store_writer_start(const char *path, sqlite3 *db, const struct clock *clock,
                                 const struct store_memory *memory, const struct store_head *head,
                                 struct store_writer **ret, struct fault *f) MUST_CHECK;
void store_writer_stop(struct store_writer *w); /* finishes what was accepted; NULL is allowed */

/* Number of entries on disk. */
int64_t store_writer_size(struct store_writer *w);

/* As store_state_now, store_room_seq, store_try_room. */
enum store_state store_writer_state(struct store_writer *w);
int64_t store_writer_room_seq(struct store_writer *w);
enum esign_rc store_writer_try_room(struct store_writer *w, struct fault *f) MUST_CHECK;

/* As store_busy_since. */
int64_t store_writer_busy_since(struct store_writer *w);

/* Give a change to the writer and wait; errors as store_commit. */
enum esign_rc store_writer_commit(struct store_writer *w, const struct store_change *change,
                                  const struct store_prepared *prepared, int64_t deadline_at_ms,
                                  struct store_receipt *ret, struct fault *f) MUST_CHECK;

/* As store_await. */
bool store_writer_await(struct store_writer *w, const struct store_guard *guards, size_t count,
                        int64_t deadline_at_ms);

/* Keep a checkpoint's note; errors as store_put_checkpoint. */
enum esign_rc store_writer_put_checkpoint(struct store_writer *w, int64_t size, const char *note,
                                          struct fault *f) MUST_CHECK;
