/* The "single, continuous period of controlled system access": sessions of signers, in memory only.
 *
 * A session belongs to one signer and one place.  Its first signing needs all components, each
 * further one the private component; it ends for the causes below and is never taken up again.
 * Source: 21 CFR 11.200(a)(1)(i), (ii); requirements 3.4. */
#pragma once

#include "base/clock.h"
#include "base/secret.h"

struct authn_sessions;

enum {
    SESSION_HANDLE_LEN = 2 * SHA256_LEN, /* hexadecimal digits of a handle, and of its hash */
    SESSION_NAME_MAX = 64,               /* bytes of an identifier of signer, peer or terminal */
    SESSION_COUNT_MAX = 4096,
    SESSION_SIGNER_MAX = 8, /* of one signer through one application that names no terminal */
};

/* Why a session ended; the numbers to 10 are those of the ends in requirements 3.4. */
enum session_end {
    SESSION_END_NONE,
    SESSION_END_CLOSED = 1, /* by the signer */
    SESSION_END_IDLE = 2,
    SESSION_END_ABSOLUTE = 3,
    SESSION_END_ABSENT = 4,     /* its peer had no connection for too long */
    SESSION_END_PEER = 5,       /* the handle came from elsewhere */
    SESSION_END_OTHER = 6,      /* another session was opened at the same place */
    SESSION_END_CREDENTIAL = 7, /* changed, reset, revoked, due */
    SESSION_END_SIGNER = 8,     /* locked, suspended, revoked, or the row changed otherwise */
    SESSION_END_POLICY = 9,
    SESSION_END_STOP = 10,    /* the service stops */
    SESSION_END_OUTCOME = 13, /* a signing could not be recorded: its ordinal may have been used */
};

/* "closed", "idle", … for entries and replies. */
const char *session_end_name(enum session_end end);

/* Who may use a handle: one user of a terminal, or one application at the terminal that it names.
 */
struct session_place {
    const char *application; /* NULL at a terminal of the register */
    const char *terminal;    /* for an application: as it says, or NULL */
    int64_t uid;
};

/* What is told of a session that is over; borrowed for the call. */
struct session_ended {
    enum session_end end;
    const char *hash; /* name of the session in entries and envelopes */
    const char *signer_id, *user_id;
    struct session_place place;
    const struct session_place *by; /* who used the handle elsewhere; or NULL */
    int64_t signings;
};

/* What the sessions ask and tell, outside of their lock. */
struct session_listener {
    /* A session has ended, for any cause but a crash.  false: it could not be told; asked again. */
    bool (*ended)(void *ctx, const struct session_ended *ended);
    /* Whether the place's peer has a connection now. */
    bool (*present)(void *ctx, const struct session_place *place);
    void *ctx;
};

struct session_limits {
    int64_t idle_ms, absolute_ms;
    int64_t absent_ms; /* without a connection of the peer; 0: that ends nothing */
};

/* What the rows that a session rests on were when it was opened. */
struct session_generations {
    int64_t signer_seq, credential_seq, policy_seq;
};

/* clock: borrowed.  NULL: no memory. */
struct authn_sessions *authn_sessions_new(const struct clock *clock,
                                          const struct session_listener *listener);
void authn_sessions_stop(struct authn_sessions *s); /* ends all with SESSION_END_STOP */
void authn_sessions_free(struct authn_sessions *s); /* forgets all; none may be leased */

/* End and tell what is over; to be called about once a second. */
void authn_sessions_tick(struct authn_sessions *s);

/* Rows have moved: sessions of this signer (NULL: all) are over.  Tells nobody yet: for use in the
 * middle of a commit. */
void authn_sessions_moved(struct authn_sessions *s, const char *signer_id, enum session_end end);

/* How many are open. */
size_t authn_sessions_count(struct authn_sessions *s);

/* The name of a session in entries and envelopes, from its handle. */
void authn_session_hash(const char *handle, char ret[SESSION_HANDLE_LEN + 1]);

/* The session while one signing uses it: nobody else can. */
struct session_lease {
    void *session; /* of this module; NULL: none */
    char hash[SESSION_HANDLE_LEN + 1], signer_id[SESSION_NAME_MAX + 1],
        user_id[SESSION_NAME_MAX + 1];
    int64_t ordinal;                        /* that this signing will have: 1 is the first */
    struct session_generations generations; /* at the opening */
};

/* Open a session for a person whose components were just proved; another one of the same place
 * ends, if it is a place of one person: a terminal, or one that the application named.  Elsewhere
 * the oldest of the signer ends, if there are SESSION_SIGNER_MAX.
 * ret_handle: given to the peer and kept by nobody else; ret: leased, so that nothing happens to it
 * before its opening is entered.  ESIGN_E_BUSY: too many sessions. */
struct session_opening {
    const char *signer_id, *user_id;
    const struct secret *password; /* remembered as a verifier; NULL: not yet */
    struct session_place place;
    struct session_limits limits;
    struct session_generations generations;
};
enum esign_rc authn_session_open(struct authn_sessions *s, const struct session_opening *o,
                                 char ret_handle[SESSION_HANDLE_LEN + 1], struct session_lease *ret,
                                 struct fault *f) MUST_CHECK;

/* Take the session for one signing; waits for a signing that runs, at most until deadline_at_ms.
 * ESIGN_E_COMPONENTS_REQUIRED: "noncontinuous" (there is no such session any more), "expired" (idle
 * or absolute limit); ESIGN_E_SESSION: "peer" (another place: the session ends, at once or with the
 * signing that has it); ESIGN_E_DEADLINE. */
enum esign_rc authn_session_take(struct authn_sessions *s, const char *handle,
                                 const struct session_place *place, int64_t deadline_at_ms,
                                 struct session_lease *ret, struct fault *f) MUST_CHECK;

/* End the session of a handle as its signer wants it, at once or with the signing that has it: the
 * next one is refused.  Never waits.  ESIGN_E_COMPONENTS_REQUIRED, ESIGN_E_SESSION: as above. */
enum esign_rc authn_session_close(struct authn_sessions *s, const char *handle,
                                  const struct session_place *place, struct fault *f) MUST_CHECK;

/* Compare what the rows are now with what they were at the opening; a difference ends the session.
 * ESIGN_E_COMPONENTS_REQUIRED "noncontinuous": it is ended, the lease is gone. */
enum esign_rc authn_session_still(struct authn_sessions *s, struct session_lease *lease,
                                  const struct session_generations *now,
                                  struct fault *f) MUST_CHECK;

/* Keep a verifier of the password in the session, for the signings that follow: HMAC under a random
 * key that lives as long as the session. */
void authn_session_remember(struct authn_sessions *s, const struct session_lease *lease,
                            const struct secret *password);
/* Whether there is a verifier, and whether the password is the one remembered. */
bool authn_session_remembers(const struct session_lease *lease);
bool authn_session_matches(const struct session_lease *lease, const struct secret *password);

/* Give the session back.  active: the signer proved a component (idle time starts anew);
 * signed_now: the ordinal was used.  Nothing without a lease. */
void authn_session_give(struct authn_sessions *s, struct session_lease *lease, bool active,
                        bool signed_now);
/* End it instead of giving it back.  SESSION_END_NONE: it was never given out, nobody is told. */
void authn_session_end(struct authn_sessions *s, struct session_lease *lease, enum session_end end);
