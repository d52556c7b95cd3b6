/* A copy of SoftHSM's tokens without their keys: what is tried on it can't harm the service. */
#include "pkcs11/probe_internal.h"
#include "pkcs11/softhsm.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#define COPY_ABOVE  "/tmp"
#define COPY_PREFIX "esign-probe-"

enum { COPY_FILE_MAX = 65536, COPY_TOKENS_MAX = 64 };

static enum esign_rc copy_fail(const char *what, struct fault *f)
{
    return fault_cause(f, ESIGN_E_POLICY, (unsigned long)errno,
                       "the token can't be copied for the test: %.60s", what);
}

static enum esign_rc copy_file(int from_dir, int to_dir, const char *name, mode_t mode,
                               struct fault *f)
{
    CLEANUP(buf_done) struct buf text = buf_new(COPY_FILE_MAX);
    CLEANUP(close_p) int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (from < 0 || fstat(from, &st) != 0)
        return copy_fail(name, f);
    uint8_t *room = st.st_size > 0 ? buf_reserve(&text, (size_t)st.st_size) : NULL;
    if (!room || read(from, room, (size_t)st.st_size) != (ssize_t)st.st_size)
        return copy_fail(name, f);
    CLEANUP(close_p) int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0 || write(to, text.data, text.len) != (ssize_t)text.len || fchmod(to, mode) != 0)
        return copy_fail(name, f);
    return ESIGN_OK;
}

/* One token: its description, which a login must not be able to write either, and no key. */
static enum esign_rc copy_token(int above, const char *name, int to_above, struct fault *f)
{
    CLEANUP(close_p)
    int from = openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (from < 0 || faccessat(from, "token.object", F_OK, 0) != 0)
        return ESIGN_OK; /* no token */
    if (mkdirat(to_above, name, 0700) != 0)
        return copy_fail(name, f);
    CLEANUP(close_p)
    int to = openat(to_above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (to < 0)
        return copy_fail(name, f);
    enum esign_rc rc = copy_file(from, to, "token.object", 0400, f);
    if (rc == ESIGN_OK && faccessat(from, "generation", F_OK, 0) == 0)
        rc = copy_file(from, to, "generation", 0600, f);
    return rc;
}

static enum esign_rc copy_tokens(DIR *from, int to, struct fault *f)
{
    const struct dirent *entry;
    enum esign_rc rc = ESIGN_OK;
    int count = 0;

    while (rc == ESIGN_OK && count < COPY_TOKENS_MAX && (entry = readdir(from)))
        if (entry->d_name[0] != '.') {
            rc = copy_token(dirfd(from), entry->d_name, to, f);
            count++;
        }
    return rc;
}

static enum esign_rc copy_write_conf(const struct probe_copy *copy, char path[96], struct fault *f)
{
    char text[256];
    int len = snprintf(text, sizeof(text),
                       "directories.tokendir = %s/tokens\nobjectstore.backend = file\n"
                       "log.level = ERROR\n",
                       copy->path); /* fits */

    (void)snprintf(path, 96, "%s/softhsm2.conf", copy->path); /* fits */
    CLEANUP(close_p) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0 && write(fd, text, (size_t)len) == len ? ESIGN_OK : copy_fail(path, f);
}

/* The file that SoftHSM would read for this token, or NULL: it is no token of SoftHSM. */
static const char *copy_softhsm_conf(const struct config *config, size_t index)
{
    static const char name[] = "SOFTHSM2_CONF=";
    const char *line;

    for (size_t i = 0; (line = config_token_environment(config, index, i)); i++)
        if (strncmp(line, name, sizeof(name) - 1) == 0)
            return line + sizeof(name) - 1;
    return strstr(config_token_str(config, index, "module"), "/libsofthsm2.so")
               ? "/etc/softhsm/softhsm2.conf"
               : NULL;
}

/* The directory, its lock and the place for tokens.  ret_to: of that place. */
static enum esign_rc copy_begin(struct probe_copy *ret, int *ret_to, struct fault *f)
{
    char path[] = COPY_ABOVE "/" COPY_PREFIX "XXXXXX";

    if (!mkdtemp(path))
        return copy_fail(path, f);
    memcpy(ret->path, path, sizeof(path));
    ret->lock_fd = open(ret->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ret->lock_fd < 0 || flock(ret->lock_fd, LOCK_EX | LOCK_NB) != 0 ||
        mkdirat(ret->lock_fd, "tokens", 0700) != 0)
        return copy_fail(path, f);
    *ret_to = openat(ret->lock_fd, "tokens", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_to >= 0 ? ESIGN_OK : copy_fail(path, f);
}

enum esign_rc probe_copy_make(struct config *config, size_t index, struct probe_copy *ret,
                              bool *ret_made, struct fault *f)
{
    const char *conf = copy_softhsm_conf(config, index);
    CLEANUP(close_p) int to = -1;
    char path[96];

    *ret_made = false;
    if (!conf)
        return ESIGN_OK;
    if (setenv("SOFTHSM2_CONF", conf, 1) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the token's environment");
    CLEANUP(closedir_p) DIR *from = softhsm_open_directory(f);
    if (!from)
        return ESIGN_E_POLICY;
    enum esign_rc rc = copy_begin(ret, &to, f);
    if (rc == ESIGN_OK)
        rc = copy_tokens(from, to, f);
    if (rc == ESIGN_OK)
        rc = copy_write_conf(ret, path, f);
    if (rc == ESIGN_OK)
        rc = config_token_put_environment(config, index, "SOFTHSM2_CONF", path, f);
    *ret_made = rc == ESIGN_OK;
    return rc;
}

/* Remove what is below a directory, so many levels deep.  What stays is found by a later run. */
static void copy_empty(int fd, int levels)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(closedir_p) DIR *list = again < 0 ? NULL : fdopendir(again);
    const struct dirent *entry;

    while (list && (entry = readdir(list))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        CLEANUP(close_p)
        int below = levels == 0 ? -1
                                : openat(fd, entry->d_name,
                                         O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (below >= 0)
            copy_empty(below, levels - 1);
        (void)unlinkat(fd, entry->d_name, below >= 0 ? AT_REMOVEDIR : 0); /* as said above */
    }
}

void probe_copy_remove(struct probe_copy *copy)
{
    if (copy->lock_fd >= 0) {
        copy_empty(copy->lock_fd, 2);
        (void)rmdir(copy->path);    /* as above */
        (void)close(copy->lock_fd); /* gives the lock back */
    }
    *copy = (struct probe_copy){.lock_fd = -1};
}

enum esign_rc probe_copy_sweep(size_t *ret_count, struct fault *f)
{
    CLEANUP(closedir_p) DIR *above = opendir(COPY_ABOVE);
    const struct dirent *entry;

    *ret_count = 0;
    if (!above)
        return copy_fail(COPY_ABOVE, f);
    while ((entry = readdir(above))) {
        CLEANUP(probe_copy_remove) struct probe_copy old = {.lock_fd = -1};
        struct stat st;
        if (strncmp(entry->d_name, COPY_PREFIX, sizeof(COPY_PREFIX) - 1) != 0 ||
            strlen(entry->d_name) >= sizeof(old.path) - sizeof(COPY_ABOVE))
            continue;
        int fd =
            openat(dirfd(above), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        /* another's, or of a test that runs now */
        if (fd < 0 || fstat(fd, &st) != 0 || st.st_uid != geteuid() ||
            flock(fd, LOCK_EX | LOCK_NB) != 0) {
            if (fd >= 0)
                (void)close(fd); /* nothing was done with it */
            continue;
        }
        old.lock_fd = fd;
        (void)snprintf(old.path, sizeof(old.path), COPY_ABOVE "/%.40s", entry->d_name); /* short */
        (*ret_count)++;
    }
    return ESIGN_OK;
}
