/* esign restore, token restore. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/backup_check.h"
#include "cli/backup_files.h"
#include "cli/backup_manifest.h"
#include "cli/backup_token.h"
#include "cli/commands.h"

enum { RESTORE_LINE_MAX = 16384 };

/* A site that is being put back. */
struct restore {
    struct backup_site site;
    const char *from;
    json_t *manifest;
    int lock_fd; /* of the store: esignd does not start meanwhile */
    char store[PATH_MAX],
        anchor[PATH_MAX];    /* prepared; anchor empty: the one that is there stays */
    char replaced[PATH_MAX]; /* where the old store goes; empty: there is none */
    struct backup_stage tokens[BACKUP_TOKENS_MAX];
    unsigned token_count, switched;
};

static void restore_done(struct restore *r)
{
    if (r->store[0])
        (void)unlink(r->store); /* these two are gone if they were used */
    if (r->anchor[0])
        (void)unlink(r->anchor);
    for (unsigned i = 0; i < r->token_count; i++)
        backup_stage_done(&r->tokens[i]);
    json_decref(r->manifest);
    close_p(&r->lock_fd);
}

/* The lock that esignd has while it runs. */
static enum esign_rc restore_lock(struct restore *r, struct fault *f)
{
    char path[PATH_MAX];
    uid_t uid = 0;
    gid_t gid = 0;
    enum esign_rc rc = backup_path(path, f, "%s.lock", r->site.store);

    if (rc == ESIGN_OK)
        rc = backup_site_owner(&r->site, r->site.daemon_user, &uid, &gid, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(close_p) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fchown(fd, uid, gid) != 0)
        return backup_failed("can't use", path, f);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return fault_set(f, ESIGN_E_CONFLICT, "esignd is running on %.100s: stop it first",
                         r->site.store);
    r->lock_fd = TAKE_FD(fd);
    return ESIGN_OK;
}

/* The size that an anchor line tells: the second line of its note; 0: none. */
static int64_t restore_line_size(struct bytes line)
{
    CLEANUP(json_decref_p) json_t *value = NULL;
    char number[24];
    uint64_t size = 0;

    if (json_parse_object(line, &value, NULL) != ESIGN_OK)
        return 0;
    const char *note = json_str(value, "note"), *second = note ? strchr(note, '\n') : NULL;
    if (!second)
        return 0;
    int len = (int)strcspn(second + 1, "\n");
    (void)snprintf(number, sizeof(number), "%.*s", len, second + 1); /* cut: no number */
    return options_number(number, INT64_MAX, &size) ? (int64_t)size : 0;
}

/* The newest checkpoint of the anchor file that stands there; 0: there is no file. */
static enum esign_rc restore_anchored(const char *path, int64_t *ret, struct fault *f)
{
    CLEANUP(fclose_p) FILE *file = fopen(path, "re");
    CLEANUP(free_p) char *line = NULL;
    size_t room = 0;
    ssize_t len;

    *ret = 0;
    if (!file)
        return errno == ENOENT ? ESIGN_OK : backup_failed("can't read", path, f);
    while ((len = getline(&line, &room, file)) > 0) {
        int64_t size = restore_line_size(bytes_of(line, (size_t)len - 1));
        if (size > *ret)
            *ret = size;
    }
    return ferror(file) ? backup_failed("can't read", path, f) : ESIGN_OK;
}

/* Source: requirements 1.6 A6. */
static enum esign_rc restore_check_age(const struct cli *cli, const struct restore *r,
                                       struct fault *f)
{
    int64_t has = json_int(r->manifest, "backup.head.size", 0), anchored = 0;
    enum esign_rc rc = restore_anchored(r->site.anchor, &anchored, f);

    if (rc != ESIGN_OK || anchored <= has || options_has(cli->options, OPTION_ACCEPT_LOSS))
        return rc;
    return fault_reason(
        f, ESIGN_E_CONFLICT, "older",
        "the anchor tells of %lld entries, the backup has %lld: %lld would be lost; "
        "give --accept-loss if there is no newer one",
        (long long)anchored, (long long)has, (long long)(anchored - has));
}

/* Copy a file of the backup, and see that it still is the one that was checked. */
static enum esign_rc restore_copy(const struct restore *r, const char *name, const char *to,
                                  const struct backup_owner *owner, struct fault *f)
{
    char from[PATH_MAX], sha256[BACKUP_HASH_LEN + 1];
    const char *told =
        json_str(json_object_get(json_object_get(r->manifest, "files"), name), "sha256");
    enum esign_rc rc = backup_path(from, f, "%s/%s", r->from, name);

    if (rc == ESIGN_OK)
        rc = backup_copy_file(from, to, -1, owner, sha256, f);
    if (rc == ESIGN_OK && (!told || strcmp(told, sha256) != 0))
        rc = fault_field(f, ESIGN_E_FORMAT, "files", "%.100s was changed after it was checked",
                         from);
    return rc;
}

/* Store and anchor, beside their places. */
static enum esign_rc restore_prepare_store(struct restore *r, struct fault *f)
{
    struct backup_owner owner = {.mode = 0600};
    enum esign_rc rc = backup_site_owner(&r->site, r->site.daemon_user, &owner.uid, &owner.gid, f);

    if (rc == ESIGN_OK)
        rc = backup_path(r->store, f, "%s.restoring", r->site.store);
    if (rc == ESIGN_OK)
        backup_remove(r->store); /* of a restore that was killed */
    if (rc == ESIGN_OK)
        rc = restore_copy(r, "store.db", r->store, &owner, f);
    if (rc == ESIGN_OK && access(r->site.store, F_OK) == 0)
        rc = backup_path(r->replaced, f, "%s.replaced-%lld-%d", r->site.store,
                         (long long)time(NULL), (int)getpid());
    if (rc != ESIGN_OK || access(r->site.anchor, F_OK) == 0)
        return rc;
    rc = backup_path(r->anchor, f, "%s.restoring", r->site.anchor);
    if (rc == ESIGN_OK)
        backup_remove(r->anchor); /* as above */
    return rc == ESIGN_OK ? restore_copy(r, "anchor", r->anchor, &owner, f) : rc;
}

static enum cli_exit restore_prepare_tokens(struct cli *cli, struct restore *r)
{
    const json_t *tokens = json_object_get(r->manifest, "tokens");
    char from[PATH_MAX];
    struct fault f = {0};

    for (size_t i = 0; i < json_array_size(tokens) && i < BACKUP_TOKENS_MAX; i++) {
        const json_t *entry = json_array_get(tokens, i);
        const char *name = json_str(entry, "name");
        const struct backup_token *token = backup_site_token(&r->site, name ? name : "");
        if (!token)
            return CLI_USAGE;
        if (backup_path(from, &f, "%s/tokens/%s", r->from, name) != ESIGN_OK)
            return cli_fault(cli, &f);
        enum cli_exit rc =
            backup_token_stage(cli, &r->site, token, from, entry, &r->tokens[r->token_count++]);
        if (rc != CLI_DONE)
            return rc;
    }
    return CLI_DONE;
}

/* The old store's files to names of their own: without its log a store is not whole. */
static enum esign_rc restore_put_aside(const struct restore *r, bool back, struct fault *f)
{
    static const char *const kinds[] = {"-wal", "-shm", ""};
    char from[PATH_MAX], to[PATH_MAX];
    enum esign_rc rc = ESIGN_OK;

    for (size_t i = 0; rc == ESIGN_OK && i < 3; i++) {
        rc = backup_path(from, f, "%s%s", back ? r->replaced : r->site.store, kinds[i]);
        if (rc == ESIGN_OK)
            rc = backup_path(to, f, "%s%s", back ? r->site.store : r->replaced, kinds[i]);
        if (rc == ESIGN_OK && access(from, F_OK) == 0)
            rc = backup_rename(from, to, f);
    }
    return rc;
}

static enum esign_rc restore_switch_store(struct restore *r, struct fault *f)
{
    struct fault ignored;
    enum esign_rc rc = r->replaced[0] ? restore_put_aside(r, false, f) : ESIGN_OK;

    if (rc == ESIGN_OK && r->anchor[0])
        rc = backup_rename(r->anchor, r->site.anchor, f);
    if (rc == ESIGN_OK)
        rc = backup_rename(r->store, r->site.store, f);
    if (rc != ESIGN_OK && r->replaced[0] && restore_put_aside(r, true, &ignored) != ESIGN_OK)
        (void)fprintf(stderr, "esign: %s must be renamed to %s by hand\n", r->replaced,
                      r->site.store);
    return rc;
}

/* Only renames: all that can go wrong with the contents has been tried. */
static enum cli_exit restore_switch(const struct cli *cli, struct restore *r)
{
    struct fault f = {0};
    enum esign_rc rc = ESIGN_OK;

    while (rc == ESIGN_OK && r->switched < r->token_count) {
        rc = backup_token_switch(&r->tokens[r->switched], &f);
        r->switched += rc == ESIGN_OK;
    }
    if (rc == ESIGN_OK)
        rc = restore_switch_store(r, &f);
    if (rc == ESIGN_OK)
        return CLI_DONE;
    while (r->switched > 0)
        backup_token_switch_back(&r->tokens[--r->switched]);
    return cli_fault(cli, &f);
}

static void restore_tell(const struct restore *r)
{
    (void)printf("store and %u tokens are put back, with %lld entries of %s\n", r->token_count,
                 (long long)json_int(r->manifest, "backup.head.size", 0),
                 json_str(r->manifest, "made"));
    if (r->replaced[0])
        (void)printf("the old store is kept: %s\n", r->replaced);
    for (unsigned i = 0; i < r->token_count; i++)
        if (r->tokens[i].replaced[0])
            (void)printf("an old token is kept: %s\n", r->tokens[i].replaced);
    (void)puts(
        "\nStart the services. esignd signs nothing before two officers accept what is lost, "
        "at a terminal:"
        "\n  esign restore accept --as OFFICER --reason TEXT\n  esign approvals approve "
        "APPROVAL --as ANOTHER");
}

enum cli_exit command_restore(struct cli *cli)
{
    CLEANUP(restore_done)
    struct restore r = {.from = cli_option(cli, OPTION_FROM), .lock_fd = -1};
    struct fault f = {0};
    enum cli_exit rc = backup_site_read(cli, &r.site);

    if (rc == CLI_DONE && restore_lock(&r, &f) != ESIGN_OK)
        rc = cli_fault(cli, &f);
    if (rc == CLI_DONE)
        rc = backup_check(cli, r.from, &r.manifest);
    if (rc == CLI_DONE && restore_check_age(cli, &r, &f) != ESIGN_OK)
        rc = cli_fault(cli, &f);
    if (rc == CLI_DONE && restore_prepare_store(&r, &f) != ESIGN_OK)
        rc = cli_fault(cli, &f);
    if (rc == CLI_DONE)
        rc = restore_prepare_tokens(cli, &r);
    if (rc == CLI_DONE)
        rc = restore_switch(cli, &r);
    if (rc == CLI_DONE)
        restore_tell(&r);
    return rc;
}

/* What the manifest tells of the token, and where its files are in the backup. */
static const json_t *restore_find_token(const json_t *manifest, const char *from, const char *name,
                                        char ret[PATH_MAX], struct fault *f)
{
    const json_t *tokens = json_object_get(manifest, "tokens");
    bool site = strcmp(json_str(manifest, "kind"), "site") == 0;

    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *entry = json_array_get(tokens, i);
        const char *is = json_str(entry, "name");
        if (!is || strcmp(is, name) != 0)
            continue;
        enum esign_rc rc = site ? backup_path(ret, f, "%s/tokens/%s", from, name)
                                : backup_path(ret, f, "%s/token", from);
        return rc == ESIGN_OK ? entry : NULL;
    }
    (void)fault_set(f, ESIGN_E_NOT_FOUND, "%.100s has no token %.40s", from, name);
    return NULL;
}

enum cli_exit command_token_restore(struct cli *cli)
{
    CLEANUP(json_decref_p) json_t *manifest = NULL;
    CLEANUP(backup_stage_done) struct backup_stage stage = {.held_fd = -1};
    const char *from = cli_option(cli, OPTION_FROM);
    struct backup_site site;
    char files[PATH_MAX];
    struct fault f = {0};
    enum cli_exit rc = backup_site_read(cli, &site);

    if (rc != CLI_DONE)
        return rc;
    const struct backup_token *token = backup_site_token(&site, cli->operands[0]);
    if (!token)
        return CLI_USAGE;
    const json_t *entry = NULL;
    if (backup_manifest_check(from, NULL, &manifest, &f) == ESIGN_OK)
        entry = restore_find_token(manifest, from, token->name, files, &f);
    if (!entry)
        return cli_fault(cli, &f);
    rc = backup_token_stage(cli, &site, token, files, entry, &stage);
    if (rc == CLI_DONE && backup_token_switch(&stage, &f) != ESIGN_OK)
        rc = cli_fault(cli, &f);
    if (rc != CLI_DONE)
        return rc;
    (void)printf("token %s is put back, %lld keys\n", token->name,
                 (long long)json_int(entry, "keys", 0));
    if (stage.replaced[0])
        (void)printf("the old token is kept: %s\n", stage.replaced);
    return CLI_DONE;
}
