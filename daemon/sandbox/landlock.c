/* The files that a process may reach. */
#include "sandbox/sandbox.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the oldest headers that this is built with. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

static const uint64_t of_files = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                                 LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |
                                 LANDLOCK_ACCESS_FS_IOCTL_DEV;
static const uint64_t to_read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t to_write = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |
                                 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;
static const uint64_t to_listen = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;

/* Every right that the kernel can take away: those of the first version, then one bit a version
 * that brought one for files. */
static uint64_t landlock_known(long version)
{
    uint64_t known = LANDLOCK_ACCESS_FS_REFER - 1;

    if (version >= 2)
        known |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        known |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (version >= 5)
        known |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    return known;
}

static uint64_t landlock_rights(const struct sandbox_path *path)
{
    return (path->may & SANDBOX_READ ? to_read : 0) | (path->may & SANDBOX_WRITE ? to_write : 0) |
           (path->may & SANDBOX_LISTEN ? to_listen : 0);
}

static bool landlock_add(int rules, const struct sandbox_path *path, uint64_t known)
{
    CLEANUP(close_p) int fd = open(path->path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return true; /* what can't be reached now is not reached later either */
    struct landlock_path_beneath_attr rule = {.allowed_access = landlock_rights(path) & known,
                                              .parent_fd = fd};
    if (!S_ISDIR(st.st_mode))
        rule.allowed_access &= of_files;
    return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

enum esign_rc sandbox_landlock(const struct sandbox_path *paths, size_t count, struct fault *f)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) {
        log_warn("this kernel has no Landlock: files are guarded by their owners and modes alone");
        return ESIGN_OK;
    }
    const struct landlock_ruleset_attr attr = {.handled_access_fs = landlock_known(version)};
    CLEANUP(close_p)
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    bool good = rules >= 0;
    for (size_t i = 0; good && i < count; i++)
        good = landlock_add(rules, &paths[i], attr.handled_access_fs);
    if (!good || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno,
                           "the rules for files can't be set");
    return ESIGN_OK;
}
