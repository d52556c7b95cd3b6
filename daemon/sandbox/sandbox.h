/* Taking rights away from this process, for ever.  Each call is made once at start, before anything
 * foreign is read, and only ever narrows. */
#pragma once

#include "base/fault.h"

#include <stddef.h>
#include <stdint.h>

/* No new privileges by exec, no core dump, not readable by other processes of the same user.
 * ESIGN_E_INTERNAL (cause errno).  Source: prctl(2) PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE. */
enum esign_rc sandbox_harden(struct fault *f) MUST_CHECK;

struct sandbox_limits {
    uint64_t memory_bytes; /* of address space, beyond which memory is out; 0: as it is */
    uint64_t cpu_s;        /* of processor time, beyond which the process is killed; 0: as it is */
};

/* Limits for this process and its children.  ESIGN_E_INTERNAL (cause errno). */
enum esign_rc sandbox_limit(const struct sandbox_limits *limits, struct fault *f) MUST_CHECK;

enum sandbox_right {
    SANDBOX_READ = 1,   /* files are read, directories are listed */
    SANDBOX_WRITE = 2,  /* files are written, made, truncated and removed */
    SANDBOX_LISTEN = 4, /* sockets are made and removed */
};

/* One row of the files that may be reached: all that is beneath a directory, or one file.  Of a
 * file that is replaced the rule goes with the old one: where that is to be seen, name its
 * directory. */
struct sandbox_path {
    const char *path;
    unsigned may; /* sum of enum sandbox_right */
};

/* From now on this thread and those that it makes reach no file but these; open descriptors and
 * the connection to sockets stay.  No program can be run.  A path that doesn't exist is passed
 * over.  A kernel without Landlock is told in the log, and the files are as they were.  The process
 * must have one thread.  ESIGN_E_INTERNAL (cause errno): the caller must not go on.
 * Source: landlock(7). */
enum esign_rc sandbox_landlock(const struct sandbox_path *paths, size_t count,
                               struct fault *f) MUST_CHECK;

/* From now on only what esignd needs: threads, files, sockets of this machine.  No program and no
 * process is started, no other kind of socket is made, no process is traced, signalled or looked
 * into, nothing is mounted, loaded into the kernel or put on a key ring, no memory becomes
 * executable: every such call kills the process (SIGSYS).  Which files, sandbox_landlock() says.
 * What loads code lazily must have done so before.
 * ESIGN_E_INTERNAL: the filter can't be loaded; the caller must then not go on.
 * Source: seccomp(2). */
enum esign_rc sandbox_confine_daemon(struct fault *f) MUST_CHECK;

/* From now on only what a parser needs that answers on connections: memory, clock, random bytes,
 * reading and writing open descriptors, accepting from the socket it already has.  No file is
 * opened, no socket is made or connected, no program or process is started, no memory becomes
 * executable: every other system call kills the process (SIGSYS).  What opens files lazily (time
 * zone, OpenSSL's configuration) must have done so before; sandbox_harden() too.
 * ESIGN_E_INTERNAL: the filter can't be loaded; the caller must then not go on.
 * Source: seccomp(2). */
enum esign_rc sandbox_confine_parser(struct fault *f) MUST_CHECK;

/* As sandbox_confine_parser(), for a worker that keeps secrets in locked memory. */
enum esign_rc sandbox_confine_hash(struct fault *f) MUST_CHECK;

/* From now on only what a supervisor needs, and its workers until they confine themselves: to fork,
 * watch, signal and kill processes, to listen and notify on Unix sockets, to read files and write
 * none.  No program is started, no memory becomes executable.  Anything else kills the process.
 * ESIGN_E_INTERNAL: the filter can't be loaded; the caller must then not go on. */
enum esign_rc sandbox_confine_supervisor(struct fault *f) MUST_CHECK;

/* For a program that loads a vendor's module, which does as it likes: files, network, threads and
 * processes stay.  No program is run, no process is looked into, nothing is mounted, loaded into
 * the kernel or put on a key ring, no namespace is made: such calls fail with EPERM.  Workers have
 * the filter of their supervisor, hence it can't be narrower there.
 * ESIGN_E_INTERNAL: the filter can't be loaded; the caller must then not go on. */
enum esign_rc sandbox_confine_module(struct fault *f) MUST_CHECK;
