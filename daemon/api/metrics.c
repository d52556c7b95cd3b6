/* /metrics: one table of plain values, and the few that have labels.  Source: requirements 2.4;
 * Prometheus text exposition format 0.0.4. */
#include "api/handlers.h"
#include "base/cleanup.h"
#include "site/counters.h"
#include "site/watch.h"

enum { METRICS_MAX = 64 * 1024, METRICS_DAY_MS = 24 * 60 * 60 * 1000 };

static void metrics_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_put_fmt(out, "# HELP esignd_%s %s\n# TYPE esignd_%s %s\n", name, help, name, type);
}

static void metrics_put(struct buf *out, const char *name, const char *type, const char *help,
                        int64_t value)
{
    metrics_head(out, name, type, help);
    buf_put_fmt(out, "esignd_%s %lld\n", name, (long long)value);
}

/* Milliseconds as seconds. */
static void metrics_put_seconds(struct buf *out, const char *name, const char *help, int64_t ms)
{
    metrics_head(out, name, "gauge", help);
    buf_put_fmt(out, "esignd_%s %s%lld.%03lld\n", name, ms < 0 ? "-" : "",
                (long long)(ms < 0 ? -ms : ms) / 1000, (long long)(ms < 0 ? -ms : ms) % 1000);
}

/* One value of several; labels are names of ours and of the configuration, which need no escape. */
static void metrics_put_label(struct buf *out, const char *name, const char *label,
                              const char *label_value, int64_t value)
{
    buf_put_fmt(out, "esignd_%s{%s=\"%s\"} %lld\n", name, label, label_value, (long long)value);
}

static void metrics_traffic(struct site *s, struct buf *out)
{
    struct site_traffic t;

    site_traffic(s, &t);
    metrics_put(out, "connections", "gauge", "Connections that are open.", t.connections);
    metrics_put(out, "connections_accepted_total", "counter", "Connections of registered callers.",
                (int64_t)t.accepted);
    metrics_put(out, "connections_refused_total", "counter",
                "Connections of callers that nobody registered.", (int64_t)t.refused);
    metrics_put(out, "connections_full_total", "counter",
                "Connections turned away because a limit was reached.", (int64_t)t.full);
    metrics_put(out, "connections_cut_total", "counter", "Connections cut past their deadline.",
                (int64_t)t.cut);
    metrics_put(out, "requests_total", "counter", "Requests with a complete head.",
                (int64_t)t.requests);
}

static void metrics_counters(const struct counters *c, struct buf *out)
{
    metrics_head(out, "signatures_total", "counter", "Ceremonies by how they ended.");
    metrics_put_label(out, "signatures_total", "result", "done",
                      (int64_t)counters_get(c, COUNTER_SIGNED));
    metrics_put_label(out, "signatures_total", "result", "aborted",
                      (int64_t)counters_get(c, COUNTER_ABORTED));
    metrics_put_label(out, "signatures_total", "result", "refused",
                      (int64_t)counters_get(c, COUNTER_REFUSED));
    metrics_put(out, "authentication_failures_total", "counter",
                "Tries with a wrong identification code or password.",
                (int64_t)counters_get(c, COUNTER_AUTH_FAILED));
    metrics_put(out, "signer_locks_total", "counter", "Signers locked after failures.",
                (int64_t)counters_get(c, COUNTER_LOCKED));
}

static void metrics_audit(const struct watch_audit *a, struct buf *out)
{
    metrics_put(out, "audit_entries", "gauge", "Entries of the audit trail.", a->size);
    metrics_put(out, "audit_checkpoint_entries", "gauge",
                "Entries that the newest checkpoint covers; -1: there is none.",
                a->checkpoint_size);
    if (a->checkpoint_age_ms >= 0)
        metrics_put_seconds(out, "audit_checkpoint_age_seconds",
                            "Age of the newest entry that a checkpoint covers.",
                            a->checkpoint_age_ms);
    metrics_put_seconds(out, "audit_uncovered_age_seconds",
                        "Age of the oldest entry that no checkpoint covers; 0: none.",
                        a->uncovered_ms);
    metrics_put(out, "store_reserve", "gauge",
                "Whether the store writes and its reserve for a full disk is there.",
                a->state == STORE_WRITES);
    metrics_put_seconds(out, "store_writer_busy_seconds",
                        "Time that the store's writer needs for what it took last; 0: it waits.",
                        a->writer_busy_ms);
}

static void metrics_answers(const struct watch *w, struct buf *out)
{
    metrics_head(out, "helper_up", "gauge", "Whether a helper process answers.");
    for (size_t i = 0; i < w->answer_count; i++)
        metrics_put_label(out, "helper_up", "helper", w->answers[i].name, w->answers[i].answers);
}

static void metrics_certificates(const struct watch *w, struct buf *out)
{
    metrics_head(out, "certificate_days", "gauge",
                 "Days until a certificate ends; signer: the first one of the active signers.");
    if (w->ca.known)
        metrics_put_label(out, "certificate_days", "certificate", "ca",
                          w->ca.left_ms / METRICS_DAY_MS);
    if (w->signer.known)
        metrics_put_label(out, "certificate_days", "certificate", "signer",
                          w->signer.left_ms / METRICS_DAY_MS);
}

static void metrics_passwords(const struct watch *w, struct buf *out)
{
    if (w->password.known)
        metrics_put(out, "password_days", "gauge",
                    "Days until the first of the active signers' passwords must be changed.",
                    w->password.left_ms / METRICS_DAY_MS);
    metrics_put(out, "passwords_ended", "gauge",
                "Passwords of active signers that have ended and can only be changed.",
                w->passwords_ended);
}

static void metrics_health(const struct watch *w, struct buf *out)
{
    struct health health;

    health_judge(w, &health);
    metrics_put(out, "ready", "gauge", "Whether no check of /v1/health has failed.", health.ready);
    metrics_head(out, "check_state", "gauge", "Checks of /v1/health: 0 ok, 1 warn, 2 fail.");
    for (size_t i = 0; i < health.count; i++)
        metrics_put_label(out, "check_state", "check", health.checks[i].name,
                          health.checks[i].state);
}

static void metrics_start(const struct site_start *start, struct buf *out)
{
    metrics_put_seconds(out, "start_time_seconds", "When the service started (UTC).", start->at_ms);
    metrics_put(out, "start_unclean", "gauge", "Whether the stop before it was not in order.",
                start->stop == SITE_STOP_UNCLEAN);
    metrics_head(out, "recovered", "gauge", "What that stop left open, and the start ended.");
    metrics_put_label(out, "recovered", "what", "intents", (int64_t)start->intents);
    metrics_put_label(out, "recovered", "what", "tries", (int64_t)start->tries);
    metrics_put_label(out, "recovered", "what", "keys", (int64_t)start->keys);
}

HANDLER(handle_metrics)
{
    struct site *s = handler_site(request);
    struct watch w;

    site_measure(s, request->deadline_at_ms, &w);
    reply->content_type = "text/plain; version=0.0.4";
    reply->text = buf_new(METRICS_MAX);
    metrics_head(&reply->text, "build_info", "gauge", "Version of the program.");
    metrics_put_label(&reply->text, "build_info", "version", ESIGN_VERSION, 1);
    metrics_health(&w, &reply->text);
    metrics_traffic(s, &reply->text);
    metrics_counters(site_counters(s), &reply->text);
    metrics_audit(&w.audit, &reply->text);
    metrics_answers(&w, &reply->text);
    metrics_put(&reply->text, "clock_synchronised", "gauge",
                "Whether the kernel says that the clock is synchronised.", w.clock.synchronised);
    if (w.clock.error_ms >= 0)
        metrics_put_seconds(&reply->text, "clock_error_seconds", "Error bound of the clock.",
                            w.clock.error_ms);
    if (w.free_bytes >= 0)
        metrics_put(&reply->text, "store_free_bytes", "gauge",
                    "Free bytes on the file system of the store.", w.free_bytes);
    metrics_put(&reply->text, "sessions", "gauge", "Sessions of signers that are open.",
                (int64_t)w.sessions);
    metrics_start(&w.start, &reply->text);
    metrics_put(&reply->text, "configuration_refused", "gauge",
                "Whether the configuration file that was read last is not in force.",
                w.config.refused);
    metrics_certificates(&w, &reply->text);
    metrics_passwords(&w, &reply->text);
    return buf_ok(&reply->text) ? ESIGN_OK
                                : fault_set(f, ESIGN_E_INTERNAL, "no memory for the measurements");
}
