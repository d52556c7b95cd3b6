#include "store/writer.h"

#include "store/group.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

/* Waits longer than this look at the clock again in between. */
enum { GROUP_MAX = 256, WAIT_MAX_MS = 60000 };

/* A job in the queue.  It lives on its caller's stack: after done is posted the writer must not
 * touch it again. */
struct ticket {
    struct store_job job;
    bool taken; /* by the writer: it will be done */
    sem_t done;
    struct ticket *next;
};

struct store_writer {
    struct store_group group; /* the thread's own */
    const struct clock *clock;
    _Atomic int64_t size;
    _Atomic int64_t busy_since_ms; /* monotonic; 0: waiting for work */
    _Atomic int64_t room_seq;
    _Atomic(enum store_state) state;
    pthread_t thread;
    pthread_mutex_t mutex; /* for what follows and who is taken */
    pthread_cond_t work;
    pthread_cond_t moved; /* a group has been written */
    struct ticket *first, *last;
    bool closing;
};

static size_t take_tickets(struct store_writer *w, struct ticket *ret[GROUP_MAX])
{
    size_t count = 0;
    while (w->first && count < GROUP_MAX) {
        struct ticket *t = w->first;
        w->first = t->next;
        t->taken = true;
        ret[count++] = t;
    }
    if (!w->first)
        w->last = NULL;
    return count;
}

/* What others may ask of the group, which is the thread's own. */
static void tell(struct store_writer *w)
{
    atomic_store(&w->size, w->group.head.size);
    atomic_store(&w->room_seq, w->group.room_seq);
    atomic_store(&w->state, w->group.broken ? STORE_BROKEN
                            : w->group.full ? STORE_FULL
                                            : STORE_WRITES);
}

static void run_tickets(struct store_writer *w, struct ticket *const *tickets, size_t count)
{
    struct store_job *jobs[GROUP_MAX];
    for (size_t i = 0; i < count; i++)
        jobs[i] = &tickets[i]->job;
    atomic_store(&w->busy_since_ms, clock_mono_ms(w->clock));
    store_group_run(&w->group, jobs, count);
    atomic_store(&w->busy_since_ms, 0);
    tell(w);
}

/* Threads that are about to ask run first where the processors are busy: fewer, larger groups.  An
 * idle machine gives the processor back at once. */
static void let_others_in(struct store_writer *w)
{
    (void)pthread_mutex_unlock(&w->mutex);
    (void)sched_yield(); /* can't fail */
    (void)pthread_mutex_lock(&w->mutex);
}

static void *writer_main(void *arg)
{
    struct store_writer *w = arg;
    struct ticket *tickets[GROUP_MAX];
    (void)pthread_mutex_lock(&w->mutex); /* can't fail: initialised and not recursive */
    for (;;) {
        while (!w->first && !w->closing)
            (void)pthread_cond_wait(&w->work, &w->mutex); /* as above */
        if (!w->closing)
            let_others_in(w);
        size_t count = take_tickets(w, tickets);
        if (count == 0)
            break;
        (void)pthread_mutex_unlock(&w->mutex);
        run_tickets(w, tickets, count);
        for (size_t i = 0; i < count; i++)
            (void)sem_post(&tickets[i]->done); /* can't fail: initialised, posted once */
        (void)pthread_mutex_lock(&w->mutex);
        (void)pthread_cond_broadcast(&w->moved); /* costs nothing if nobody waits */
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* A condition whose waits end by the monotonic clock.  These only fill in structures. */
static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

enum esign_rc store_writer_start(const char *path, sqlite3 *db, const struct clock *clock,
                                 const struct store_memory *memory, const struct store_head *head,
                                 struct store_writer **ret, struct fault *f)
{
    struct store_writer *w = calloc(1, sizeof *w);
    if (!w) {
        sqlite3_close(db);
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    }
    enum esign_rc rc = store_group_init(&w->group, path, db, clock, memory, head, f);
    if (rc) {
        free(w);
        return rc;
    }
    w->clock = clock;
    tell(w);
    /* With default attributes these two only fill in a structure. */
    (void)pthread_mutex_init(&w->mutex, NULL);
    (void)pthread_cond_init(&w->work, NULL);
    init_condition(&w->moved);
    int error = pthread_create(&w->thread, NULL, writer_main, w);
    if (error) {
        store_group_done(&w->group);
        free(w);
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)error, "store: no writer thread");
    }
    *ret = w;
    return ESIGN_OK;
}

void store_writer_stop(struct store_writer *w)
{
    if (!w)
        return;
    (void)pthread_mutex_lock(&w->mutex);
    w->closing = true;
    (void)pthread_cond_signal(&w->work);
    (void)pthread_mutex_unlock(&w->mutex);
    (void)pthread_join(w->thread, NULL); /* the thread exists and is joined once */
    store_group_done(&w->group);
    (void)pthread_cond_destroy(&w->work);
    (void)pthread_cond_destroy(&w->moved);
    (void)pthread_mutex_destroy(&w->mutex);
    free(w);
}

int64_t store_writer_size(struct store_writer *w)
{
    return atomic_load(&w->size);
}

enum store_state store_writer_state(struct store_writer *w)
{
    return atomic_load(&w->state);
}

int64_t store_writer_room_seq(struct store_writer *w)
{
    return atomic_load(&w->room_seq);
}

int64_t store_writer_busy_since(struct store_writer *w)
{
    return atomic_load(&w->busy_since_ms);
}

static void enqueue(struct store_writer *w, struct ticket *t)
{
    if (w->last)
        w->last->next = t;
    else
        w->first = t;
    w->last = t;
    (void)pthread_cond_signal(&w->work);
}

static void dequeue(struct store_writer *w, const struct ticket *t)
{
    struct ticket *before = NULL;
    for (struct ticket *at = w->first; at != t; at = at->next)
        before = at;
    if (before)
        before->next = t->next;
    else
        w->first = t->next;
    if (w->last == t)
        w->last = before;
}

/* A while from now, at most WAIT_MAX_MS. */
static struct timespec timespec_in(int64_t ms)
{
    struct timespec t;
    ms = ms < 0 ? 0 : ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* exists on every Linux */
    int64_t ns = t.tv_nsec + ms % 1000 * 1000000;
    t.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

/* Whether t was still in the queue, and is not any more. */
static bool withdraw(struct store_writer *w, const struct ticket *t)
{
    (void)pthread_mutex_lock(&w->mutex);
    bool waiting = !t->taken;
    if (waiting)
        dequeue(w, t);
    (void)pthread_mutex_unlock(&w->mutex);
    return waiting;
}

/* Wait for the end of t.  False: it was still in the queue at the deadline. */
static bool await_ticket(struct store_writer *w, struct ticket *t, int64_t deadline_at_ms)
{
    for (;;) {
        struct timespec until = timespec_in(deadline_at_ms - clock_mono_ms(w->clock));
        if (sem_clockwait(&t->done, CLOCK_MONOTONIC, &until) == 0)
            return true;
        if (errno != ETIMEDOUT || deadline_at_ms > clock_mono_ms(w->clock))
            continue; /* interrupted, or a wait in pieces */
        if (withdraw(w, t))
            return false;
        deadline_at_ms = INT64_MAX; /* once it is taken, it is waited for */
    }
}

static enum esign_rc submit(struct store_writer *w, struct ticket *t, int64_t deadline_at_ms,
                            struct fault *f)
{
    bool done = deadline_at_ms > clock_mono_ms(w->clock);
    if (done) {
        (void)sem_init(&t->done, 0, 0); /* can't fail with these arguments */
        (void)pthread_mutex_lock(&w->mutex);
        enqueue(w, t);
        (void)pthread_mutex_unlock(&w->mutex);
        done = await_ticket(w, t, deadline_at_ms);
        (void)sem_destroy(&t->done);
    }
    if (!done)
        return fault_set(f, ESIGN_E_DEADLINE, "the audit trail's writer had no time for this");
    if (t->job.rc && f)
        *f = t->job.fault;
    return t->job.rc;
}

static bool has_moved(struct store_writer *w, const struct store_guard *guards, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (store_newest_get(w->group.newest, guards[i].kind, guards[i].id) > guards[i].seq)
            return true;
    return false;
}

bool store_writer_await(struct store_writer *w, const struct store_guard *guards, size_t count,
                        int64_t deadline_at_ms)
{
    bool moved = false;
    (void)pthread_mutex_lock(&w->mutex);
    for (;;) {
        /* what is written after this look is announced after it, under the mutex */
        moved = has_moved(w, guards, count);
        int64_t left_ms = deadline_at_ms - clock_mono_ms(w->clock);
        if (moved || left_ms <= 0)
            break;
        struct timespec until = timespec_in(left_ms);
        (void)pthread_cond_timedwait(&w->moved, &w->mutex, &until); /* the loop looks again */
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return moved;
}

enum esign_rc store_writer_commit(struct store_writer *w, const struct store_change *change,
                                  const struct store_prepared *prepared, int64_t deadline_at_ms,
                                  struct store_receipt *ret, struct fault *f)
{
    struct ticket t = {.job = {.change = change, .prepared = prepared}};
    enum esign_rc rc = submit(w, &t, deadline_at_ms, f);
    if (!rc && ret)
        *ret = t.job.receipt;
    return rc;
}

enum esign_rc store_writer_put_checkpoint(struct store_writer *w, int64_t size, const char *note,
                                          struct fault *f)
{
    struct ticket t = {.job = {.checkpoint_size = size, .checkpoint_note = note}};
    /* No deadline of its own: the writer never waits for anything but the disk. */
    return submit(w, &t, INT64_MAX, f);
}

enum esign_rc store_writer_try_room(struct store_writer *w, struct fault *f)
{
    struct ticket t = {0};
    return submit(w, &t, INT64_MAX, f); /* as above */
}
