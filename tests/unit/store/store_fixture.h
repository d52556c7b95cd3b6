/* A store in a directory of its own, under a clock that the test sets. */
#pragma once

#include "req.h"

#include "base/cleanup.h"
#include "store/store.h"

#include <ftw.h>
#include <limits.h>
#include <sqlite3.h>
#include <string.h>

static const int64_t FIXTURE_START_MS = 1795000000000; /* 2026-11-18T11:06:40Z */

struct fixture {
    char dir[64];
    char path[96];
    int64_t now_ms;
    int64_t mono_ms;
    struct clock clock;
    struct store *store;
    struct fault fault;
};

static inline int64_t fixture_now(void *ctx)
{
    return ((struct fixture *)ctx)->now_ms;
}

static inline int64_t fixture_mono(void *ctx)
{
    return ((struct fixture *)ctx)->mono_ms;
}

static inline int fixture_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static inline void fixture_open(struct fixture *x)
{
    if (store_open(x->path, &x->clock, &x->store, &x->fault) != ESIGN_OK)
        fail_msg("store_open: %s", x->fault.detail);
}

static inline void fixture_close(struct fixture *x)
{
    store_close(TAKE(x->store));
}

static inline int fixture_setup(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    assert_non_null(x);
    (void)snprintf(x->dir, sizeof x->dir, "/tmp/esign-store-XXXXXX");
    assert_non_null(mkdtemp(x->dir));
    (void)snprintf(x->path, sizeof x->path, "%s/store.db", x->dir);
    x->now_ms = FIXTURE_START_MS;
    x->clock = (struct clock){fixture_now, fixture_mono, x};
    fixture_open(x);
    *state = x;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *x = *state;
    fixture_close(x);
    (void)nftw(x->dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(x);
    return 0;
}

/* An entry's members as callers give them. */
static inline json_t *fixture_entry(const char *object)
{
    json_t *entry = json_pack("{s:s, s:{s:s}, s:s, s:s}", "action", "test.write", "actor", "role",
                              "system", "object", object, "result", "OK");
    assert_non_null(entry);
    return entry;
}

/* Commit one row {"value": value}, guarded by guard_seq unless that is -2. */
static inline enum esign_rc fixture_commit(struct fixture *x, const char *kind, const char *id,
                                           const char *value, int64_t guard_seq,
                                           struct store_receipt *ret)
{
    char object[128];
    (void)snprintf(object, sizeof object, "%s/%s", kind, id);
    CLEANUP(json_decref_p) json_t *entry = fixture_entry(object);
    CLEANUP(json_decref_p) json_t *body = json_pack("{s:s}", "value", value);
    struct store_change change = {.entry = entry,
                                  .rows = {{kind, id, body}},
                                  .row_count = 1,
                                  .guards = {{kind, id, guard_seq}},
                                  .guard_count = guard_seq == -2 ? 0 : 1};
    return store_commit(x->store, &change, INT64_MAX, ret, &x->fault);
}

/* Commit `count` entries, each with its own row item/N. */
static inline void fixture_fill(struct fixture *x, int count)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%03d", i);
        assert_int_equal(fixture_commit(x, "item", id, "first", -2, NULL), ESIGN_OK);
        x->now_ms += 10;
    }
}

/* What somebody with access to the disk can do: SQL on the file, past the store. */
static inline void fixture_sql(struct fixture *x, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(x->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
