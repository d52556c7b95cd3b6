#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

static int64_t clock_read(clockid_t id)
{
    struct timespec ts = {0};

    (void)clock_gettime(id, &ts); /* these two clocks always exist */
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t clock_system_now(void *ctx)
{
    (void)ctx;
    return clock_read(CLOCK_REALTIME);
}

static int64_t clock_system_mono(void *ctx)
{
    (void)ctx;
    return clock_read(CLOCK_MONOTONIC);
}

const struct clock *clock_system(void)
{
    static const struct clock system = {clock_system_now, clock_system_mono, NULL};

    return &system;
}

bool clock_synchronised(int64_t *ret_error_ms)
{
    struct timex tx = {0};
    int state = adjtimex(&tx);

    *ret_error_ms = state < 0 ? -1 : tx.maxerror / 1000;
    return state >= 0 && state != TIME_ERROR && !(tx.status & STA_UNSYNC);
}

static int64_t clock_seconds(int64_t at_ms)
{
    return at_ms >= 0 ? at_ms / 1000 : (at_ms - 999) / 1000;
}

void clock_format_utc(int64_t at_ms, char ret[CLOCK_TEXT])
{
    time_t seconds = (time_t)clock_seconds(at_ms);
    int ms = (int)(at_ms - (int64_t)seconds * 1000);
    struct tm tm = {0};

    (void)gmtime_r(&seconds, &tm); /* within its range for any int64 of ms that a clock gives */
    size_t used = strftime(ret, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(ret + used, CLOCK_TEXT - used, ".%03dZ", ms);
}

/* A number of exactly `digits` digits at text. */
static bool clock_number(const char *text, int digits, int *ret)
{
    int value = 0;

    for (int i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *ret = value;
    return true;
}

enum esign_rc clock_parse_utc(const char *text, int64_t *ret_at_ms)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    struct tm tm = {0};
    int ms = 0;

    if (strlen(text) != sizeof(form) - 1)
        return ESIGN_E_PROTO;
    for (size_t i = 0; i < sizeof(form) - 1; i++)
        if (form[i] != 'd' && form[i] != text[i])
            return ESIGN_E_PROTO;
    if (!clock_number(text, 4, &tm.tm_year) || !clock_number(text + 5, 2, &tm.tm_mon) ||
        !clock_number(text + 8, 2, &tm.tm_mday) || !clock_number(text + 11, 2, &tm.tm_hour) ||
        !clock_number(text + 14, 2, &tm.tm_min) || !clock_number(text + 17, 2, &tm.tm_sec) ||
        !clock_number(text + 20, 3, &ms))
        return ESIGN_E_PROTO;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int64_t at_ms = (int64_t)timegm(&tm) * 1000 + ms;
    char again[CLOCK_TEXT];
    clock_format_utc(at_ms, again);
    if (strcmp(again, text) != 0) /* 31 February and the like */
        return ESIGN_E_PROTO;
    *ret_at_ms = at_ms;
    return ESIGN_OK;
}

static void clock_local(int64_t at_ms, struct tm *ret)
{
    time_t seconds = (time_t)clock_seconds(at_ms);

    (void)localtime_r(&seconds, ret);
}

static void clock_offset_text(const struct tm *tm, char *ret, size_t size)
{
    long minutes = tm->tm_gmtoff / 60;
    long magnitude = minutes < 0 ? -minutes : minutes;

    (void)snprintf(ret, size, "%c%02ld:%02ld", minutes < 0 ? '-' : '+', magnitude / 60 % 100,
                   magnitude % 60);
}

void clock_format_offset(int64_t at_ms, char ret[CLOCK_TEXT])
{
    struct tm tm = {0};

    clock_local(at_ms, &tm);
    clock_offset_text(&tm, ret, CLOCK_TEXT);
}

void clock_format_local(int64_t at_ms, char ret[CLOCK_TEXT])
{
    struct tm tm = {0};

    clock_local(at_ms, &tm);
    size_t used = strftime(ret, CLOCK_TEXT, "%Y-%m-%d %H:%M:%S ", &tm);
    clock_offset_text(&tm, ret + used, CLOCK_TEXT - used);
}

enum esign_rc clock_set_zone(const char *zone, struct fault *f)
{
    char path[256];

    if (strstr(zone, "..") || zone[0] == '/' || zone[0] == '\0')
        return fault_field(f, ESIGN_E_POLICY, "site.zone", "'%.40s' is not a zone name", zone);
    (void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zone);
    if (strcmp(zone, "UTC") != 0 && access(path, R_OK) != 0)
        return fault_field(f, ESIGN_E_POLICY, "site.zone",
                           "the system doesn't know the zone '%.40s' (package tzdata)", zone);
    if (setenv("TZ", zone, 1) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the zone");
    tzset();
    return ESIGN_OK;
}
