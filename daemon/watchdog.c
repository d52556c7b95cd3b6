#include "watchdog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/worker/serve.h"

enum {
    WATCHDOG_USEC_DIGITS = 15,
    WATCHDOG_TURNS = 8, /* within the patience */
    WATCHDOG_PROBES = 4 /* as above */
};

/* A number of the environment, 0: none. */
static int64_t watchdog_number(const char *name)
{
    const char *text = getenv(name);
    int64_t number = 0;

    if (!text || strlen(text) > WATCHDOG_USEC_DIGITS)
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return 0;
        number = number * 10 + (*text - '0');
    }
    return number;
}

void watchdog_start(struct watchdog *w, const struct clock *clock, struct store *store,
                    struct listen *listen, int listen_fd)
{
    int64_t pid = watchdog_number("WATCHDOG_PID");

    *w = (struct watchdog){.clock = clock,
                           .store = store,
                           .listen = listen,
                           .listen_fd = listen_fd,
                           .probe_fd = -1,
                           .answered_ms = clock_mono_ms(clock)};
    if (pid == 0 || pid == getpid())
        w->patience_ms = watchdog_number("WATCHDOG_USEC") / 1000 / 2;
}

int64_t watchdog_wait_ms(const struct watchdog *w, int64_t most_ms)
{
    int64_t own_ms = w->patience_ms / WATCHDOG_TURNS + 1;

    return w->patience_ms > 0 && own_ms < most_ms ? own_ms : most_ms;
}

/* A new request to the address on which the listener listens; a full backlog leaves none. */
static void watchdog_ask(struct watchdog *w)
{
    static const char request[] = "GET /v1/live HTTP/1.1\r\nHost: esignd\r\n"
                                  "Connection: close\r\n\r\n";
    struct sockaddr_un address;
    socklen_t len = sizeof(address);
    CLEANUP(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || getsockname(w->listen_fd, (struct sockaddr *)&address, &len) != 0 ||
        connect(fd, (const struct sockaddr *)&address, len) != 0)
        return;
    w->probe_requests = listen_count(w->listen).requests;
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(request) - 1)
        w->probe_fd = TAKE_FD(fd);
}

/* Whether what came shows that the listener works. */
static bool watchdog_shows_life(const struct watchdog *w, const char *reply)
{
    if (strncmp(reply, "HTTP/1.1 200", 12) == 0)
        return true;
    return strncmp(reply, "HTTP/1.1 503", 12) == 0 &&
           listen_count(w->listen).requests > w->probe_requests;
}

static void watchdog_close(struct watchdog *w)
{
    close_p(&w->probe_fd);
    w->probe_fd = -1;
}

static void watchdog_listener(struct watchdog *w, int64_t now_ms)
{
    char reply[16] = {0};

    if (w->probe_fd < 0) {
        if (now_ms >= w->probe_due_ms)
            watchdog_ask(w);
        return;
    }
    ssize_t len = recv(w->probe_fd, reply, sizeof(reply) - 1, MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    watchdog_close(w);
    if (len <= 0 || !watchdog_shows_life(w, reply))
        return;
    w->answered_ms = now_ms;
    w->probe_due_ms = now_ms + w->patience_ms / WATCHDOG_PROBES;
}

/* The part that hangs; NULL: none. */
static const char *watchdog_stuck_part(const struct watchdog *w, int64_t now_ms)
{
    int64_t busy_since_ms = store_busy_since(w->store);

    if (store_state_now(w->store) == STORE_BROKEN)
        return "store"; /* only a new start tells what is on the disk */
    if (busy_since_ms > 0 && now_ms - busy_since_ms > w->patience_ms)
        return "store";
    return now_ms - w->answered_ms > w->patience_ms ? "listener" : NULL;
}

void watchdog_turn(struct watchdog *w)
{
    int64_t now_ms = clock_mono_ms(w->clock);

    if (w->patience_ms == 0)
        return;
    watchdog_listener(w, now_ms);
    const char *part = watchdog_stuck_part(w, now_ms);
    if (!part)
        worker_notify("WATCHDOG=1");
    else if (!w->stuck)
        log_error("a part makes no progress; the service manager is not told that we live part=%s "
                  "for_ms=%lld",
                  part, (long long)w->patience_ms);
    w->stuck = part != NULL;
}

void watchdog_stop(struct watchdog *w)
{
    watchdog_close(w);
}
