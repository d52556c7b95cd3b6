#include "cli/backup_files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/encode.h"

enum { FILES_CHUNK = 1 << 16, FILES_LEVELS = 8 };

enum esign_rc backup_failed(const char *what, const char *path, struct fault *f)
{
    int cause = errno;

    return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)cause, "%s %.100s: %.40s", what, path,
                       strerror(cause));
}

enum esign_rc backup_path(char *ret, struct fault *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int len = vsnprintf(ret, PATH_MAX, fmt, ap);
    va_end(ap);
    if (len < 0 || len >= PATH_MAX)
        return fault_set(f, ESIGN_E_POLICY, "a path is too long");
    return ESIGN_OK;
}

bool backup_put(int fd, struct bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.data, bytes.len);
        if (put < 0 && errno != EINTR)
            return false;
        if (put > 0)
            bytes = bytes_of(bytes.data + put, bytes.len - (size_t)put);
    }
    return true;
}

/* Read from fd at most limit bytes into the hash and, unless it is -1, into to. */
static enum esign_rc files_stream(int fd, int to, off_t limit, const char *from_name,
                                  const char *to_name, char ret_sha256[BACKUP_HASH_LEN + 1],
                                  int64_t *ret_bytes, struct fault *f)
{
    CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t chunk[FILES_CHUNK], hash[SHA256_LEN];
    int64_t bytes = 0;
    ssize_t got;

    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a hash");
    while ((got = read(fd, chunk, sizeof(chunk))) > 0) {
        if (limit >= 0 && got > limit - bytes)
            got = (ssize_t)(limit - bytes);
        if (got == 0)
            break;
        bytes += got;
        if (EVP_DigestUpdate(ctx, chunk, (size_t)got) != 1)
            return fault_set(f, ESIGN_E_INTERNAL, "%.120s can't be hashed", from_name);
        if (to >= 0 && !backup_put(to, bytes_of(chunk, (size_t)got)))
            return backup_failed("can't write", to_name, f);
    }
    if (got < 0)
        return backup_failed("can't read", from_name, f);
    if (EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        return fault_set(f, ESIGN_E_INTERNAL, "%.120s can't be hashed", from_name);
    encode_hex(bytes_of(hash, sizeof(hash)), ret_sha256);
    *ret_bytes = bytes;
    return ESIGN_OK;
}

/* A regular file below the directory at (AT_FDCWD: anywhere). */
static enum esign_rc files_open(int at, const char *path, struct stat *ret_st, int *ret,
                                struct fault *f)
{
    CLEANUP(close_p) int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, ret_st) != 0)
        return backup_failed("can't read", path, f);
    if (!S_ISREG(ret_st->st_mode))
        return fault_set(f, ESIGN_E_FORMAT, "%.120s is not a regular file", path);
    *ret = TAKE_FD(fd);
    return ESIGN_OK;
}

static enum esign_rc files_copy(int in, const char *from, const char *to, off_t limit,
                                const struct backup_owner *owner, char *ret_sha256, struct fault *f)
{
    char hash[BACKUP_HASH_LEN + 1];
    int64_t bytes = 0;
    CLEANUP(close_p)
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (out < 0)
        return backup_failed("can't make", to, f);
    enum esign_rc rc =
        files_stream(in, out, limit, from, to, ret_sha256 ? ret_sha256 : hash, &bytes, f);
    if (rc != ESIGN_OK)
        return rc;
    if (fchown(out, owner->uid, owner->gid) != 0 || fchmod(out, owner->mode) != 0 ||
        fsync(out) != 0)
        return backup_failed("can't finish", to, f);
    return ESIGN_OK;
}

enum esign_rc backup_copy_file(const char *from, const char *to, off_t limit,
                               const struct backup_owner *owner, char *ret_sha256, struct fault *f)
{
    CLEANUP(close_p) int in = -1;
    struct stat st;
    enum esign_rc rc = files_open(AT_FDCWD, from, &st, &in, f);

    return rc == ESIGN_OK ? files_copy(in, from, to, limit, owner, ret_sha256, f) : rc;
}

static bool files_is_name(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* One entry of a directory of that owner, who may be a service's user: a link that would have root
 * read what is not that user's is refused. */
static enum esign_rc files_copy_entry(int at, uid_t uid, const char *name, const char *to,
                                      const struct backup_owner *owner, struct fault *f)
{
    CLEANUP(close_p) int in = -1;
    char target[PATH_MAX];
    struct stat st;
    enum esign_rc rc = files_open(at, name, &st, &in, f);

    if (rc == ESIGN_OK && (st.st_nlink != 1 || (st.st_uid != uid && st.st_uid != 0)))
        rc = fault_set(f, ESIGN_E_FORMAT, "%.100s belongs to somebody else or is a link", name);
    if (rc == ESIGN_OK)
        rc = backup_path(target, f, "%s/%s", to, name);
    return rc == ESIGN_OK ? files_copy(in, name, target, -1, owner, NULL, f) : rc;
}

enum esign_rc backup_copy_directory(const char *from, const char *to,
                                    const struct backup_owner *owner, struct fault *f)
{
    int fd = open(from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP(closedir_p) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct stat st;

    if (!dir || fstat(dirfd(dir), &st) != 0)
        return backup_failed("can't read", from, f);
    enum esign_rc rc = backup_make_directory(to, f);
    for (const struct dirent *entry; rc == ESIGN_OK && (entry = readdir(dir));)
        if (files_is_name(entry))
            rc = files_copy_entry(dirfd(dir), st.st_uid, entry->d_name, to, owner, f);
    if (rc == ESIGN_OK && chown(to, owner->uid, owner->gid) != 0)
        rc = backup_failed("can't give away", to, f);
    return rc == ESIGN_OK ? backup_sync_directory(to, f) : rc;
}

enum esign_rc backup_hash_file(const char *path, char ret_sha256[BACKUP_HASH_LEN + 1],
                               int64_t *ret_bytes, struct fault *f)
{
    CLEANUP(close_p) int fd = -1;
    struct stat st;
    enum esign_rc rc = files_open(AT_FDCWD, path, &st, &fd, f);

    return rc == ESIGN_OK ? files_stream(fd, -1, -1, path, "", ret_sha256, ret_bytes, f) : rc;
}

static int files_no_dots(const struct dirent *entry)
{
    return files_is_name(entry);
}

static void files_free_names(struct dirent **names, int count)
{
    for (int i = 0; i < count; i++)
        free(names[i]);
    free((void *)names);
}

enum esign_rc backup_list_directory(const char *path, struct buf *out, struct fault *f)
{
    struct dirent **names = NULL;
    int count = scandir(path, &names, files_no_dots, alphasort);
    enum esign_rc rc = count < 0 ? backup_failed("can't read", path, f) : ESIGN_OK;

    for (int i = 0; i < count; i++) {
        char file[PATH_MAX];
        struct stat st = {0};
        if (snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name) < PATH_MAX)
            (void)lstat(file, &st); /* gone meanwhile: zeros, which differ from the next list */
        buf_put_fmt(out, "%s %lld %lld.%09ld %llu\n", names[i]->d_name, (long long)st.st_size,
                    (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                    (unsigned long long)st.st_ino);
    }
    files_free_names(names, count);
    if (rc == ESIGN_OK && !buf_ok(out))
        rc = fault_set(f, ESIGN_E_TOO_LARGE, "%.120s has too many files", path);
    return rc;
}

enum esign_rc backup_make_directory(const char *path, struct fault *f)
{
    if (mkdir(path, 0700) != 0)
        return backup_failed("can't make", path, f);
    return ESIGN_OK;
}

enum esign_rc backup_sync_directory(const char *path, struct fault *f)
{
    CLEANUP(close_p) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0)
        return backup_failed("can't finish", path, f);
    return ESIGN_OK;
}

enum esign_rc backup_rename(const char *from, const char *to, struct fault *f)
{
    char above[2][PATH_MAX];

    if (rename(from, to) != 0)
        return backup_failed("can't rename to", to, f);
    (void)snprintf(above[0], PATH_MAX, "%s", from); /* it was a path */
    (void)snprintf(above[1], PATH_MAX, "%s", to);
    enum esign_rc rc = backup_sync_directory(dirname(above[1]), f);
    return rc == ESIGN_OK ? backup_sync_directory(dirname(above[0]), f) : rc;
}

/* Remove a name in a directory.  Not by its whole path: what is on the way may belong to a
 * service's user, who could put a link there meanwhile. */
static void files_remove(int at, const char *name, int levels)
{
    const struct dirent *entry;

    if (unlinkat(at, name, 0) == 0 || levels == 0)
        return;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP(closedir_p) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    while (dir && (entry = readdir(dir)))
        if (files_is_name(entry))
            files_remove(dirfd(dir), entry->d_name, levels - 1);
    (void)unlinkat(at, name, AT_REMOVEDIR); /* what stays is in nobody's way */
}

void backup_remove(const char *path)
{
    char above[PATH_MAX], name[PATH_MAX];

    (void)snprintf(above, sizeof(above), "%s", path); /* it was a path */
    (void)snprintf(name, sizeof(name), "%s", path);
    CLEANUP(close_p) int at = open(dirname(above), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at >= 0)
        files_remove(at, basename(name), FILES_LEVELS);
}
