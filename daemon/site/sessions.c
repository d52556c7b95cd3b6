/* The sessions of this service: their ends go into the audit trail, and what moves rows that a
 * session rests on ends it.  Source: requirements 3.4. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "site/site_internal.h"

enum { SESSIONS_ENTER_MS = 2000 };

/* A handle is no component: who closes is known as a peer only.  The rest happens to a session. */
static struct audit_actor sessions_actor(const struct session_ended *ended)
{
    return ended->end == SESSION_END_CLOSED
               ? (struct audit_actor){.role = "peer", .uid = ended->place.uid}
               : (struct audit_actor){0};
}

/* Who used a handle that is not theirs. */
static json_t *sessions_by(const struct session_place *by)
{
    return json_pack("{s:s*, s:s*, s:I}", "application", by->application, "terminal", by->terminal,
                     "uid", (json_int_t)by->uid);
}

static bool sessions_ended(void *ctx, const struct session_ended *ended)
{
    struct site *s = ctx;
    char object[SESSION_HANDLE_LEN + 16];
    struct store_change change = {0};
    struct store_receipt receipt;
    struct fault f = {0};
    CLEANUP(json_decref_p)
    json_t *new_value = json_pack(
        "{s:s, s:s, s:I, s:o*}", "end", session_end_name(ended->end), "signer_id", ended->signer_id,
        "signings", (json_int_t)ended->signings, "by", ended->by ? sessions_by(ended->by) : NULL);

    (void)snprintf(object, sizeof(object), "session/%s", ended->hash);
    const struct audit_act act = {.action = "session.close",
                                  .object = object,
                                  .actor = sessions_actor(ended),
                                  .application = ended->place.application,
                                  .terminal = ended->place.terminal,
                                  .alert = ended->end == SESSION_END_PEER ? AUDIT_ALERT_SESSION_PEER
                                                                          : AUDIT_ALERT_NONE,
                                  .new_value = new_value};
    bool told = site_commit(s, &act, &change, clock_mono_ms(s->clock) + SESSIONS_ENTER_MS, &receipt,
                            &f) == ESIGN_OK;
    if (!told)
        log_error("the end of a session could not be entered code=%s detail=\"%s\"",
                  fault_name(f.rc), f.detail);
    return told;
}

static bool sessions_present(void *ctx, const struct session_place *place)
{
    struct site *s = ctx;
    site_presence present = atomic_load(&s->present);

    return !present || present(s->present_ctx, place);
}

enum esign_rc site_sessions_open(struct site *s, struct fault *f)
{
    const struct session_listener listener = {sessions_ended, sessions_present, s};

    s->sessions = authn_sessions_new(s->clock, &listener);
    return s->sessions ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for sessions");
}

void site_sessions_note(struct site *s, const struct store_change *change)
{
    if (!s->sessions) /* recovery, before requests are served */
        return;
    if (strcmp(json_str(change->entry, "action"), "signer.lock") == 0) {
        const char *object = json_str(change->entry, "object");
        authn_sessions_moved(s->sessions, object + strlen("signer/"), SESSION_END_SIGNER);
    }
    for (size_t i = 0; i < change->row_count; i++) {
        const struct store_row *row = &change->rows[i];
        if (strcmp(row->kind, "credential") == 0)
            authn_sessions_moved(s->sessions, row->id, SESSION_END_CREDENTIAL);
        else if (strcmp(row->kind, "signer") == 0)
            authn_sessions_moved(s->sessions, row->id, SESSION_END_SIGNER);
        else if (strcmp(row->kind, "policy") == 0)
            authn_sessions_moved(s->sessions, NULL, SESSION_END_POLICY);
    }
}

struct authn_sessions *site_sessions(const struct site *s)
{
    return s->sessions;
}

void site_set_presence(struct site *s, site_presence present, void *ctx)
{
    s->present_ctx = ctx;
    atomic_store(&s->present, present);
}
