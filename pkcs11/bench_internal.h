/* Between the files of the bench (bench*.c). */
#pragma once

#include "pkcs11/bench.h"
#include "pkcs11/probe_internal.h"

enum {
    BENCH_SAMPLES = 16384, /* kept of one worker: the newest */
    BENCH_ROWS_MAX = PKCS11_BENCH_COUNTS_MAX * PROBE_ALGORITHMS_MAX,
    BENCH_SPARE_S = 30 /* of a worker, beyond the measurement */
};

/* What one worker measured, in memory that it shares with its parent. */
struct bench_share {
    uint64_t count, cpu_us, wall_us;
    uint32_t samples[BENCH_SAMPLES]; /* us of one signature */
};

/* What a bench works with. */
struct bench {
    const struct pkcs11_bench_options *options;
    struct probe_parent parent;
    uint8_t ids[PROBE_ALGORITHMS_MAX][TOKEN_KEY_ID_LEN]; /* of the keys, by algorithm */
    bool there[PROBE_ALGORITHMS_MAX];                    /* the token makes them */
    char absent[PROBE_ALGORITHMS_MAX][PROBE_DETAIL_MAX];
    struct bench_share *shares; /* PKCS11_BENCH_WORKERS_MAX */
};

/* What a worker is started with. */
struct bench_job {
    const struct bench *bench;
    struct bench_share *share;
};

/* The algorithms that can be measured, then 0; whether the one at that place is. */
extern const enum token_algorithm bench_algorithms[];
bool bench_wants(const struct bench *bench, size_t at);

/* Children (bench_child.c): make a key of each algorithm and say which; sign when told to. */
void bench_child_make(struct probe *p, const void *arg); /* arg: struct bench */
void bench_child_work(struct probe *p, const void *arg); /* arg: struct bench_job */
