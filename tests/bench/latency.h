/* How long single calls took: noted by many, told by one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { LATENCY_MAX = 1 << 20 }; /* samples of one worker; later ones are counted, not kept */

/* Of one worker.  In memory that is shared where workers are processes. */
struct latency {
    uint64_t count, failed;
    int64_t cpu_us; /* of the worker, while it was measured */
    uint32_t us[LATENCY_MAX];
};

/* What all workers together did. */
struct latency_sum {
    uint64_t count, failed;
    int64_t cpu_us;
    uint32_t p50_us, p99_us, max_us;
};

/* Room for n workers, zeroed, shared with children; the program ends with 2 if there is none. */
struct latency *latency_new(size_t n);

/* Monotonic time in microseconds. */
int64_t latency_now_us(void);

/* CPU time of this process, or of this thread, in microseconds. */
int64_t latency_process_cpu_us(void);
int64_t latency_thread_cpu_us(void);

/* Note one call that ended now. */
void latency_note(struct latency *l, int64_t began_us);

/* The workers' calls as one. */
struct latency_sum latency_sum(const struct latency *l, size_t n);

/* One line of JSON on standard output: what was done in `seconds`, and the CPU time that it took.
 */
void latency_print(const struct latency_sum *sum, double seconds);
