#include "cli/backup_token.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/backup_files.h"
#include "cli/token_files.h"
#include "cli/tokens.h"

enum {
    TOKEN_COPIES_MAX = 50,
    TOKEN_LIST_MAX = 64 * 1024 * 1024,
    TOKEN_UUID_LEN = 36,
    TOKEN_REPLY_MAX = 256
};

struct token_found {
    char serial[20];
    int64_t keys;
};

/* A token's directory is called by a UUID, and its serial number is the UUID's last two groups. */
static bool token_is_of_serial(const char *name, const char *serial)
{
    return strlen(name) == TOKEN_UUID_LEN && strlen(serial) == 16 &&
           strncmp(name + 19, serial, 4) == 0 && strcmp(name + 24, serial + 4) == 0;
}

/* The name of the first token's directory below path that has that serial number (NULL: any).
 * Empty: there is none. */
static enum esign_rc token_find(const char *path, const char *serial, char ret[TOKEN_UUID_LEN + 1],
                                struct fault *f)
{
    CLEANUP(closedir_p) DIR *dir = opendir(path);

    ret[0] = '\0';
    if (!dir)
        return backup_failed("can't read", path, f);
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (strlen(entry->d_name) == TOKEN_UUID_LEN &&
            (!serial || token_is_of_serial(entry->d_name, serial)))
            (void)snprintf(ret, TOKEN_UUID_LEN + 1, "%.36s", entry->d_name); /* of this length */
    return ESIGN_OK;
}

static enum cli_exit token_refuse_module(const struct cli *cli, const struct backup_token *token)
{
    struct fault f = {0};

    (void)fault_set(&f, ESIGN_E_UNSUPPORTED,
                    "the token %.40s is not one of SoftHSM2 (%.50s, no SOFTHSM2_CONF): use the "
                    "backup of its vendor",
                    token->name, token->module);
    return cli_fault(cli, &f);
}

/* A new private directory beside the tokens' one, with a configuration that names tokens/ in it. */
static enum esign_rc token_stage_open(const struct backup_site *site,
                                      const struct backup_token *token, char *ret, struct fault *f)
{
    char above[PATH_MAX], path[PATH_MAX], conf[PATH_MAX];

    (void)snprintf(above, sizeof(above), "%s", token->directory); /* of the same size */
    enum esign_rc rc = backup_path(ret, f, "%s/.%s.XXXXXX", dirname(above), token->name);
    if (rc != ESIGN_OK)
        return rc;
    if (!mkdtemp(ret) || chmod(ret, 0711) != 0)
        return backup_failed("can't make", ret, f);
    rc = backup_path(path, f, "%s/tokens", ret);
    if (rc == ESIGN_OK)
        rc = backup_make_directory(path, f);
    /* it stays ours: only the token in it is its user's */
    if (rc == ESIGN_OK && chmod(path, 0755) != 0)
        rc = backup_failed("can't open", path, f);
    if (rc == ESIGN_OK)
        rc = backup_path(conf, f, "%s/softhsm2.conf", ret);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(fclose_p) FILE *file = fopen(conf, "wxe");
    if (!file ||
        fprintf(file, "directories.tokendir = %s\nobjectstore.backend = file\n", path) < 0 ||
        fflush(file) != 0 || fchmod(fileno(file), 0644) != 0)
        return backup_failed("can't write", conf, f);
    rc = backup_path(path, f, "%s/esignd.conf", ret);
    return rc == ESIGN_OK ? backup_site_write_config(site, token, conf, path, f) : rc;
}

/* The token's files, given to its user, as stage/tokens/UUID. */
static enum esign_rc token_stage_fill(const struct backup_site *site,
                                      const struct backup_token *token, const char *from,
                                      const char *uuid, struct backup_stage *stage, struct fault *f)
{
    struct backup_owner owner = {.mode = 0600};
    char tokens[PATH_MAX];
    enum esign_rc rc = backup_site_owner(site, token->user, &owner.uid, &owner.gid, f);

    if (rc == ESIGN_OK)
        rc = token_stage_open(site, token, stage->directory, f);
    if (rc == ESIGN_OK)
        rc = backup_path(tokens, f, "%s/tokens", stage->directory);
    if (rc == ESIGN_OK)
        rc = backup_path(stage->made, f, "%s/%s", tokens, uuid);
    if (rc == ESIGN_OK)
        rc = backup_copy_directory(from, stage->made, &owner, f);
    if (rc != ESIGN_OK)
        return rc;
    if (site->separated)
        return token_files_protect(tokens, f);
    char object[PATH_MAX];
    rc = backup_path(object, f, "%s/token.object", stage->made);
    if (rc == ESIGN_OK && chmod(object, 0444) != 0)
        rc = backup_failed("can't protect", object, f);
    return rc;
}

/* What `esign-token --inspect` prints: "softhsm SERIAL KEYS". */
static enum cli_exit token_parse(const struct cli *cli, const char *name, const char *text,
                                 struct token_found *ret)
{
    static const char first[] = "softhsm ";
    const char *serial = text + sizeof(first) - 1, *space = NULL;
    struct fault f = {0};
    uint64_t keys = 0;
    char number[24];

    if (strncmp(text, first, sizeof(first) - 1) != 0) {
        (void)fault_set(&f, ESIGN_E_UNSUPPORTED,
                        "the token %.40s is not one of SoftHSM2: its keys are no files; use the "
                        "backup of its vendor",
                        name);
        return cli_fault(cli, &f);
    }
    space = strchr(serial, ' ');
    size_t len = space ? (size_t)(space - serial) : 0;
    if (len == 0 || len >= sizeof(ret->serial))
        return cli_usage("esign-token says \"%s\"", text);
    (void)snprintf(ret->serial, sizeof(ret->serial), "%.*s", (int)len, serial); /* fits */
    (void)snprintf(number, sizeof(number), "%.*s", (int)strcspn(space + 1, "\n"), space + 1);
    if (!options_number(number, INT32_MAX, &keys))
        return cli_usage("esign-token says \"%s\"", text);
    ret->keys = (int64_t)keys;
    return CLI_DONE;
}

/* Log in to the token once, with the PIN of that name, and count.  config: where it is. */
static enum cli_exit token_inspect(struct cli *cli, const char *name, const char *config,
                                   struct token_found *ret)
{
    const char *const words[] = {"--inspect", "--config", config, NULL}; /* the last one counts */
    CLEANUP(buf_done) struct buf text = buf_new(TOKEN_REPLY_MAX);
    enum cli_exit rc = tokens_ask(cli, name, words, &text);

    if (rc != CLI_DONE) {
        (void)fprintf(stderr,
                      "  It needs the PIN of this very token, which is in no backup: %s.pin in the "
                      "directory of --credentials.\n",
                      name);
        return rc;
    }
    const char *line = buf_str(&text);
    return token_parse(cli, name, line ? line : "", ret);
}

/* Log in to the copy with the token's PIN. */
static enum cli_exit token_try(struct cli *cli, const struct backup_token *token,
                               const struct backup_stage *stage, struct token_found *ret)
{
    char config[PATH_MAX];
    struct fault f = {0};

    if (backup_path(config, &f, "%s/esignd.conf", stage->directory) != ESIGN_OK)
        return cli_fault(cli, &f);
    return token_inspect(cli, token->name, config, ret);
}

/* Copy until nothing has moved meanwhile. */
static enum esign_rc token_copy_still(const char *from, const char *to, struct fault *f)
{
    const struct backup_owner owner = {geteuid(), getegid(), 0600};

    for (int i = 0; i < TOKEN_COPIES_MAX; i++) {
        CLEANUP(buf_done) struct buf before = buf_new(TOKEN_LIST_MAX);
        CLEANUP(buf_done) struct buf after = buf_new(TOKEN_LIST_MAX);
        enum esign_rc rc = backup_list_directory(from, &before, f);
        if (rc == ESIGN_OK)
            rc = backup_copy_directory(from, to, &owner, f);
        bool gone = rc != ESIGN_OK && f->cause == ENOENT; /* a file that is replaced */
        if (rc == ESIGN_OK)
            rc = backup_list_directory(from, &after, f);
        if (rc == ESIGN_OK && bytes_equal(buf_bytes(&before), buf_bytes(&after)))
            return ESIGN_OK;
        if (rc != ESIGN_OK && !gone)
            return rc;
        backup_remove(to);
    }
    return fault_set(f, ESIGN_E_BUSY, "%.100s changes all the time; try again", from);
}

static enum cli_exit token_copy_to(struct cli *cli, const struct backup_site *site,
                                   const struct backup_token *token, const char *serial,
                                   const char *to, struct token_found *ret)
{
    CLEANUP(backup_stage_done) struct backup_stage stage = {.held_fd = -1};
    char uuid[TOKEN_UUID_LEN + 1], from[PATH_MAX], target[PATH_MAX];
    struct fault f = {0};
    enum esign_rc rc = token_find(token->directory, serial, uuid, &f);

    if (rc == ESIGN_OK && !uuid[0])
        rc = fault_set(&f, ESIGN_E_NOT_FOUND, "%.100s has no token of serial %s", token->directory,
                       serial);
    if (rc == ESIGN_OK)
        rc = backup_path(from, &f, "%s/%s", token->directory, uuid);
    if (rc == ESIGN_OK)
        rc = backup_make_directory(to, &f);
    if (rc == ESIGN_OK)
        rc = backup_path(target, &f, "%s/%s", to, uuid);
    if (rc == ESIGN_OK)
        rc = token_copy_still(from, target, &f);
    if (rc == ESIGN_OK)
        rc = backup_sync_directory(to, &f);
    if (rc == ESIGN_OK)
        rc = token_stage_fill(site, token, target, uuid, &stage, &f);
    return rc == ESIGN_OK ? token_try(cli, token, &stage, ret) : cli_fault(cli, &f);
}

enum cli_exit backup_token_copy(struct cli *cli, const struct backup_site *site,
                                const struct backup_token *token, const char *to, json_t **ret)
{
    struct token_found live, copy;
    struct fault f = {0};

    if (!token->directory[0])
        return token_refuse_module(cli, token);
    enum cli_exit rc = token_inspect(cli, token->name, site->config, &live);
    if (rc == CLI_DONE)
        rc = token_copy_to(cli, site, token, live.serial, to, &copy);
    if (rc != CLI_DONE)
        return rc;
    if (copy.keys < live.keys || strcmp(copy.serial, live.serial) != 0) {
        (void)fault_set(&f, ESIGN_E_FORMAT, "the copy of %.40s has %lld keys, the token %lld",
                        token->name, (long long)copy.keys, (long long)live.keys);
        return cli_fault(cli, &f);
    }
    *ret = json_pack("{s:s, s:s, s:I}", "name", token->name, "serial", copy.serial, "keys",
                     (json_int_t)copy.keys);
    if (*ret)
        return CLI_DONE;
    (void)fault_set(&f, ESIGN_E_INTERNAL, "no memory");
    return cli_fault(cli, &f);
}

/* A service that runs has a shared lock on the directory of its token. */
static enum esign_rc token_hold(const struct backup_token *token, int *ret_fd, struct fault *f)
{
    CLEANUP(close_p)
    int fd = open(token->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return backup_failed("can't read", token->directory, f);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return fault_set(f, ESIGN_E_CONFLICT,
                         "the service of the token %.40s is running: stop esign-token@%.40s first",
                         token->name, token->name);
    *ret_fd = TAKE_FD(fd);
    return ESIGN_OK;
}

/* Nothing stands there, or the same token. */
static enum esign_rc token_check_place(const struct backup_token *token, const char *uuid,
                                       struct backup_stage *stage, struct fault *f)
{
    char stands[TOKEN_UUID_LEN + 1], same[TOKEN_UUID_LEN + 1];
    enum esign_rc rc = token_find(token->directory, NULL, stands, f);

    if (rc != ESIGN_OK)
        return rc;
    (void)snprintf(same, sizeof(same), "%.36s", uuid); /* of this length */
    if (stands[0] && strcmp(stands, same) != 0)
        return fault_set(f, ESIGN_E_CONFLICT,
                         "another token stands in %.80s (serial %.4s%s); move it away first",
                         token->directory, stands + 19, stands + 24);
    rc = backup_path(stage->place, f, "%s/%s", token->directory, uuid);
    if (rc == ESIGN_OK && stands[0])
        rc = backup_path(stage->replaced, f, "%s.replaced-%lld-%d", token->directory,
                         (long long)time(NULL), (int)getpid());
    return rc;
}

static enum esign_rc token_prepare(const struct backup_site *site, const struct backup_token *token,
                                   const char *from, const json_t *entry,
                                   struct backup_stage *stage, struct fault *f)
{
    const char *serial = json_str(entry, "serial");
    char uuid[TOKEN_UUID_LEN + 1], source[PATH_MAX];
    enum esign_rc rc = token_hold(token, &stage->held_fd, f);

    if (rc == ESIGN_OK)
        rc = token_find(from, serial ? serial : "", uuid, f);
    if (rc == ESIGN_OK && !uuid[0])
        rc = fault_set(f, ESIGN_E_FORMAT, "%.120s has no token of its manifest", from);
    if (rc == ESIGN_OK)
        rc = token_check_place(token, uuid, stage, f);
    if (rc == ESIGN_OK)
        rc = backup_path(source, f, "%s/%s", from, uuid);
    return rc == ESIGN_OK ? token_stage_fill(site, token, source, uuid, stage, f) : rc;
}

enum cli_exit backup_token_stage(struct cli *cli, const struct backup_site *site,
                                 const struct backup_token *token, const char *from,
                                 const json_t *entry, struct backup_stage *ret)
{
    struct token_found found;
    struct fault f = {0};

    *ret = (struct backup_stage){.held_fd = -1};
    if (!token->directory[0])
        return token_refuse_module(cli, token);
    if (token_prepare(site, token, from, entry, ret, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    enum cli_exit rc = token_try(cli, token, ret, &found);
    if (rc != CLI_DONE || found.keys >= json_int(entry, "keys", 0))
        return rc;
    (void)fault_set(&f, ESIGN_E_FORMAT, "the backup of %.40s shows %lld keys of %lld", token->name,
                    (long long)found.keys, (long long)json_int(entry, "keys", 0));
    return cli_fault(cli, &f);
}

enum esign_rc backup_token_switch(struct backup_stage *stage, struct fault *f)
{
    enum esign_rc rc = ESIGN_OK;

    if (stage->replaced[0])
        rc = backup_rename(stage->place, stage->replaced, f);
    if (rc != ESIGN_OK) {
        stage->replaced[0] = '\0';
        return rc;
    }
    rc = backup_rename(stage->made, stage->place, f);
    if (rc != ESIGN_OK)
        backup_token_switch_back(stage);
    return rc;
}

void backup_token_switch_back(struct backup_stage *stage)
{
    struct fault f;

    (void)rename(stage->place, stage->made); /* not there if that was what failed */
    if (stage->replaced[0] && backup_rename(stage->replaced, stage->place, &f) != ESIGN_OK)
        (void)fprintf(stderr, "esign: %s must be renamed to %s by hand\n", stage->replaced,
                      stage->place);
    stage->replaced[0] = '\0';
}

void backup_stage_done(struct backup_stage *stage)
{
    if (stage->directory[0])
        backup_remove(stage->directory);
    close_p(&stage->held_fd);
}
