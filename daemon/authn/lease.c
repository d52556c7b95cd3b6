/* One signing has a session to itself: taken, compared with the rows as they are, given back or
 * ended. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "authn/session_internal.h"
#include "authn/verifier.h"

static struct session *session_find(struct authn_sessions *s, const char *hash)
{
    for (struct session *session = s->first; session; session = session->next)
        if (strcmp(session->hash, hash) == 0)
            return session;
    return NULL;
}

static enum esign_rc session_refuse(enum session_end end, struct fault *f)
{
    if (end == SESSION_END_PEER)
        return fault_reason(f, ESIGN_E_SESSION, "peer",
                            "the session was opened elsewhere; it is ended");
    if (end == SESSION_END_IDLE || end == SESSION_END_ABSOLUTE)
        return fault_reason(f, ESIGN_E_COMPONENTS_REQUIRED, "expired",
                            "the session has expired; sign with all components");
    return fault_reason(f, ESIGN_E_COMPONENTS_REQUIRED, "noncontinuous",
                        "the session has ended; sign with all components");
}

/* Wait until the session of that hash is free; NULL: it is gone, or *ret_late.  The lock is held.
 */
static struct session *session_wait(struct authn_sessions *s, const char *hash,
                                    int64_t deadline_at_ms, bool *ret_late)
{
    const struct timespec until = {deadline_at_ms / 1000, deadline_at_ms % 1000 * 1000000};
    struct session *session = session_find(s, hash);

    while (session && session->busy) {
        if (pthread_cond_timedwait(&s->given, &s->lock, &until) == ETIMEDOUT) {
            *ret_late = true;
            return NULL;
        }
        session = session_find(s, hash);
    }
    return session;
}

/* The session of a handle.  One that is used from elsewhere is over, also while a signing has it.
 * ret_end: why it can't be used, or SESSION_END_NONE.  NULL: there is none.  The lock is held. */
static struct session *session_look(struct authn_sessions *s, const char *hash,
                                    const struct session_place *place, enum session_end *ret_end)
{
    struct session *session = session_find(s, hash);

    *ret_end = SESSION_END_CLOSED;
    if (!session)
        return NULL;
    *ret_end = session_over(session, clock_mono_ms(s->clock));
    if (!*ret_end && !session_is_at(session, place)) {
        session_note_by(session, place);
        *ret_end = session->over = SESSION_END_PEER;
    }
    return session;
}

enum esign_rc authn_session_take(struct authn_sessions *s, const char *handle,
                                 const struct session_place *place, int64_t deadline_at_ms,
                                 struct session_lease *ret, struct fault *f)
{
    char hash[SESSION_HANDLE_LEN + 1];
    bool late = false;
    enum session_end end = SESSION_END_NONE;

    authn_session_hash(handle, hash);
    (void)pthread_mutex_lock(&s->lock);
    struct session *session = session_look(s, hash, place, &end);
    if (session && !end && session_wait(s, hash, deadline_at_ms, &late))
        session = session_look(s, hash, place, &end);
    else if (!end)
        session = NULL; /* it has ended, or the time is over */
    if (session && !end)
        session_lease(session, ret);
    bool ours = session && end && !session->busy;
    if (ours)
        (void)session_unlink(s, session);
    (void)pthread_mutex_unlock(&s->lock);
    if (session && !end)
        return ESIGN_OK;
    if (ours)
        (void)session_report(s, session, end);
    if (late)
        return fault_set(f, ESIGN_E_DEADLINE, "another signing of this session still runs");
    return session_refuse(end, f);
}

enum esign_rc authn_session_close(struct authn_sessions *s, const char *handle,
                                  const struct session_place *place, struct fault *f)
{
    char hash[SESSION_HANDLE_LEN + 1];
    enum session_end end = SESSION_END_NONE;

    authn_session_hash(handle, hash);
    (void)pthread_mutex_lock(&s->lock);
    struct session *session = session_look(s, hash, place, &end);
    if (session && !end)
        session->over = SESSION_END_CLOSED;
    bool ours = session && !session->busy;
    if (ours)
        (void)session_unlink(s, session);
    (void)pthread_mutex_unlock(&s->lock);
    if (ours)
        (void)session_report(s, session, end ? end : SESSION_END_CLOSED);
    return end ? session_refuse(end, f) : ESIGN_OK;
}

enum esign_rc authn_session_still(struct authn_sessions *s, struct session_lease *lease,
                                  const struct session_generations *now, struct fault *f)
{
    const struct session_generations *then = &lease->generations;
    enum session_end end = SESSION_END_NONE;

    if (now->credential_seq != then->credential_seq)
        end = SESSION_END_CREDENTIAL;
    else if (now->signer_seq != then->signer_seq)
        end = SESSION_END_SIGNER;
    else if (now->policy_seq != then->policy_seq)
        end = SESSION_END_POLICY;
    if (!end)
        return ESIGN_OK;
    authn_session_end(s, lease, end);
    return session_refuse(end, f);
}

void authn_session_remember(struct authn_sessions *s, const struct session_lease *lease,
                            const struct secret *password)
{
    struct session *session = lease->session;
    struct secret *verifier = verifier_new(password);

    (void)pthread_mutex_lock(&s->lock);
    struct secret *before = session->verifier;
    session->verifier = verifier;
    (void)pthread_mutex_unlock(&s->lock);
    secret_free(before);
}

/* The lease makes this thread the only one that looks at the verifier. */
bool authn_session_remembers(const struct session_lease *lease)
{
    const struct session *session = lease->session;

    return session->verifier != NULL;
}

bool authn_session_matches(const struct session_lease *lease, const struct secret *password)
{
    const struct session *session = lease->session;

    return session->verifier && verifier_matches(session->verifier, password);
}

void authn_session_give(struct authn_sessions *s, struct session_lease *lease, bool active,
                        bool signed_now)
{
    struct session *session = lease->session;

    if (!session)
        return;
    (void)pthread_mutex_lock(&s->lock);
    session->busy = false;
    if (active)
        session->active_ms = clock_mono_ms(s->clock);
    if (signed_now)
        session->ordinal = lease->ordinal;
    (void)pthread_cond_broadcast(&s->given);
    (void)pthread_mutex_unlock(&s->lock);
    *lease = (struct session_lease){0};
}

void authn_session_end(struct authn_sessions *s, struct session_lease *lease, enum session_end end)
{
    struct session *session = lease->session;

    if (!session)
        return;
    (void)pthread_mutex_lock(&s->lock);
    (void)session_unlink(s, session);
    (void)pthread_mutex_unlock(&s->lock);
    (void)session_report(s, session, end);
    *lease = (struct session_lease){0};
}
