/* What one running service has: configuration, clock, store, audit trail, tokens and helpers, and
 * the few rows that every decision needs.  Opened by server.c in this order, closed in reverse. */
#pragma once

#include "audit/audit.h"
#include "audit/record.h"
#include "authn/session.h"
#include "ca/ca.h"
#include "config/config.h"
#include "document/document.h"
#include "hash/hash.h"
#include "pkcs11/token.h"

struct site;
struct cms_keys;

enum site_role { SITE_SIGNER, SITE_CA, SITE_LOG, SITE_KEK };

enum { SITE_ID_MAX = 64, SITE_CERT_MAX = CA_CERT_MAX };

/* config, clock: borrowed for the site's life.  Loads nothing from tokens. */
enum esign_rc site_open(const struct config *config, const struct clock *clock, struct site **ret,
                        struct fault *f) MUST_CHECK;
void site_close(struct site *s);

/* The parts; borrowed. */
const struct config *site_config(const struct site *s);
const struct clock *site_clock(const struct site *s);
struct store *site_store(const struct site *s);
struct audit *site_audit(const struct site *s);
struct hash *site_hash(const struct site *s);
struct document *site_document(const struct site *s);
struct cms_keys *site_public_keys(const struct site *s); /* of our certificates */
/* The token of a role; NULL: none is configured (only SITE_KEK). */
struct token *site_token(const struct site *s, enum site_role role);
struct token *site_token_at(const struct site *s,
                            size_t index); /* in the order of the configuration */
/* Of a role that has a token. */
enum token_algorithm site_algorithm(const struct site *s, enum site_role role);
int64_t site_token_deadline(const struct site *s, enum site_role role, int64_t deadline_at_ms);

bool site_is_production(const struct site *s); /* what "system" says in the envelope */
const char *site_system(const struct site *s);

/* What the socket has seen, as the listener counts it; for monitors. */
struct site_traffic {
    uint64_t accepted, refused, full, cut, requests; /* since the start */
    unsigned connections;                            /* now */
};

/* Who counts it: called in request threads from now on, as long as requests are served. */
void site_set_traffic(struct site *s, void (*count)(void *ctx, struct site_traffic *ret),
                      void *ctx);
/* All zero before the listener runs. */
void site_traffic(struct site *s, struct site_traffic *ret);

/* How the service ended before this start: there was none, in order, or not. */
enum site_stop { SITE_STOP_NONE, SITE_STOP_CLEAN, SITE_STOP_UNCLEAN };
const char *site_stop_name(enum site_stop stop); /* "none", "clean", "unclean" */

struct site_start {
    int64_t at_ms; /* UTC */
    enum site_stop stop;
    int64_t from;                /* the first sequence that this start may have entered */
    size_t intents, tries, keys; /* that the stop left open, and this start ended */
};

/* Set once, before requests are served. */
void site_set_start(struct site *s, const struct site_start *start);
const struct site_start *site_start(const struct site *s); /* borrowed */
/* {"stop":…,"from":…,"intents":…,"tries":…,"keys":…}; NULL: no memory. */
json_t *site_start_json(const struct site_start *start);

struct counters;
struct expiry;
struct loaded_slot;
struct turns;
struct waiting;
struct turns *
site_turns(struct site *s); /* of requests that may be repeated, and of signers in sessions */
const struct counters *site_counters(const struct site *s); /* what the trail was told */
struct expiry *site_expiry(struct site *s);                 /* for expiry.c */
struct loaded_slot *site_loaded(struct site *s);            /* for loaded.c */
struct waiting *site_waiting(const struct site *s);         /* signings, for their cards */

/* The sessions of signers; their ends are entered in the trail. */
struct authn_sessions *site_sessions(const struct site *s);
/* Who knows whether a peer has a connection: asked from now on, as long as sessions live. */
typedef bool (*site_presence)(void *ctx, const struct session_place *place);
void site_set_presence(struct site *s, site_presence present, void *ctx);

/* Whether esign init has been completed and the store is not one that was put back and that nobody
 * has accepted (restored.h).  Cheap. */
bool site_ready(struct site *s);
void site_set_ready(struct site *s);

/* ESIGN_E_CLOCK if the policy demands a synchronised clock and it is not.  ret_state:
 * "synchronised" or "unsynchronised"; ret_error_ms: bound, -1 unknown.  Source: 21 CFR 11.50(a)(2).
 */
enum esign_rc site_clock_state(const struct site *s, const char **ret_state, int64_t *ret_error_ms,
                               struct fault *f) MUST_CHECK;

/* A new identifier: one letter, '-', the time (9 characters, in which identifiers sort) and 17
 * random characters (85 bits).  Rows that are made at the same time stand together in the store: a
 * commit writes fewer pages. */
enum { SITE_ID_CHARS = 26, SITE_ID_TIME = 9 };
void site_new_id(char letter, char ret[SITE_ID_MAX]);

/* Write one act with its rows and guards.  change->entry is made here from act. */
enum esign_rc site_commit(struct site *s, const struct audit_act *act, struct store_change *change,
                          int64_t deadline_at_ms, struct store_receipt *ret,
                          struct fault *f) MUST_CHECK;

/* Shorthands for changes.  seq -1: the row must not exist. */
void site_put(struct store_change *change, const char *kind, const char *id, json_t *body);
void site_guard(struct store_change *change, const char *kind, const char *id, int64_t seq);

/* The policy row in force.  ret: owned by the caller. */
enum esign_rc site_policy(struct site *s, json_t **ret, int64_t *ret_seq,
                          struct fault *f) MUST_CHECK;

/* Sign a checkpoint of the trail with the log key; nothing before initialisation.  Failures are
 * returned; the trail itself is not harmed. */
enum esign_rc site_checkpoint(struct site *s, struct buf *ret_note, struct fault *f) MUST_CHECK;
/* The same after an officer's action: a failure is logged, the action stands.  Whether it was
 * signed. */
bool site_checkpoint_now(struct site *s);

/* The issuing CA: its key (borrowed spki is owned by ret_spki) and certificate. */
enum esign_rc site_ca(struct site *s, struct ca_key *ret, struct buf *ret_spki,
                      struct buf *ret_cert, struct fault *f) MUST_CHECK;

/* A base64 member of a row, decoded into out. */
enum esign_rc site_decode(const json_t *row, const char *member, struct buf *out,
                          struct fault *f) MUST_CHECK;
/* A JSON string of base64; NULL: no memory. */
json_t *site_encode(struct bytes bytes);
