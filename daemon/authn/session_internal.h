/* The set of sessions, for session.c (who is in it, and what ends it) and lease.c (one signing uses
 * one). */
#pragma once

#include <pthread.h>

#include "authn/session.h"

struct session {
    struct session *next;
    char hash[SESSION_HANDLE_LEN + 1];
    char signer_id[SESSION_NAME_MAX + 1], user_id[SESSION_NAME_MAX + 1];
    char application[SESSION_NAME_MAX + 1], terminal[SESSION_NAME_MAX + 1]; /* "": none */
    int64_t uid;
    struct session_limits limits;
    struct session_generations generations;
    int64_t opened_ms, active_ms; /* monotonic */
    int64_t gone_ms; /* since when the peer has no connection, as last looked; 0: it has one */
    int64_t ordinal; /* of the last signing; 0: none yet */
    bool busy;       /* leased */
    struct {
        bool known;
        char application[SESSION_NAME_MAX + 1], terminal[SESSION_NAME_MAX + 1];
        int64_t uid;
    } by;                    /* who used it elsewhere */
    enum session_end over;   /* found elsewhere; 0: not */
    struct secret *verifier; /* of the password; NULL: none */
};

struct authn_sessions {
    const struct clock *clock;
    struct session_listener listener;
    pthread_mutex_t lock;
    pthread_cond_t given; /* some session was given back or ended */
    struct session *first;
    size_t count;
};

bool session_is_at(const struct session *session, const struct session_place *place);

/* Why the session is over: what ended it first, or SESSION_END_NONE.  The lock is held. */
enum session_end session_over(const struct session *session, int64_t now_ms);

/* Take a session out of the set; the caller frees it.  The lock is held. */
struct session *session_unlink(struct authn_sessions *s, struct session *session);

/* Tell of the end, if it is one, and free; what could not be told stays in the set, over.  Whether
 * it was told.  The lock is not held. */
bool session_report(struct authn_sessions *s, struct session *session, enum session_end end);

/* Note that a peer of another place used the handle.  The lock is held. */
void session_note_by(struct session *session, const struct session_place *by);

/* Lease a session that is free.  The lock is held. */
void session_lease(struct session *session, struct session_lease *ret);
