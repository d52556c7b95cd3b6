/* Copying files so that they are on disk, and telling whether they are the same. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/fault.h"

enum { BACKUP_HASH_LEN = 2 * SHA256_LEN };

struct backup_owner {
    uid_t uid;
    gid_t gid;
    mode_t mode; /* of files */
};

/* Copy a regular file to a new one, at most limit bytes (-1: all), fsynced.  ret_sha256: its hash
 * in hex, BACKUP_HASH_LEN + 1 bytes, may be NULL.  ESIGN_E_INTERNAL (cause errno) with the path. */
enum esign_rc backup_copy_file(const char *from, const char *to, off_t limit,
                               const struct backup_owner *owner, char *ret_sha256,
                               struct fault *f) MUST_CHECK;

/* Copy the files of a directory, which has nothing else, to a new one of mode 0700.  What is a link
 * or belongs neither to its owner nor to root is refused: ESIGN_E_FORMAT. */
enum esign_rc backup_copy_directory(const char *from, const char *to,
                                    const struct backup_owner *owner, struct fault *f) MUST_CHECK;

/* Write all.  False: errno says why. */
bool backup_put(int fd, struct bytes bytes);

/* SHA-256 of a regular file in hex, and its length. */
enum esign_rc backup_hash_file(const char *path, char ret_sha256[BACKUP_HASH_LEN + 1],
                               int64_t *ret_bytes, struct fault *f) MUST_CHECK;

/* One line a file of a directory: name, length, time of change, inode.  Appended to out. */
enum esign_rc backup_list_directory(const char *path, struct buf *out, struct fault *f) MUST_CHECK;

/* Make a directory of mode 0700, or make its entries durable. */
enum esign_rc backup_make_directory(const char *path, struct fault *f) MUST_CHECK;
enum esign_rc backup_sync_directory(const char *path, struct fault *f) MUST_CHECK;

/* Rename and make it durable in both directories. */
enum esign_rc backup_rename(const char *from, const char *to, struct fault *f) MUST_CHECK;

/* Remove a file or directory with all that is in it, as far as possible. */
void backup_remove(const char *path);

/* Fill ret (PATH_MAX bytes) as by printf.  ESIGN_E_POLICY: it is too long. */
enum esign_rc backup_path(char *ret, struct fault *f, const char *fmt, ...)
    __attribute__((format(printf, 3, 4))) MUST_CHECK;

/* ESIGN_E_INTERNAL with errno: "what path: message". */
enum esign_rc backup_failed(const char *what, const char *path, struct fault *f);
