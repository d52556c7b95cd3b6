#include "base/fault.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistr.h>

static const struct fault_row {
    const char *name, *text;
    enum esign_rc rc;
    int http;
    bool retryable;
} fault_rows[] = {
#define FAULT_ROW(name, number, http, retryable, text) {#name, text, ESIGN_##name, http, retryable},
    ESIGN_ERRORS(FAULT_ROW)
#undef FAULT_ROW
};

enum { FAULT_ROW_COUNT = sizeof(fault_rows) / sizeof(fault_rows[0]) };

static const struct fault_row *fault_row(enum esign_rc rc)
{
    for (size_t i = 0; i < FAULT_ROW_COUNT; i++)
        if (fault_rows[i].rc == rc)
            return &fault_rows[i];
    return &fault_rows[FAULT_ROW_COUNT - 1];
}

struct fault_parts {
    const char *reason, *field;
    unsigned long cause;
    int retry_after_s;
};

/* Texts are cut by bytes and may come from outside: what is no whole character becomes '?'. */
static void fault_clean(char *text)
{
    for (uint8_t *at = (uint8_t *)text; *at;) {
        const uint8_t *bad = u8_check(at, strlen((const char *)at));
        if (!bad)
            return;
        at += bad - at;
        *at = '?';
    }
}

static enum esign_rc fault_fill(struct fault *f, enum esign_rc rc, struct fault_parts parts,
                                const char *fmt, va_list ap)
{
    struct fault made = {.rc = rc, .cause = parts.cause, .retry_after_s = parts.retry_after_s};

    if (!f)
        return rc;
    if (parts.reason)
        (void)snprintf(made.reason, sizeof(made.reason), "%s", parts.reason); /* cut is harmless */
    if (parts.field)
        (void)snprintf(made.field, sizeof(made.field), "%s", parts.field);
    (void)vsnprintf(made.detail, sizeof(made.detail), fmt, ap);
    fault_clean(made.reason);
    fault_clean(made.field);
    fault_clean(made.detail);
    *f = made; /* only now: the text may quote what f said before */
    return rc;
}

enum esign_rc fault_set(struct fault *f, enum esign_rc rc, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    rc = fault_fill(f, rc, (struct fault_parts){0}, fmt, ap);
    va_end(ap);
    return rc;
}

enum esign_rc fault_field(struct fault *f, enum esign_rc rc, const char *field, const char *fmt,
                          ...)
{
    va_list ap;

    va_start(ap, fmt);
    rc = fault_fill(f, rc, (struct fault_parts){.field = field}, fmt, ap);
    va_end(ap);
    return rc;
}

enum esign_rc fault_reason(struct fault *f, enum esign_rc rc, const char *reason, const char *fmt,
                           ...)
{
    va_list ap;

    va_start(ap, fmt);
    rc = fault_fill(f, rc, (struct fault_parts){.reason = reason}, fmt, ap);
    va_end(ap);
    return rc;
}

enum esign_rc fault_cause(struct fault *f, enum esign_rc rc, unsigned long cause, const char *fmt,
                          ...)
{
    va_list ap;

    va_start(ap, fmt);
    rc = fault_fill(f, rc, (struct fault_parts){.cause = cause}, fmt, ap);
    va_end(ap);
    return rc;
}

enum esign_rc fault_retry(struct fault *f, enum esign_rc rc, const char *reason, int retry_after_s,
                          const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    rc = fault_fill(f, rc, (struct fault_parts){.reason = reason, .retry_after_s = retry_after_s},
                    fmt, ap);
    va_end(ap);
    return rc;
}

const char *fault_name(enum esign_rc rc)
{
    return fault_row(rc)->name;
}

int fault_http(enum esign_rc rc)
{
    return fault_row(rc)->http;
}

bool fault_retryable(enum esign_rc rc)
{
    return fault_row(rc)->retryable;
}

const char *fault_text(enum esign_rc rc)
{
    return fault_row(rc)->text;
}

enum esign_rc fault_by_name(const char *name)
{
    for (size_t i = 0; i < FAULT_ROW_COUNT; i++)
        if (strcmp(fault_rows[i].name, name) == 0)
            return fault_rows[i].rc;
    return ESIGN_E_INTERNAL;
}
