#include "authn/session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authn/verifier.h"
#include "base/encode.h"

static const struct {
    enum session_end end;
    const char *name;
} session_ends[] = {
    {SESSION_END_CLOSED, "closed"},
    {SESSION_END_IDLE, "idle"},
    {SESSION_END_ABSOLUTE, "absolute"},
    {SESSION_END_ABSENT, "absent"},
    {SESSION_END_PEER, "peer"},
    {SESSION_END_OTHER, "other"},
    {SESSION_END_CREDENTIAL, "credential"},
    {SESSION_END_SIGNER, "signer"},
    {SESSION_END_POLICY, "policy"},
    {SESSION_END_STOP, "stop"},
    {SESSION_END_OUTCOME, "outcome"},
};

const char *session_end_name(enum session_end end)
{
    for (size_t i = 0; i < sizeof(session_ends) / sizeof(session_ends[0]); i++)
        if (session_ends[i].end == end)
            return session_ends[i].name;
    return "unknown";
}

static void session_free(struct session *session)
{
    secret_free(session->verifier); /* wipes */
    free(session);
}

struct authn_sessions *authn_sessions_new(const struct clock *clock,
                                          const struct session_listener *listener)
{
    struct authn_sessions *s = calloc(1, sizeof(*s));
    pthread_condattr_t monotonic;

    if (!s)
        return NULL;
    s->clock = clock;
    s->listener = *listener;
    /* these can't fail with the default and the monotonic attribute */
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->given, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return s;
}

static struct session_place session_place_of(const struct session *session)
{
    return (struct session_place){session->application[0] ? session->application : NULL,
                                  session->terminal[0] ? session->terminal : NULL, session->uid};
}

static bool session_same_text(const char *kept, const char *given)
{
    return strcmp(kept, given ? given : "") == 0;
}

bool session_is_at(const struct session *session, const struct session_place *place)
{
    return session->uid == place->uid &&
           session_same_text(session->application, place->application) &&
           session_same_text(session->terminal, place->terminal);
}

static void session_link(struct authn_sessions *s, struct session *session)
{
    session->next = s->first;
    s->first = session;
    s->count++;
}

struct session *session_unlink(struct authn_sessions *s, struct session *session)
{
    for (struct session **at = &s->first; *at; at = &(*at)->next)
        if (*at == session) {
            *at = session->next;
            s->count--;
            break;
        }
    session->next = NULL;
    (void)pthread_cond_broadcast(&s->given);
    return session;
}

static bool session_tell(struct authn_sessions *s, const struct session *session,
                         enum session_end end)
{
    const struct session_place by = {session->by.application[0] ? session->by.application : NULL,
                                     session->by.terminal[0] ? session->by.terminal : NULL,
                                     session->by.uid};
    const struct session_ended ended = {.end = end,
                                        .by = session->by.known ? &by : NULL,
                                        .hash = session->hash,
                                        .signer_id = session->signer_id,
                                        .user_id = session->user_id,
                                        .place = session_place_of(session),
                                        .signings = session->ordinal};

    return s->listener.ended(s->listener.ctx, &ended);
}

bool session_report(struct authn_sessions *s, struct session *session, enum session_end end)
{
    if (end == SESSION_END_NONE || session_tell(s, session, end)) {
        session_free(session);
        return true;
    }
    (void)pthread_mutex_lock(&s->lock);
    session->over = end;
    session->busy = false;
    session_link(s, session);
    (void)pthread_mutex_unlock(&s->lock);
    return false;
}

void authn_sessions_stop(struct authn_sessions *s)
{
    (void)pthread_mutex_lock(&s->lock);
    struct session *all = s->first;
    s->first = NULL;
    s->count = 0;
    (void)pthread_mutex_unlock(&s->lock);
    while (all) {
        struct session *next = all->next;
        (void)session_tell(s, all, all->over ? all->over : SESSION_END_STOP); /* logs a failure */
        session_free(all);
        all = next;
    }
}

void authn_sessions_free(struct authn_sessions *s)
{
    if (!s)
        return;
    while (s->first)
        session_free(session_unlink(s, s->first));
    (void)pthread_cond_destroy(&s->given);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

enum session_end session_over(const struct session *session, int64_t now_ms)
{
    const struct {
        int64_t at_ms;
        enum session_end end;
    } limits[] = {
        {session->active_ms + session->limits.idle_ms, SESSION_END_IDLE},
        {session->opened_ms + session->limits.absolute_ms, SESSION_END_ABSOLUTE},
        {session->gone_ms && session->limits.absent_ms
             ? session->gone_ms + session->limits.absent_ms
             : INT64_MAX,
         SESSION_END_ABSENT},
    };
    enum session_end over = session->over;
    int64_t first_ms = INT64_MAX;

    for (size_t i = 0; !session->over && i < sizeof(limits) / sizeof(limits[0]); i++)
        if (now_ms >= limits[i].at_ms && limits[i].at_ms < first_ms) {
            first_ms = limits[i].at_ms;
            over = limits[i].end;
        }
    return over;
}

/* Take out one session that nobody uses and that is over. */
static struct session *session_pick_over(struct authn_sessions *s, enum session_end *ret_end)
{
    int64_t now_ms = clock_mono_ms(s->clock);

    for (struct session *session = s->first; session; session = session->next) {
        *ret_end = session_over(session, now_ms);
        if (*ret_end && !session->busy)
            return session_unlink(s, session);
    }
    return NULL;
}

/* End and tell what is over. */
static void session_sweep(struct authn_sessions *s)
{
    for (;;) {
        enum session_end end = SESSION_END_NONE;
        (void)pthread_mutex_lock(&s->lock);
        struct session *over = session_pick_over(s, &end);
        (void)pthread_mutex_unlock(&s->lock);
        if (!over || !session_report(s, over, end))
            return; /* what can't be told now waits for the next tick */
    }
}

void authn_sessions_tick(struct authn_sessions *s)
{
    (void)pthread_mutex_lock(&s->lock);
    for (struct session *session = s->first; session; session = session->next) {
        const struct session_place place = session_place_of(session);
        if (s->listener.present(s->listener.ctx, &place))
            session->gone_ms = 0;
        else if (!session->gone_ms)
            session->gone_ms = clock_mono_ms(s->clock);
    }
    (void)pthread_mutex_unlock(&s->lock);
    session_sweep(s);
}

void authn_sessions_moved(struct authn_sessions *s, const char *signer_id, enum session_end end)
{
    (void)pthread_mutex_lock(&s->lock);
    for (struct session *session = s->first; session; session = session->next)
        if (!session->over && (!signer_id || strcmp(session->signer_id, signer_id) == 0))
            session->over = end;
    (void)pthread_mutex_unlock(&s->lock);
}

size_t authn_sessions_count(struct authn_sessions *s)
{
    (void)pthread_mutex_lock(&s->lock);
    size_t count = s->count;
    (void)pthread_mutex_unlock(&s->lock);
    return count;
}

void authn_session_hash(const char *handle, char ret[SESSION_HANDLE_LEN + 1])
{
    uint8_t hash[SHA256_LEN];

    bytes_sha256(bytes_of_str("esignd session\n"), bytes_of_str(handle), hash);
    encode_hex(bytes_of(hash, sizeof(hash)), ret);
}

static bool session_put_name(char kept[SESSION_NAME_MAX + 1], const char *name)
{
    int len = snprintf(kept, SESSION_NAME_MAX + 1, "%s", name ? name : "");

    return len >= 0 && len <= SESSION_NAME_MAX;
}

static struct session *session_new(const struct session_opening *o, const char *handle,
                                   int64_t now_ms)
{
    struct session *session = calloc(1, sizeof(*session));

    if (!session)
        return NULL;
    authn_session_hash(handle, session->hash);
    if (!session_put_name(session->signer_id, o->signer_id) ||
        !session_put_name(session->user_id, o->user_id) ||
        !session_put_name(session->application, o->place.application) ||
        !session_put_name(session->terminal, o->place.terminal)) {
        free(session);
        return NULL;
    }
    session->uid = o->place.uid;
    session->limits = o->limits;
    session->generations = o->generations;
    session->opened_ms = session->active_ms = now_ms;
    session->verifier = o->password ? verifier_new(o->password) : NULL;
    return session;
}

/* Others that the new one takes the place of are over.  The lock is held. */
static void session_supersede(struct authn_sessions *s, const struct session *new)
{
    const struct session_place place = session_place_of(new);
    size_t of_signer = 1; /* the new one; the list begins with the newest */

    for (struct session *session = s->first; session; session = session->next) {
        if (session->over || !session_is_at(session, &place))
            continue;
        bool same = strcmp(session->signer_id, new->signer_id) == 0;
        if (place.terminal || (same && of_signer++ >= SESSION_SIGNER_MAX))
            session->over = SESSION_END_OTHER;
    }
}

void session_note_by(struct session *session, const struct session_place *by)
{
    session->by.known = session_put_name(session->by.application, by->application) &&
                        session_put_name(session->by.terminal, by->terminal);
    session->by.uid = by->uid;
}

void session_lease(struct session *session, struct session_lease *ret)
{
    session->busy = true;
    *ret = (struct session_lease){
        .session = session, .ordinal = session->ordinal + 1, .generations = session->generations};
    memcpy(ret->hash, session->hash, sizeof(ret->hash));
    memcpy(ret->signer_id, session->signer_id, sizeof(ret->signer_id));
    memcpy(ret->user_id, session->user_id, sizeof(ret->user_id));
}

enum esign_rc authn_session_open(struct authn_sessions *s, const struct session_opening *o,
                                 char ret_handle[SESSION_HANDLE_LEN + 1], struct session_lease *ret,
                                 struct fault *f)
{
    uint8_t random[SHA256_LEN];

    bytes_random(random, sizeof(random));
    encode_hex(bytes_of(random, sizeof(random)), ret_handle);
    secret_wipe(random, sizeof(random));
    struct session *session = session_new(o, ret_handle, clock_mono_ms(s->clock));
    if (!session)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a session");
    session_sweep(s);
    (void)pthread_mutex_lock(&s->lock);
    bool full = s->count >= SESSION_COUNT_MAX;
    if (!full) {
        session_supersede(s, session);
        session_link(s, session);
        session_lease(session, ret);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (full) {
        session_free(session);
        return fault_set(f, ESIGN_E_BUSY, "too many sessions are open (%d)", SESSION_COUNT_MAX);
    }
    session_sweep(s);
    return ESIGN_OK;
}
