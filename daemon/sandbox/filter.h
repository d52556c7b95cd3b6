/* A filter of system calls, put together from tables; inner to this folder. */
#pragma once

#include "base/fault.h"

#include <seccomp.h>
#include <stddef.h>

/* One row: a system call that is allowed or refused, always or where one argument has this form.
 * A call that the kernel's architecture doesn't have is passed over. */
struct filter_row {
    int call;
    int refusal;              /* the errno that the caller gets; 0: the call is allowed */
    struct scmp_arg_cmp when; /* op 0: always */
};

struct filter_table {
    const struct filter_row *rows;
    size_t count;
};

#define FILTER_TABLE(rows) ((struct filter_table){(rows), sizeof(rows) / sizeof(*(rows))})

/* The form of an argument. */
#define FILTER_EQUAL(number, value)                                                                \
    {                                                                                              \
        .arg = (number), .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)(value)                       \
    }
#define FILTER_MASKED(number, mask, value)                                                         \
    {                                                                                              \
        .arg = (number), .op = SCMP_CMP_MASKED_EQ, .datum_a = (scmp_datum_t)(mask),                \
        .datum_b = (scmp_datum_t)(value)                                                           \
    }

/* What every confined process needs: memory that is never executable, reading and writing open
 * descriptors, time, waiting, random bytes, signals to itself, its end; in a sanitized build also
 * the sanitizers' own bookkeeping. */
extern const struct filter_table filter_common;

/* Threads, and never processes: clone() must ask for a thread, clone3(), whose arguments no filter
 * can see, does not exist, on which libc uses clone(). */
extern const struct filter_table filter_threads;

/* Sockets of this machine: made, connected and listened on; any other kind kills. */
extern const struct filter_table filter_sockets;

/* Locking memory for secrets. */
extern const struct filter_table filter_locking;

/* Load a filter for all threads of this process, for ever.  otherwise: SCMP_ACT_… for what is in no
 * table; tables: ended by one without rows.  ESIGN_E_INTERNAL: it is not loaded, the caller must
 * not go on.  Source: seccomp(2). */
enum esign_rc filter_load(uint32_t otherwise, const struct filter_table *tables,
                          struct fault *f) MUST_CHECK;
