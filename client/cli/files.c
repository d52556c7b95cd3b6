#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

/* Read all of fd. */
static bool files_read(int fd, struct buf *ret)
{
    uint8_t piece[16384];

    for (;;) {
        ssize_t got = read(fd, piece, sizeof(piece));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        buf_put(ret, bytes_of(piece, (size_t)got));
        if (!buf_ok(ret))
            return true;
    }
}

enum cli_exit cli_read_file(const struct cli *cli, const char *path, struct buf *ret)
{
    bool is_stdin = strcmp(path, "-") == 0;
    CLEANUP(close_p) int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    struct fault f = {0};

    *ret = buf_new(CLI_FILE_MAX);
    if (fd < 0 || !files_read(fd, ret)) {
        (void)fault_set(&f, ESIGN_E_NOT_FOUND, "%.120s can't be read: %.60s", path,
                        strerror(errno));
        return cli_fault(cli, &f);
    }
    if (!buf_ok(ret)) {
        (void)fault_set(&f, ESIGN_E_TOO_LARGE, "%.120s has more than %d bytes", path, CLI_FILE_MAX);
        return cli_fault(cli, &f);
    }
    return CLI_DONE;
}

static bool files_write(int fd, struct bytes content)
{
    while (content.len > 0) {
        ssize_t put = write(fd, content.data, content.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        content.data += put;
        content.len -= (size_t)put;
    }
    return fsync(fd) == 0;
}

/* A new file in the directory of path.  ret: PATH_MAX bytes, its name.  -1: errno says why. */
static int files_beside(const char *path, char *ret)
{
    struct stat st;
    int len = snprintf(ret, PATH_MAX, "%s.XXXXXX", path);

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    if (len < 0 || len >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return mkostemp(ret, O_CLOEXEC);
}

int cli_check_file(const char *path)
{
    char temporary[PATH_MAX];

    if (strcmp(path, "-") == 0)
        return 0;
    CLEANUP(close_p) int fd = files_beside(path, temporary);
    if (fd < 0)
        return errno;
    return unlink(temporary) == 0 ? 0 : errno;
}

int cli_put_file(const char *path, struct bytes content, unsigned mode)
{
    char temporary[PATH_MAX];

    if (strcmp(path, "-") == 0) {
        (void)fwrite(content.data, 1, content.len, stdout); /* checked at the end of main() */
        return 0;
    }
    CLEANUP(close_p) int fd = files_beside(path, temporary);
    if (fd < 0)
        return errno;
    if (fchmod(fd, (mode_t)mode) == 0 && files_write(fd, content) && rename(temporary, path) == 0)
        return 0;
    int cause = errno;
    (void)unlink(temporary); /* the first failure is the one that is told */
    return cause;
}

enum cli_exit cli_write_file(const struct cli *cli, const char *path, struct bytes content,
                             unsigned mode)
{
    struct fault f = {0};
    int cause = cli_put_file(path, content, mode);

    if (cause == 0)
        return CLI_DONE;
    (void)fault_set(&f, ESIGN_E_INTERNAL, "%.120s can't be written: %.60s", path, strerror(cause));
    return cli_fault(cli, &f);
}
