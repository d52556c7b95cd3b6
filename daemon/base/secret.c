#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdalign.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/cleanup.h"

enum { SECRET_STACK = 64 * 1024 }; /* bytes; a request of esignd uses some 24 KiB */

/* Lives in one sodium_malloc() allocation: guard pages, locked, not dumped. */
struct secret {
    size_t len, max;
    uint8_t data[];
};

enum esign_rc secret_start(struct fault *f)
{
    const struct rlimit none = {0, 0};

    if (sodium_init() < 0)
        return fault_set(f, ESIGN_E_INTERNAL, "the random generator can't be started");
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno,
                           "core dumps can't be refused");
#ifndef ESIGN_SANITIZE /* the leak checker must be able to trace its own process */
    if (prctl(PR_SET_DUMPABLE, 0) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno,
                           "core dumps can't be refused");
#endif
    void *probe = sodium_malloc(SECRET_MAX);
    if (!probe || sodium_mlock(probe, SECRET_MAX) != 0) {
        sodium_free(probe);
        return fault_cause(f, ESIGN_E_POLICY, (unsigned long)errno,
                           "memory can't be locked; raise the limit of locked memory (memlock)");
    }
    sodium_free(probe);
    return ESIGN_OK;
}

static struct secret *secret_make(size_t max)
{
    /* sodium_malloc() puts the end of the memory at the end of a page: a whole number of words */
    size_t size = sizeof(struct secret) + max;
    struct secret *s =
        sodium_malloc((size + alignof(size_t) - 1) / alignof(size_t) * alignof(size_t));
    if (!s || sodium_mlock(s, size) != 0) { /* the library goes on without a lock, we don't */
        sodium_free(s);
        return NULL;
    }
    s->len = 0;
    s->max = max;
    return s;
}

bool secret_fill(struct secret *s, struct bytes bytes)
{
    bool fits = bytes.len <= s->max;

    sodium_memzero(s->data, s->len);
    s->len = fits ? bytes.len : 0;
    if (s->len)
        memcpy(s->data, bytes.data, s->len);
    return fits;
}

struct secret *secret_new(struct bytes bytes)
{
    struct secret *s = bytes.len <= SECRET_MAX ? secret_make(bytes.len) : NULL;

    if (s)
        (void)secret_fill(s, bytes); /* made for it */
    return s;
}

struct secret *secret_new_room(void)
{
    return secret_make(SECRET_MAX);
}

void secret_free(struct secret *s)
{
    sodium_free(s); /* wipes */
}

struct bytes secret_bytes(const struct secret *s)
{
    return bytes_of(s->data, s->len);
}

bool secret_equal(const struct secret *s, struct bytes bytes)
{
    return s->len == bytes.len && sodium_memcmp(s->data, bytes.data, s->len) == 0;
}

void secret_wipe(void *data, size_t len)
{
    if (data)
        sodium_memzero(data, len);
}

void secret_wipe_stack(void)
{
    sodium_stackzero(SECRET_STACK);
}

enum esign_rc secret_read_fd(int fd, struct secret **ret, struct fault *f)
{
    uint8_t line[SECRET_MAX + 1];
    size_t len = 0;

    /* one byte at a time: what follows the newline belongs to the next reader */
    while (len < sizeof(line)) {
        ssize_t got = read(fd, line + len, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int cause = errno;
            secret_wipe(line, sizeof(line));
            return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)cause, "a secret can't be read");
        }
        if (got == 0 || line[len] == '\n')
            break;
        len++;
    }
    struct secret *s = len > SECRET_MAX ? NULL : secret_new(bytes_of(line, len));
    secret_wipe(line, sizeof(line));
    if (!s)
        return fault_set(f, ESIGN_E_TOO_LARGE, "a secret has at most %d bytes", SECRET_MAX);
    *ret = s;
    return ESIGN_OK;
}

enum esign_rc secret_read_file(const char *path, struct secret **ret, struct fault *f)
{
    CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return fault_cause(f, ESIGN_E_POLICY, (unsigned long)errno, "%s can't be read", path);
    if (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0) ||
        (st.st_mode & 0077) != 0)
        return fault_set(f, ESIGN_E_POLICY,
                         "%s must be a file of its reader or root with mode 0400", path);
    return secret_read_fd(fd, ret, f);
}
