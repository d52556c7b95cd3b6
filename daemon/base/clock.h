/* The clock: the only source of time for decisions, so that tests can put their own in its place.
 */
#pragma once

#include "base/fault.h"

#include <stddef.h>
#include <stdint.h>

struct clock {
    int64_t (*now_ms)(void *ctx);  /* UTC, milliseconds since 1970 */
    int64_t (*mono_ms)(void *ctx); /* monotonic milliseconds, for deadlines */
    void *ctx;
};

/* The system's clock. */
const struct clock *clock_system(void);

static inline int64_t clock_now_ms(const struct clock *c)
{
    return c->now_ms(c->ctx);
}

static inline int64_t clock_mono_ms(const struct clock *c)
{
    return c->mono_ms(c->ctx);
}

/* Whether the kernel says that the clock is synchronised, and its error bound in ms (-1: unknown).
 */
bool clock_synchronised(int64_t *ret_error_ms);

enum { CLOCK_TEXT = 32 };

/* "2026-11-22T13:03:07.123Z".  ret: CLOCK_TEXT bytes. */
void clock_format_utc(int64_t at_ms, char ret[CLOCK_TEXT]);

/* The reverse, this form only.  ESIGN_E_PROTO otherwise. */
enum esign_rc clock_parse_utc(const char *text, int64_t *ret_at_ms) MUST_CHECK;

/* The offset of the site's zone at that time as "+01:00"; zone: an IANA name or "UTC"; the
 * process's TZ must have been set to it at start (clock_set_zone). */
void clock_format_offset(int64_t at_ms, char ret[CLOCK_TEXT]);

/* "2026-11-22 14:03:07 +01:00" in the site's zone. */
void clock_format_local(int64_t at_ms, char ret[CLOCK_TEXT]);

/* Set the site's zone once at start.  ESIGN_E_POLICY: the system doesn't know this zone. */
enum esign_rc clock_set_zone(const char *zone, struct fault *f) MUST_CHECK;
