#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The only mutable global of the log; set once at start, before threads. */
static struct {
    const char *program;
    enum log_level level;
} log_state = {.program = "esign", .level = LOG_LEVEL_INFO};

void log_start(const char *program, enum log_level level)
{
    log_state.program = program;
    log_state.level = level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    if (level > log_state.level)
        return;
    int used = snprintf(line, sizeof(line), "<%d>%s: ", (int)level, log_state.program);
    size_t at = used > 0 ? (size_t)used : 0;
    va_start(ap, fmt);
    (void)vsnprintf(line + at, sizeof(line) - at - 1, fmt, ap); /* a long line is cut */
    va_end(ap);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' '; /* one event stays one line */
    size_t len = strlen(line);
    line[len] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len + 1);
    (void)written; /* the operator's log may be lost */
}
