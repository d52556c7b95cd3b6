/* One group commit: several changes in one transaction. */
#pragma once

#include "store/writer.h"

/* A piece of work for the writer; lives on its caller's stack until the caller has seen the end. */
struct store_job {
    const struct store_change *change; /* NULL: a checkpoint, or nothing without a note */
    const struct store_prepared *prepared;
    int64_t checkpoint_size;
    const char *checkpoint_note;

    enum esign_rc rc;
    struct fault fault;
    struct store_receipt receipt;
    uint8_t leaf[SHA256_LEN]; /* of the entry that was written */
};

enum store_statement {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_GUARD,
    STORE_PUT_ENTRY,
    STORE_PUT_ROW,
    STORE_PUT_CHECKPOINT,
    STORE_STATEMENT_COUNT
};

/* The writer's connection with its statements. */
struct store_group {
    sqlite3 *db;
    sqlite3_stmt *statements[STORE_STATEMENT_COUNT];
    const struct clock *clock;
    struct store_newest *newest; /* borrowed, as the next; told of what is on disk */
    struct store_recent *recent;
    struct store_head head; /* of what is on disk */
    char *reserve_path;     /* owned */
    bool full;              /* the reserve is used up: nothing is written until it is there again */
    int64_t room_seq;       /* of the newest entry that tells of room again; -1: none */
    bool broken;            /* a commit failed in a way that leaves open what is on disk */
};

/* path: the store's; db: taken over also on failure.  ret: store_group_done. */
enum esign_rc store_group_init(struct store_group *g, const char *path, sqlite3 *db,
                               const struct clock *clock, const struct store_memory *memory,
                               const struct store_head *head, struct fault *f) MUST_CHECK;
void store_group_done(struct store_group *g);

/* Run the jobs in order; each has its rc and fault afterwards.  The head moves only if the
 * transaction is on disk.  When the disk is full, the reserve is given up for an entry that says
 * so, and all is refused until there is room for a reserve again, which is entered too. */
void store_group_run(struct store_group *g, struct store_job *const *jobs, size_t count);
