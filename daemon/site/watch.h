/* What a monitor can ask: measurements of the running service (watch.c), and the judgement on them
 * (health.c, pure).  Source: requirements 2.4 (missed detection). */
#pragma once

#include "config/config.h"
#include "site/counters.h"
#include "site/loaded.h"
#include "site/restored.h"
#include "site/site.h"

enum {
    WATCH_NAME_MAX = 40,
    WATCH_DETAIL_MAX = 256,
    WATCH_ANSWER_MS = 2000, /* for a helper to answer */
    WATCH_CHECKS_MAX = CONFIG_TOKENS_MAX + 12
};

/* One process of the service that was asked for an answer. */
struct watch_answer {
    char name[WATCH_NAME_MAX]; /* "token-signers", "hash", "document" */
    bool answers;
    char detail[WATCH_DETAIL_MAX]; /* why it does not */
};

struct watch_clock {
    bool required, synchronised; /* required: option clock.require_sync */
    int64_t error_ms, max_error_ms;
};

struct watch_audit {
    int64_t size, checkpoint_size; /* entries; the second -1: there is no checkpoint */
    int64_t checkpoint_age_ms;     /* of the newest entry that a checkpoint covers; -1: none */
    int64_t uncovered_ms;        /* age of the oldest entry that none covers; 0: all are covered */
    int64_t checkpoint_after_ms; /* option audit.checkpoint_s */
    enum store_state state;      /* STORE_WRITES: the disk has room, and the reserve is there */
    int64_t writer_busy_ms;      /* with what it took last; 0: it waits for work */
    char detail[WATCH_DETAIL_MAX]; /* why the trail can't be read; empty: it can */
};

/* Time left; negative: over.  known: there is one, and it could be read. */
struct watch_expiry {
    bool known;
    int64_t left_ms;
};

struct watch {
    bool initialised;
    bool waits;                        /* the store was put back and is not accepted */
    char restored[SITE_RESTORED_TEXT]; /* then: why it waits */
    struct watch_clock clock;
    struct watch_answer answers[CONFIG_TOKENS_MAX + 2]; /* tokens, then hash, document */
    size_t token_count, answer_count;
    struct watch_audit audit;
    struct loaded config;
    struct site_start start;
    int64_t running_ms;             /* since the start */
    size_t sessions;                /* of signers, open */
    int64_t free_bytes;             /* on the file system of the store; -1: unknown */
    struct watch_expiry ca, signer; /* signer: of the active signers, the one that ends first */
    struct watch_expiry password;   /* of their usable passwords, the one that ends first */
    int64_t passwords_ended;        /* of active signers, who can only change them */
};

/* Measure.  Asks every helper, so it takes up to WATCH_ANSWER_MS for each that hangs, but not
 * longer than until deadline_at_ms.  What can't be measured says so in ret: there is always an
 * answer. */
void site_measure(struct site *s, int64_t deadline_at_ms, struct watch *ret);

enum health_state { HEALTH_OK, HEALTH_WARN, HEALTH_FAIL };

struct health_check {
    char name[WATCH_NAME_MAX];
    enum health_state state;
    char detail[WATCH_DETAIL_MAX];
};

struct health {
    bool ready; /* no check has failed */
    struct health_check checks[WATCH_CHECKS_MAX];
    size_t count;
};

enum {
    HEALTH_FREE_WARN = 512 * 1024 * 1024, /* bytes */
    HEALTH_FREE_FAIL = 32 * 1024 * 1024,
    HEALTH_EXPIRY_WARN_DAYS = 30,
    HEALTH_PASSWORD_WARN_DAYS = 7,
    HEALTH_UNCLEAN_WARN_MS = 24 * 60 * 60 * 1000, /* how long a crash is a warning */
    HEALTH_WRITER_FAIL_MS = 10 * 1000
};

/* The judgement; pure. */
void health_judge(const struct watch *w, struct health *ret);

/* "ok", "warn", "fail". */
const char *health_state_name(enum health_state state);
