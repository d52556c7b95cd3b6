#include "site/waiting.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiting_row {
    char id[WAITING_NAME_MAX + 1], owner[WAITING_NAME_MAX + 1]; /* id "": free */
    void *what;                                                 /* NULL: room only */
    int64_t until_ms;
};

struct waiting {
    pthread_mutex_t mutex; /* for rows */
    struct waiting_row rows[WAITING_MAX];
};

struct waiting *waiting_new(void)
{
    struct waiting *w = calloc(1, sizeof(*w));

    if (w)
        (void)pthread_mutex_init(&w->mutex, NULL); /* only fills in a structure */
    return w;
}

void waiting_free(struct waiting *w)
{
    if (!w)
        return;
    (void)pthread_mutex_destroy(&w->mutex); /* nobody holds it */
    free(w);
}

/* With the mutex, as all that follow.  id "": a free row. */
static struct waiting_row *waiting_find(struct waiting *w, const char *id)
{
    for (size_t i = 0; i < WAITING_MAX; i++)
        if (strcmp(w->rows[i].id, id) == 0)
            return &w->rows[i];
    return NULL;
}

static size_t waiting_count(const struct waiting *w, const char *owner)
{
    size_t count = 0;

    for (size_t i = 0; i < WAITING_MAX; i++)
        count += w->rows[i].id[0] && strcmp(w->rows[i].owner, owner) == 0;
    return count;
}

enum esign_rc waiting_reserve(struct waiting *w, const char *id, const char *owner, struct fault *f)
{
    enum esign_rc rc = ESIGN_OK;

    (void)pthread_mutex_lock(&w->mutex); /* can't fail: initialised and not recursive */
    struct waiting_row *row = waiting_find(w, "");
    if (waiting_find(w, id)) {
        rc = fault_set(f, ESIGN_E_CONFLICT, "this waits for an answer already");
    } else if (!row || waiting_count(w, owner) >= WAITING_OWNER_MAX) {
        rc = fault_set(f, ESIGN_E_BUSY, "too many signings wait for a card; end one first");
    } else {
        (void)snprintf(row->id, sizeof(row->id), "%s", id); /* identifiers fit */
        (void)snprintf(row->owner, sizeof(row->owner), "%s", owner);
        row->what = NULL;
    }
    (void)pthread_mutex_unlock(&w->mutex); /* as above */
    return rc;
}

void waiting_put(struct waiting *w, const char *id, void *what, int64_t until_ms)
{
    (void)pthread_mutex_lock(&w->mutex); /* as above */
    struct waiting_row *row = waiting_find(w, id);
    if (row) {
        row->what = what;
        row->until_ms = until_ms;
    }
    (void)pthread_mutex_unlock(&w->mutex); /* as above */
}

void waiting_release(struct waiting *w, const char *id)
{
    (void)pthread_mutex_lock(&w->mutex); /* as above */
    struct waiting_row *row = waiting_find(w, id);
    if (row && !row->what)
        *row = (struct waiting_row){0};
    (void)pthread_mutex_unlock(&w->mutex); /* as above */
}

static void *waiting_out(struct waiting_row *row)
{
    void *what = row->what;

    *row = (struct waiting_row){0};
    return what;
}

void *waiting_take(struct waiting *w, const char *id, bool (*fits)(const void *what, void *ctx),
                   void *ctx, bool *ret_is_there)
{
    void *what = NULL;

    (void)pthread_mutex_lock(&w->mutex); /* as above */
    struct waiting_row *row = waiting_find(w, id);
    *ret_is_there = row && row->what;
    if (*ret_is_there && fits(row->what, ctx))
        what = waiting_out(row);
    (void)pthread_mutex_unlock(&w->mutex); /* as above */
    return what;
}

void *waiting_take_due(struct waiting *w, int64_t now_ms)
{
    void *what = NULL;

    (void)pthread_mutex_lock(&w->mutex); /* as above */
    for (size_t i = 0; i < WAITING_MAX && !what; i++)
        if (w->rows[i].what && (now_ms == INT64_MAX || w->rows[i].until_ms <= now_ms))
            what = waiting_out(&w->rows[i]);
    (void)pthread_mutex_unlock(&w->mutex); /* as above */
    return what;
}
