/* LD_PRELOAD: logs what esignd does to the files of its store, and what it tells its callers.
 *
 *   ESIGN_POWER_LOG      the log, an existing file; opened before main() and any sandbox
 *   ESIGN_POWER_FOLDER   the folder of the store
 *   ESIGN_POWER_REPLACE  "OLD>NEW": replaces OLD in what is given to sqlite3_exec(), such as a
 *                        PRAGMA
 *
 * A program of another name only passes through.  Record: struct record, then `len` bytes.
 *
 * The order of the log is one in which a power cut may see the events: a change of a file is logged
 * as it begins, a sync when it begins and again when it has ended, what is sent before it is.  The
 * state is global because the functions that are replaced have nowhere to keep it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum record_kind {
    RECORD_OPEN = 'o',     /* fd, flags; bytes: path */
    RECORD_CLOSE = 'c',    /* fd */
    RECORD_WRITE = 'w',    /* fd, offset; bytes */
    RECORD_TRUNCATE = 't', /* fd, offset: new length */
    RECORD_ALLOCATE = 'a', /* fd, offset: length at least */
    RECORD_SYNC = 'b',     /* fd, offset: number of the sync */
    RECORD_SYNCED = 'e',   /* the same, when it has returned */
    RECORD_UNLINK = 'u',   /* bytes: path */
    RECORD_RENAME = 'r',   /* bytes: path, NUL, path */
    RECORD_ACCEPT = 'n',   /* fd: a caller's new connection */
    RECORD_SEND = 's',     /* fd; bytes to a caller */
    RECORD_TOKEN = 'k',    /* fd; bytes to a token's service */
    RECORD_HASH = 'h',     /* fd: something was sent to the service that hashes passwords */
    RECORD_TROUBLE = 'x',  /* bytes: a call that failed, so that the log is not what happened */
};

enum { FLAG_CREATED = 1, FLAG_TRUNCATED = 2 };

struct record {
    uint8_t kind, flags;
    uint16_t zero;
    int32_t fd;
    int64_t offset;
    uint64_t len;
};

enum what { WHAT_OTHER, WHAT_STORE, WHAT_CALLER, WHAT_TOKEN, WHAT_HASH };

enum { FDS_MAX = 4096, LOG_FD_MIN = 1000 };

static int log_fd = -1;
static const char *folder;
static const char *replace; /* or NULL */
static int64_t syncs;
static unsigned char kinds[FDS_MAX]; /* enum what of each descriptor */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* The function behind ours. */
#define REAL(name)                                                                                 \
    ({                                                                                             \
        static __typeof__(&(name)) real_;                                                          \
        if (!real_)                                                                                \
            real_ = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name);                                  \
        real_;                                                                                     \
    })

static void give_up(const char *why)
{
    (void)REAL(write)(STDERR_FILENO, why, strlen(why));
    abort();
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("ESIGN_POWER_LOG");
    folder = getenv("ESIGN_POWER_FOLDER");
    if (!path || !folder || strcmp(program_invocation_short_name, "esignd") != 0)
        return;
    replace = getenv("ESIGN_POWER_REPLACE");
    if (replace && !strchr(replace, '>'))
        give_up("power_log: ESIGN_POWER_REPLACE is not OLD>NEW\n");
    int fd = REAL(open)(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd >= 0)
        log_fd = fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD_MIN);
    if (log_fd < 0)
        give_up("power_log: the log can't be opened\n");
    (void)REAL(close)(fd);
}

static enum what what_is(int fd)
{
    return log_fd >= 0 && fd >= 0 && fd < FDS_MAX ? kinds[fd] : WHAT_OTHER;
}

static void set_what(int fd, enum what what)
{
    if (fd >= FDS_MAX)
        give_up("power_log: too many descriptors\n");
    kinds[fd] = (unsigned char)what;
}

static void write_out(const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t done = REAL(write)(log_fd, at, len);
        if (done < 0)
            give_up("power_log: the log can't be written\n");
        at += done;
        len -= (size_t)done;
    }
}

static void lock(void)
{
    (void)pthread_mutex_lock(&mutex); /* can't fail: not recursive */
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&mutex);
}

/* Under the mutex. */
static void put(enum record_kind kind, unsigned flags, int fd, int64_t offset, const void *data,
                size_t len)
{
    int error = errno;
    const struct record r = {(uint8_t)kind, (uint8_t)flags, 0, fd, offset, len};
    write_out(&r, sizeof r);
    write_out(data, len);
    errno = error;
}

static void put_trouble(const char *call)
{
    char text[200];
    int len = snprintf(text, sizeof text, "%s: %s", call, strerror(errno));
    put(RECORD_TROUBLE, 0, -1, 0, text, (size_t)len);
}

/* ---- names */

static bool is_ours(const char *path)
{
    size_t len = log_fd >= 0 ? strlen(folder) : 0;
    return len > 0 && strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static int open_logged(const char *path, int flags, mode_t mode)
{
    lock();
    bool there = access(path, F_OK) == 0;
    int fd = REAL(open)(path, flags, mode);
    if (fd >= 0) {
        unsigned did = there ? 0 : FLAG_CREATED;
        if (there && flags & O_TRUNC)
            did |= FLAG_TRUNCATED;
        set_what(fd, WHAT_STORE);
        put(RECORD_OPEN, did, fd, 0, path, strlen(path));
    }
    unlock();
    return fd;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return is_ours(path) ? open_logged(path, flags, mode) : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return is_ours(path) ? open_logged(path, flags, mode) : REAL(open64)(path, flags, mode);
}

int close(int fd)
{
    if (what_is(fd) != WHAT_OTHER) {
        lock();
        put(RECORD_CLOSE, 0, fd, 0, NULL, 0);
        set_what(fd, WHAT_OTHER);
        unlock();
    }
    return REAL(close)(fd);
}

int unlink(const char *path)
{
    if (!is_ours(path))
        return REAL(unlink)(path);
    lock();
    int done = REAL(unlink)(path);
    if (done == 0)
        put(RECORD_UNLINK, 0, -1, 0, path, strlen(path));
    unlock();
    return done;
}

int rename(const char *from, const char *to)
{
    char both[2 * PATH_MAX];
    if (!is_ours(from) && !is_ours(to))
        return REAL(rename)(from, to);
    lock();
    int done = REAL(rename)(from, to);
    int len = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
    if (done == 0)
        put(RECORD_RENAME, 0, -1, 0, both, (size_t)len);
    unlock();
    return done;
}

/* ---- content */

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    if (what_is(fd) != WHAT_STORE)
        return REAL(pwrite64)(fd, data, len, offset);
    lock();
    put(RECORD_WRITE, 0, fd, offset, data, len);
    ssize_t done = REAL(pwrite64)(fd, data, len, offset);
    if (done != (ssize_t)len)
        put_trouble("pwrite");
    unlock();
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return pwrite64(fd, data, len, offset);
}

static off_t place_of_write(int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && flags & O_APPEND)
        return fstat(fd, &st) == 0 ? st.st_size : -1;
    return lseek(fd, 0, SEEK_CUR);
}

static ssize_t write_logged(int fd, const void *data, size_t len)
{
    lock();
    put(RECORD_WRITE, 0, fd, place_of_write(fd), data, len);
    ssize_t done = REAL(write)(fd, data, len);
    if (done != (ssize_t)len)
        put_trouble("write");
    unlock();
    return done;
}

int ftruncate64(int fd, off64_t len)
{
    if (what_is(fd) != WHAT_STORE)
        return REAL(ftruncate64)(fd, len);
    lock();
    put(RECORD_TRUNCATE, 0, fd, len, NULL, 0);
    int done = REAL(ftruncate64)(fd, len);
    if (done != 0)
        put_trouble("ftruncate");
    unlock();
    return done;
}

int ftruncate(int fd, off_t len)
{
    return ftruncate64(fd, len);
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
    if (what_is(fd) != WHAT_STORE)
        return REAL(posix_fallocate)(fd, offset, len);
    lock();
    put(RECORD_ALLOCATE, 0, fd, offset + len, NULL, 0);
    int error = REAL(posix_fallocate)(fd, offset, len);
    if (error != 0)
        put_trouble("posix_fallocate");
    unlock();
    return error;
}

static int sync_logged(int fd, int (*sync)(int))
{
    if (what_is(fd) != WHAT_STORE)
        return sync(fd);
    lock();
    int64_t number = ++syncs;
    put(RECORD_SYNC, 0, fd, number, NULL, 0);
    unlock();
    int done = sync(fd);
    lock();
    if (done == 0)
        put(RECORD_SYNCED, 0, fd, number, NULL, 0);
    else
        put_trouble("fsync");
    unlock();
    return done;
}

int fsync(int fd)
{
    return sync_logged(fd, REAL(fsync));
}

int fdatasync(int fd)
{
    return sync_logged(fd, REAL(fdatasync));
}

int sqlite3_exec(void *db, const char *sql, int (*row)(void *, int, char **, char **), void *ctx,
                 char **ret_error);

int sqlite3_exec(void *db, const char *sql, int (*row)(void *, int, char **, char **), void *ctx,
                 char **ret_error)
{
    char old[100], text[2000];
    size_t len = replace ? strcspn(replace, ">") : 0;
    (void)snprintf(old, sizeof old, "%.*s", (int)len, replace ? replace : "");
    const char *at = len > 0 && sql ? strstr(sql, old) : NULL;
    if (!at)
        return REAL(sqlite3_exec)(db, sql, row, ctx, ret_error);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sql), sql, replace + len + 1,
                   at + len);
    return REAL(sqlite3_exec)(db, text, row, ctx, ret_error);
}

/* ---- sockets */

static int accepted(int fd)
{
    if (log_fd < 0 || fd < 0)
        return fd;
    lock();
    set_what(fd, WHAT_CALLER);
    put(RECORD_ACCEPT, 0, fd, 0, NULL, 0);
    unlock();
    return fd;
}

int accept(int fd, struct sockaddr *address, socklen_t *len)
{
    return accepted(REAL(accept)(fd, address, len));
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return accepted(REAL(accept4)(fd, address, len, flags));
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    const struct sockaddr_un *un = (const void *)address;
    if (log_fd >= 0 && address->sa_family == AF_UNIX && strstr(un->sun_path, "/token-"))
        set_what(fd, WHAT_TOKEN);
    if (log_fd >= 0 && address->sa_family == AF_UNIX && strstr(un->sun_path, "/hash."))
        set_what(fd, WHAT_HASH);
    return REAL(connect)(fd, address, len);
}

/* Passwords on their way to the hash are not logged. */
static void send_logged(int fd, const struct iovec *parts, size_t count)
{
    enum what what = what_is(fd);
    if (what == WHAT_OTHER || what == WHAT_STORE)
        return;
    lock();
    if (what == WHAT_HASH)
        put(RECORD_HASH, 0, fd, 0, NULL, 0);
    for (size_t i = 0; what != WHAT_HASH && i < count; i++)
        put(what == WHAT_CALLER ? RECORD_SEND : RECORD_TOKEN, 0, fd, 0, parts[i].iov_base,
            parts[i].iov_len);
    unlock();
}

ssize_t write(int fd, const void *data, size_t len)
{
    if (what_is(fd) == WHAT_STORE)
        return write_logged(fd, data, len);
    const struct iovec part = {(void *)(uintptr_t)data, len};
    send_logged(fd, &part, 1);
    return REAL(write)(fd, data, len);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    const struct iovec part = {(void *)(uintptr_t)data, len};
    send_logged(fd, &part, 1);
    return REAL(send)(fd, data, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    send_logged(fd, message->msg_iov, message->msg_iovlen);
    return REAL(sendmsg)(fd, message, flags);
}
