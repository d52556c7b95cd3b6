/* What the measurements mean: may signatures be asked for, and what should somebody look at. */
#include <stdarg.h>
#include <stdio.h>

#include "site/watch.h"

enum { HEALTH_DAY_MS = 24 * 60 * 60 * 1000, HEALTH_MIB = 1024 * 1024 };

static void health_put(struct health *h, const char *name, enum health_state state, const char *fmt,
                       ...) __attribute__((format(printf, 4, 5)));

static void health_put(struct health *h, const char *name, enum health_state state, const char *fmt,
                       ...)
{
    struct health_check *check = &h->checks[h->count++];
    va_list args;

    check->state = state;
    (void)snprintf(check->name, sizeof(check->name), "%s", name); /* ours: it fits */
    va_start(args, fmt);
    (void)vsnprintf(check->detail, sizeof(check->detail), fmt, args); /* a cut text still tells */
    va_end(args);
    if (state == HEALTH_FAIL)
        h->ready = false;
}

static void health_clock(const struct watch_clock *c, struct health *h)
{
    bool good = c->synchronised && c->error_ms >= 0 && c->error_ms <= c->max_error_ms;

    if (good)
        health_put(h, "clock", HEALTH_OK, "synchronised, error at most %lld ms",
                   (long long)c->error_ms);
    else
        health_put(h, "clock", c->required ? HEALTH_FAIL : HEALTH_WARN, "%s; %s",
                   c->synchronised ? "its error is larger than clock.max_error_ms"
                                   : "the kernel says that it is not synchronised",
                   c->required ? "nothing is signed" : "signatures say so");
}

static void health_disk(int64_t free_bytes, enum store_state state, struct health *h)
{
    const char *reserve = state == STORE_WRITES ? "the reserve is there" : "the reserve is used up";
    long long mib = free_bytes / HEALTH_MIB;

    if (free_bytes < 0)
        health_put(h, "disk", HEALTH_WARN, "the file system of the store can't be asked");
    else if (free_bytes < HEALTH_FREE_FAIL)
        health_put(h, "disk", HEALTH_FAIL, "%lld MiB left for the store, %s", mib, reserve);
    else
        health_put(h, "disk", free_bytes < HEALTH_FREE_WARN ? HEALTH_WARN : HEALTH_OK,
                   "%lld MiB left for the store, %s", mib, reserve);
}

/* A checkpoint that is late costs evidence against who owns the disk, not signatures. */
static void health_audit(const struct watch_audit *a, struct health *h)
{
    if (a->detail[0])
        health_put(h, "audit", HEALTH_FAIL, "%s", a->detail);
    else if (a->state == STORE_FULL)
        health_put(h, "audit", HEALTH_FAIL,
                   "the disk is full; nothing is signed until it has room");
    else if (a->state == STORE_BROKEN)
        health_put(h, "audit", HEALTH_FAIL, "the disk has failed; restart esignd");
    else if (a->writer_busy_ms > HEALTH_WRITER_FAIL_MS)
        health_put(h, "audit", HEALTH_FAIL, "the writer has been busy with one group for %lld s",
                   (long long)a->writer_busy_ms / 1000);
    else if (a->checkpoint_size >= 0 && a->uncovered_ms > 2 * a->checkpoint_after_ms)
        health_put(h, "audit", HEALTH_WARN, "entries are without a checkpoint since %lld s",
                   (long long)a->uncovered_ms / 1000);
    else
        health_put(h, "audit", HEALTH_OK, "%lld entries, checkpoint of %lld, %lld s behind",
                   (long long)a->size, (long long)a->checkpoint_size,
                   (long long)a->uncovered_ms / 1000);
}

static void health_certificate(const char *name, const struct watch_expiry *e,
                               enum health_state when_over, struct health *h)
{
    long long days = e->left_ms / HEALTH_DAY_MS;

    if (!e->known)
        return;
    if (e->left_ms <= 0)
        health_put(h, name, when_over, "it has ended");
    else
        health_put(h, name, days < HEALTH_EXPIRY_WARN_DAYS ? HEALTH_WARN : HEALTH_OK,
                   "%lld days left", days);
}

/* An ended password stops its owner, who can change it: told, but no warning. */
static void health_password(const struct watch *w, struct health *h)
{
    long long days = w->password.left_ms / HEALTH_DAY_MS;

    if (w->password.known)
        health_put(h, "password", days < HEALTH_PASSWORD_WARN_DAYS ? HEALTH_WARN : HEALTH_OK,
                   "%lld days until the first must be changed; %lld have ended", days,
                   (long long)w->passwords_ended);
}

/* A file that was refused harms nothing that runs, but it is not what its writer thinks. */
static void health_config(const struct loaded *c, struct health *h)
{
    if (c->refused)
        health_put(h, "configuration", HEALTH_WARN, "the file is not in force: %s", c->detail);
    else
        health_put(h, "configuration", HEALTH_OK, "in force: %.12s", c->hash);
}

static void health_start(const struct watch *w, struct health *h)
{
    const struct site_start *start = &w->start;

    if (start->stop != SITE_STOP_UNCLEAN)
        health_put(h, "start", HEALTH_OK,
                   start->stop == SITE_STOP_NONE ? "the first one" : "after a stop in order");
    else
        health_put(h, "start", w->running_ms < HEALTH_UNCLEAN_WARN_MS ? HEALTH_WARN : HEALTH_OK,
                   "after a stop that was not in order; ended: %zu intents, %zu tries, %zu keys",
                   start->intents, start->tries, start->keys);
}

void health_judge(const struct watch *w, struct health *ret)
{
    *ret = (struct health){.ready = true};
    if (w->waits)
        health_put(ret, "site", HEALTH_FAIL, "%s; two officers must accept it", w->restored);
    else if (w->initialised)
        health_put(ret, "site", HEALTH_OK, "initialised");
    else
        health_put(ret, "site", HEALTH_FAIL, "not initialised; run esign init");
    for (size_t i = 0; i < w->answer_count; i++)
        health_put(ret, w->answers[i].name, w->answers[i].answers ? HEALTH_OK : HEALTH_FAIL, "%s",
                   w->answers[i].answers ? "answers" : w->answers[i].detail);
    health_clock(&w->clock, ret);
    health_disk(w->free_bytes, w->audit.state, ret);
    health_audit(&w->audit, ret);
    health_config(&w->config, ret);
    health_start(w, ret);
    health_certificate("certificate-ca", &w->ca, HEALTH_FAIL, ret);
    /* one signer's certificate stops one signer, not the service */
    health_certificate("certificate-signer", &w->signer, HEALTH_WARN, ret);
    health_password(w, ret);
}

const char *health_state_name(enum health_state state)
{
    static const char *const names[] = {"ok", "warn", "fail"};

    return names[state];
}
