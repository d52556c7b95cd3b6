#include "listen/deadline.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct deadline {
    struct deadline_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t woken; /* on CLOCK_MONOTONIC */
    bool stopping;
    uint64_t cut;
    /* refused and not reported yet */
    uint64_t refused;
    uid_t uid;
    gid_t gid;
    int64_t report_at_ms; /* not before */
};

static void deadline_lock(struct deadline *d)
{
    int rc = pthread_mutex_lock(&d->lock);

    assert(rc == 0);
}

static void deadline_unlock(struct deadline *d)
{
    int rc = pthread_mutex_unlock(&d->lock);

    assert(rc == 0);
}

/* Hand the refusals over if it is time.  Called and left with the lock held. */
static void deadline_report(struct deadline *d, int64_t now_ms)
{
    if (d->refused == 0 || (now_ms < d->report_at_ms && !d->stopping))
        return;
    uint64_t count = d->refused;
    uid_t uid = d->uid;
    gid_t gid = d->gid;
    d->refused = 0;
    d->report_at_ms = now_ms + d->options.report_ms;
    deadline_unlock(d);
    d->options.refused(d->options.ctx, uid, gid, count);
    deadline_lock(d);
}

/* Until when to sleep; -1: until woken. */
static int64_t deadline_next(const struct deadline *d, int64_t now_ms)
{
    if (table_count(d->options.table) > 0)
        return now_ms + d->options.tick_ms;
    return d->refused > 0 ? d->report_at_ms : -1;
}

static void deadline_sleep(struct deadline *d, int64_t until_ms)
{
    const struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

    if (until_ms < 0)
        (void)pthread_cond_wait(&d->woken, &d->lock); /* woken for nothing is harmless */
    else
        (void)pthread_cond_timedwait(&d->woken, &d->lock, &until); /* as above */
}

static void *deadline_run(void *ctx)
{
    struct deadline *d = ctx;

    deadline_lock(d);
    while (!d->stopping) {
        int64_t now_ms = clock_mono_ms(clock_system());
        d->cut += table_cut(d->options.table, now_ms);
        deadline_report(d, now_ms);
        if (!d->stopping)
            deadline_sleep(d, deadline_next(d, now_ms));
    }
    deadline_report(d, clock_mono_ms(clock_system()));
    deadline_unlock(d);
    return NULL;
}

static void deadline_free(struct deadline *d)
{
    (void)pthread_cond_destroy(&d->woken); /* nobody waits any more */
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}
DEFINE_CLEANUP(struct deadline *, deadline_free)

enum esign_rc deadline_start(const struct deadline_options *options, struct deadline **ret,
                             struct fault *f)
{
    CLEANUP(deadline_free_p) struct deadline *d = calloc(1, sizeof(*d));
    pthread_condattr_t attr;

    if (!d)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the deadline thread");
    d->options = *options;
    int rc = pthread_mutex_init(&d->lock, NULL);
    assert(rc == 0);
    rc = pthread_condattr_init(&attr);
    assert(rc == 0);
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    assert(rc == 0);
    rc = pthread_cond_init(&d->woken, &attr);
    assert(rc == 0);
    (void)pthread_condattr_destroy(&attr); /* holds nothing */
    rc = pthread_create(&d->thread, NULL, deadline_run, d);
    if (rc != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)rc, "no deadline thread");
    *ret = TAKE(d);
    return ESIGN_OK;
}

void deadline_wake(struct deadline *d)
{
    deadline_lock(d);
    (void)pthread_cond_signal(&d->woken); /* can't fail */
    deadline_unlock(d);
}

void deadline_note_refused(struct deadline *d, uid_t uid, gid_t gid)
{
    deadline_lock(d);
    d->uid = uid;
    d->gid = gid;
    if (d->refused++ == 0)
        (void)pthread_cond_signal(&d->woken); /* can't fail */
    deadline_unlock(d);
}

uint64_t deadline_cut_count(struct deadline *d)
{
    deadline_lock(d);
    uint64_t cut = d->cut;
    deadline_unlock(d);
    return cut;
}

void deadline_stop(struct deadline *d)
{
    if (!d)
        return;
    deadline_lock(d);
    d->stopping = true;
    (void)pthread_cond_signal(&d->woken); /* can't fail */
    deadline_unlock(d);
    (void)pthread_join(d->thread, NULL); /* it is ours and was not joined before */
    deadline_free(d);
}
