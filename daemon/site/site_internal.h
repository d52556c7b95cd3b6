/* The inside of a site, for the files of this folder. */
#pragma once

#include <stdatomic.h>

#include "base/turns.h"
#include "site/counters.h"
#include "site/expiry.h"
#include "site/loaded.h"
#include "site/restored.h"
#include "site/site.h"

typedef void (*site_count)(void *ctx, struct site_traffic *ret);

struct site {
    const struct config *config;
    const struct clock *clock;
    struct store *store;
    struct audit *audit;
    struct hash *hash;
    struct document *document;
    struct token *tokens[CONFIG_TOKENS_MAX];
    size_t token_count;
    struct authn_sessions *sessions;
    struct cms_keys *public_keys;
    atomic_bool ready, waits; /* waits: see restored.h */
    struct site_restored restored;
    struct counters counters;
    struct expiry expiry;
    struct loaded_slot loaded;
    struct site_start start;
    struct turns turns;
    struct waiting *waiting;
    void *count_ctx;
    _Atomic(site_count) count; /* set after count_ctx */
    void *present_ctx;
    _Atomic(site_presence) present; /* set after present_ctx */
};

/* Part of site_open(). */
enum esign_rc site_sessions_open(struct site *s, struct fault *f) MUST_CHECK;

/* A change was written: sessions that rest on its rows are over.  In the thread that wrote it. */
void site_sessions_note(struct site *s, const struct store_change *change);
