#include "cli/backup_check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cli/backup_files.h"
#include "cli/backup_manifest.h"
#include "cli/programs.h"

enum { CHECK_LINE_MAX = 4096 };

static void check_remove(char (*path)[PATH_MAX])
{
    if ((*path)[0])
        backup_remove(*path);
}

/* Whose rights the program gets: it reads files that others may have made. */
static const struct passwd *check_user(void)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam("esignd") : NULL;

    return user || geteuid() != 0 ? user : getpwnam("nobody");
}

static enum esign_rc check_copy(const char *directory, const struct passwd *user,
                                char ret[PATH_MAX], struct fault *f)
{
    const struct backup_owner owner = {user ? user->pw_uid : geteuid(),
                                       user ? user->pw_gid : getegid(), 0600};
    const char *temporary = getenv("TMPDIR");
    char from[PATH_MAX], to[PATH_MAX];
    enum esign_rc rc =
        backup_path(to, f, "%s/esign-check.XXXXXX", temporary ? temporary : "/var/tmp");

    if (rc == ESIGN_OK && !mkdtemp(to))
        rc = backup_failed("can't make", to, f);
    if (rc != ESIGN_OK)
        return rc;
    (void)snprintf(ret, PATH_MAX, "%s", to); /* of the same size */
    static const char *const names[] = {"store.db", "anchor"};
    for (size_t i = 0; rc == ESIGN_OK && i < 2; i++) {
        rc = backup_path(from, f, "%s/%s", directory, names[i]);
        if (rc == ESIGN_OK)
            rc = backup_path(to, f, "%s/%s", ret, names[i]);
        if (rc == ESIGN_OK && (i == 0 || access(from, F_OK) == 0))
            rc = backup_copy_file(from, to, -1, &owner, NULL, f);
    }
    if (rc == ESIGN_OK && chown(ret, owner.uid, owner.gid) != 0)
        rc = backup_failed("can't give away", ret, f);
    return rc;
}

/* In the child: returns only if it fails. */
static void check_exec(const char *program, const char *directory, const struct passwd *user,
                       int out_fd)
{
    const char *const argv[] = {program, "--check", directory, NULL};
    char *const environment[] = {NULL};

    if (!programs_settle_in(out_fd))
        return;
    if (user && (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        return;
    (void)execve(program, (char *const *)(uintptr_t)argv,
                 environment); /* it does not change them */
}

static enum esign_rc check_run(const char *program, const char *directory,
                               const struct passwd *user, struct buf *ret, struct fault *f)
{
    char piece[CHECK_LINE_MAX];
    int ends[2], status = 0;
    ssize_t got;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return backup_failed("no pipe for", program, f);
    CLEANUP(close_p) int from = ends[0];
    CLEANUP(close_p) int to = ends[1];
    pid_t pid = fork();
    if (pid == 0) {
        check_exec(program, directory, user, to);
        _exit(127);
    }
    if (pid < 0)
        return backup_failed("can't start", program, f);
    (void)close(TAKE_FD(to)); /* so that the end is seen */
    while ((got = read(from, piece, sizeof(piece))) > 0 || (got < 0 && errno == EINTR))
        if (got > 0)
            buf_put(ret, bytes_of(piece, (size_t)got));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return backup_failed("can't wait for", program, f);
    if (ret->len == 0)
        return fault_set(f, ESIGN_E_FORMAT, "%.100s --check can't use the store of the backup",
                         program);
    return ESIGN_OK;
}

/* What the program found against what the manifest tells. */
static enum esign_rc check_compare(struct bytes line, const json_t *manifest, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *found = NULL;
    enum esign_rc rc = json_parse_object(line, &found, f);

    if (rc != ESIGN_OK)
        return rc;
    const char *result = json_str(found, "result"), *root = json_str(found, "root");
    const char *told = json_str(manifest, "backup.head.root");
    if (!result || strcmp(result, "ok") != 0)
        return fault_set(f, ESIGN_E_FORMAT,
                         "the trail of the backup does not hold at entry %lld: %.90s",
                         (long long)json_int(found, "bad_seq", -1),
                         json_str(found, "detail") ? json_str(found, "detail") : "");
    if (!root || !told || strcmp(root, told) != 0 ||
        json_int(found, "size", -1) != json_int(manifest, "backup.head.size", 0) ||
        json_int(found, "mark", 0) != json_int(manifest, "backup.mark", -1))
        return fault_set(f, ESIGN_E_FORMAT,
                         "the store of the backup is not the one that the manifest tells of");
    return ESIGN_OK;
}

enum cli_exit backup_check(const struct cli *cli, const char *directory, json_t **ret)
{
    CLEANUP(check_remove) char copy[PATH_MAX] = "";
    CLEANUP(buf_done) struct buf line = buf_new(CHECK_LINE_MAX);
    CLEANUP(json_decref_p) json_t *manifest = NULL;
    const struct passwd *user = check_user();
    char program[PATH_MAX];
    struct fault f = {0};

    if (!programs_path("esignd", program, sizeof(program)))
        return cli_usage("esignd is not found beside esign");
    enum esign_rc rc = backup_manifest_check(directory, "site", &manifest, &f);
    if (rc == ESIGN_OK)
        rc = check_copy(directory, user, copy, &f);
    if (rc == ESIGN_OK)
        rc = check_run(program, copy, user, &line, &f);
    if (rc == ESIGN_OK)
        rc = check_compare(buf_bytes(&line), manifest, &f);
    if (rc != ESIGN_OK)
        return cli_fault(cli, &f);
    *ret = TAKE(manifest);
    return CLI_DONE;
}
