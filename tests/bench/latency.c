#include "latency.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct latency *latency_new(size_t n)
{
    void *room = mmap(NULL, n * sizeof(struct latency), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return room;
}

static int64_t clock_us(clockid_t id)
{
    struct timespec t;

    (void)clock_gettime(id, &t); /* the clocks asked for exist on every Linux */
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t latency_now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t latency_process_cpu_us(void)
{
    return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t latency_thread_cpu_us(void)
{
    return clock_us(CLOCK_THREAD_CPUTIME_ID);
}

void latency_note(struct latency *l, int64_t began_us)
{
    if (l->count < LATENCY_MAX)
        l->us[l->count] = (uint32_t)(latency_now_us() - began_us);
    l->count++;
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

static size_t kept(const struct latency *l)
{
    return l->count < LATENCY_MAX ? (size_t)l->count : LATENCY_MAX;
}

struct latency_sum latency_sum(const struct latency *l, size_t n)
{
    struct latency_sum sum = {0};
    size_t total = 0, at = 0;

    for (size_t i = 0; i < n; i++) {
        total += kept(&l[i]);
        sum.count += l[i].count;
        sum.failed += l[i].failed;
        sum.cpu_us += l[i].cpu_us;
    }
    uint32_t *all = calloc(total + 1, sizeof(*all));
    if (!all || total == 0) {
        free(all);
        return sum;
    }
    for (size_t i = 0; i < n; at += kept(&l[i]), i++)
        memcpy(all + at, l[i].us, kept(&l[i]) * sizeof(*all));
    qsort(all, total, sizeof(*all), compare);
    sum.p50_us = all[total / 2];
    sum.p99_us = all[total - 1 - total / 100];
    sum.max_us = all[total - 1];
    free(all);
    return sum;
}

void latency_print(const struct latency_sum *sum, double seconds)
{
    printf("{\"count\": %" PRIu64 ", \"failed\": %" PRIu64
           ", \"seconds\": %.6f, \"per_second\": %.2f, \"p50_us\": %u, \"p99_us\": %u, "
           "\"max_us\": %u, \"cpu_seconds\": %.6f}\n",
           sum->count, sum->failed, seconds, (double)sum->count / seconds, sum->p50_us, sum->p99_us,
           sum->max_us, (double)sum->cpu_us / 1e6);
}
