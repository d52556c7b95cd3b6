/* Signing through the socket, by clients that cost next to nothing themselves.
 *
 * load SOCKET CLIENTS SECONDS [COUNT]   (bodies on standard input, one a client, one a line)
 *
 * Each client is a thread with one kept-alive connection that posts its body to /v1/signatures
 * again and again; the digits ######## in it become a new number each time, so that no record is
 * signed twice.  COUNT: each client ends after so many, whatever the time; SIGTERM ends all, as if
 * the time were over.  Prints one line of
 * JSON; `failed` are the replies that were not 201, the first of which is shown on standard error.
 * A program for tests: it ends at the first broken connection with exit code 2. */
#include "latency.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS_MAX = 256, REQUEST_MAX = 128 * 1024, REPLY_MAX = 256 * 1024, NUMBER_LEN = 8 };

struct client {
    int fd;
    int64_t until_us;
    uint64_t count_max; /* 0: no end but the time */
    char *request;
    size_t request_len;
    char *number; /* in request */
    char *reply;
    struct latency *latency;
    pthread_t thread;
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    _exit(2);
}

static int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(at.sun_path))
        die("the socket's path is too long");
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
        die("no connection");
    return fd;
}

static void send_request(const struct client *c)
{
    for (size_t sent = 0; sent < c->request_len;) {
        ssize_t len = send(c->fd, c->request + sent, c->request_len - sent, MSG_NOSIGNAL);
        if (len <= 0)
            die("the connection broke in a request");
        sent += (size_t)len;
    }
}

/* Length of head and body, or 0 while the head is not complete. */
static size_t reply_len(char *reply, size_t have)
{
    static const char length[] = "Content-Length:";

    reply[have] = 0;
    char *end = strstr(reply, "\r\n\r\n");
    if (!end)
        return 0;
    char *line = strcasestr(reply, length);
    if (!line || line > end)
        die("a reply without Content-Length");
    return (size_t)(end + 4 - reply) + strtoul(line + sizeof(length) - 1, NULL, 10);
}

/* Whether the reply is 201. */
static bool read_reply(const struct client *c)
{
    size_t have = 0, want = 0;

    while (want == 0 || have < want) {
        ssize_t len = recv(c->fd, c->reply + have, REPLY_MAX - 1 - have, 0);
        if (len <= 0)
            die("the connection broke in a reply");
        have += (size_t)len;
        if (want == 0)
            want = reply_len(c->reply, have);
    }
    return strncmp(c->reply, "HTTP/1.1 201 ", 13) == 0;
}

static void note_failure(struct client *c)
{
    if (c->latency->failed == 0)
        fprintf(stderr, "load: %s\n", c->reply);
    c->latency->failed++;
}

static void *run_client(void *arg)
{
    struct client *c = arg;
    char digits[NUMBER_LEN + 1];
    int64_t began = latency_now_us();

    for (uint64_t i = 0; !stopped && began < c->until_us && (!c->count_max || i < c->count_max);
         i++) {
        (void)snprintf(digits, sizeof(digits), "%08" PRIu64, i % 100000000); /* fits */
        memcpy(c->number, digits, NUMBER_LEN);
        send_request(c);
        if (read_reply(c))
            latency_note(c->latency, began);
        else
            note_failure(c);
        began = latency_now_us();
    }
    c->latency->cpu_us = latency_thread_cpu_us();
    return NULL;
}

/* Read one line of standard input and make a request of it. */
static void make_request(struct client *c)
{
    char *body = NULL;
    size_t room = 0;

    ssize_t len = getline(&body, &room, stdin);
    if (len <= 1 || len > REQUEST_MAX)
        die("a body a client is wanted on standard input");
    body[len - 1] = 0; /* the line's end */
    int made = asprintf(&c->request,
                        "POST /v1/signatures HTTP/1.1\r\nHost: localhost\r\n"
                        "Content-Type: application/json\r\nContent-Length: %zd\r\n\r\n%s",
                        len - 1, body);
    free(body);
    if (made < 0)
        die("no memory");
    c->request_len = (size_t)made;
    c->number = strstr(c->request, "########");
    c->reply = malloc(REPLY_MAX);
    if (!c->number || !c->reply)
        die("no ######## in a body");
}

int main(int argc, char **argv)
{
    static struct client clients[CLIENTS_MAX];

    if (argc != 4 && argc != 5)
        die("usage: load SOCKET CLIENTS SECONDS [COUNT]");
    unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    double seconds = strtod(argv[3], NULL);
    if (count == 0 || count > CLIENTS_MAX || !(seconds > 0))
        die("clients or seconds");
    const struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
    (void)sigaction(SIGTERM, &action, NULL); /* fails only for wrong arguments */
    struct latency *latency = latency_new(count);
    for (unsigned i = 0; i < count; i++) {
        clients[i] = (struct client){.fd = connect_to(argv[1]),
                                     .latency = &latency[i],
                                     .count_max = argc == 5 ? strtoul(argv[4], NULL, 10) : 0};
        make_request(&clients[i]);
    }
    int64_t began = latency_now_us();
    for (unsigned i = 0; i < count; i++) {
        clients[i].until_us = began + (int64_t)(seconds * 1e6);
        if (pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) != 0)
            die("no thread");
    }
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(clients[i].thread, NULL); /* exists, joined once */
    double took = (double)(latency_now_us() - began) / 1e6;
    struct latency_sum sum = latency_sum(latency, count);
    latency_print(&sum, took);
    return 0;
}
