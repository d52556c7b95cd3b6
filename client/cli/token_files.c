#include "cli/token_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/encode.h"

DEFINE_CLEANUP(struct secret *, secret_free)

enum { TOKEN_FILES_PIN_LEN = 32 };

static enum esign_rc token_files_fail(const char *what, const char *path, struct fault *f)
{
    int cause = errno;

    return fault_cause(f, ESIGN_E_POLICY, (unsigned long)cause, "%s %.120s: %.40s", what, path,
                       strerror(cause));
}

static enum esign_rc token_files_write(const char *path, struct bytes content, uid_t owner,
                                       struct fault *f)
{
    CLEANUP(close_p)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);

    if (fd < 0 || write(fd, content.data, content.len) != (ssize_t)content.len ||
        (owner != (uid_t)-1 && fchown(fd, owner, (gid_t)-1) != 0) || fsync(fd) != 0)
        return token_files_fail("can't write", path, f);
    return ESIGN_OK;
}

enum esign_rc token_files_new_pin(const char *path, struct fault *f)
{
    uint8_t random[TOKEN_FILES_PIN_LEN / 2];
    char text[TOKEN_FILES_PIN_LEN + 1];

    bytes_random(random, sizeof(random));
    encode_hex(bytes_of(random, sizeof(random)), text);
    if (unlink(path) != 0 && errno != ENOENT)
        return token_files_fail("can't replace", path, f);
    enum esign_rc rc = token_files_write(path, bytes_of(text, TOKEN_FILES_PIN_LEN), (uid_t)-1, f);
    secret_wipe(random, sizeof(random));
    secret_wipe(text, sizeof(text));
    return rc;
}

enum esign_rc token_files_copy_pin(const char *from, const char *to, uid_t owner, struct fault *f)
{
    CLEANUP(secret_free_p) struct secret *pin = NULL;
    enum esign_rc rc = secret_read_file(from, &pin, f);

    return rc == ESIGN_OK ? token_files_write(to, secret_bytes(pin), owner, f) : rc;
}

enum esign_rc token_files_directory(const char *path, uid_t owner, gid_t group, struct fault *f)
{
    char above[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return fault_set(f, ESIGN_E_POLICY, "%.120s is no directory for a token", path);
    (void)snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path); /* cut: mkdir fails */
    bool made = mkdir(above, 0755) == 0;
    if ((!made && errno != EEXIST) || (made && chmod(above, 0755) != 0)) /* whatever the umask */
        return token_files_fail("can't make", above, f);
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? ESIGN_OK : token_files_fail("can't make", path, f);
    /* just made by us, and the directory above belongs to root */
    if (lchown(path, owner, group) != 0)
        return token_files_fail("can't give away", path, f);
    return ESIGN_OK;
}

static enum esign_rc token_files_protect_one(int directory_fd, const char *name, struct fault *f)
{
    CLEANUP(close_p)
    int sub = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP(close_p)
    int fd = sub < 0 ? -1 : openat(sub, "token.object", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
        return ESIGN_OK;
    if (fchown(fd, 0, (gid_t)-1) != 0 || fchmod(fd, 0444) != 0)
        return token_files_fail("can't protect token.object in", name, f);
    return ESIGN_OK;
}

enum esign_rc token_files_protect(const char *directory, struct fault *f)
{
    CLEANUP(closedir_p) DIR *list = opendir(directory);
    enum esign_rc rc = ESIGN_OK;

    if (!list)
        return errno == ENOENT ? ESIGN_OK : token_files_fail("can't read", directory, f);
    for (const struct dirent *entry = readdir(list); rc == ESIGN_OK && entry; entry = readdir(list))
        if (entry->d_name[0] != '.')
            rc = token_files_protect_one(dirfd(list), entry->d_name, f);
    return rc;
}
