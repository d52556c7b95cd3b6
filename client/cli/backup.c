/* esign backup, backup check, token backup. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/backup_check.h"
#include "cli/backup_files.h"
#include "cli/backup_manifest.h"
#include "cli/backup_token.h"
#include "cli/commands.h"
#include "cli/register.h"

enum { BACKUP_TIMEOUT_MS = 3600 * 1000 };

/* A backup while it is made: under another name until it is whole. */
struct backup_work {
    char directory[PATH_MAX]; /* empty: none, or it has its last name */
    json_t *tokens, *snapshot;
};

static void backup_work_done(struct backup_work *w)
{
    if (w->directory[0])
        backup_remove(w->directory);
    json_decref(w->tokens);
    json_decref(w->snapshot);
}

static enum cli_exit backup_begin(const struct cli *cli, const char *to, struct backup_work *w)
{
    struct fault f = {0};
    struct stat st;

    if (lstat(to, &st) == 0)
        (void)fault_set(&f, ESIGN_E_CONFLICT, "%.120s is there already", to);
    else if (backup_path(w->directory, &f, "%s.part-XXXXXX", to) == ESIGN_OK &&
             !mkdtemp(w->directory)) {
        (void)backup_failed("can't make", w->directory, &f);
        w->directory[0] = '\0';
    }
    return f.rc == ESIGN_OK ? CLI_DONE : cli_fault(cli, &f);
}

/* The manifest, then the name. */
static enum cli_exit backup_end(const struct cli *cli, const char *to, json_t *manifest,
                                struct backup_work *w)
{
    struct fault f = {0};
    enum esign_rc rc = backup_manifest_write(w->directory, manifest, &f);

    if (rc == ESIGN_OK)
        rc = backup_rename(w->directory, to, &f);
    if (rc != ESIGN_OK)
        return cli_fault(cli, &f);
    w->directory[0] = '\0';
    return CLI_DONE;
}

/* One file of the site to a name in the backup; limit as backup_copy_file. */
static enum esign_rc backup_add(const struct backup_work *w, const char *from, const char *name,
                                off_t limit, struct fault *f)
{
    const struct backup_owner owner = {geteuid(), getegid(), 0600};
    char to[PATH_MAX];
    enum esign_rc rc = backup_path(to, f, "%s/%s", w->directory, name);

    return rc == ESIGN_OK ? backup_copy_file(from, to, limit, &owner, NULL, f) : rc;
}

/* What the anchor file has before the store is copied: nothing in it is newer than the copy. */
static enum cli_exit backup_anchor(const struct cli *cli, const struct backup_site *site,
                                   const struct backup_work *w)
{
    struct fault f = {0};
    struct stat st;
    enum esign_rc rc = stat(site->anchor, &st) == 0
                           ? backup_add(w, site->anchor, "anchor", st.st_size, &f)
                           : backup_failed("can't read", site->anchor, &f);

    return rc == ESIGN_OK ? CLI_DONE : cli_fault(cli, &f);
}

static enum esign_rc backup_take_store(const struct backup_work *w, const char *file,
                                       const char *told, struct fault *f)
{
    const struct backup_owner owner = {geteuid(), getegid(), 0600};
    char to[PATH_MAX], sha256[BACKUP_HASH_LEN + 1];
    enum esign_rc rc = backup_path(to, f, "%s/store.db", w->directory);

    if (rc == ESIGN_OK)
        rc = backup_copy_file(file, to, -1, &owner, sha256, f);
    if (rc == ESIGN_OK && strcmp(sha256, told) != 0)
        rc = fault_set(f, ESIGN_E_FORMAT, "%.120s is not the copy that esignd made", file);
    return rc;
}

/* Whether a copy is where the site's copies are: we read and remove it as root, and the service
 * that names it is not to choose another's file. */
static enum esign_rc backup_check_place(const struct backup_site *site, const char *file,
                                        struct fault *f)
{
    size_t len = strlen(site->copies);

    while (len > 1 && site->copies[len - 1] == '/')
        len--;
    const char *name = strrchr(file, '/');
    if (name && (size_t)(name - file) == len && strncmp(file, site->copies, len) == 0)
        return ESIGN_OK;
    return fault_field(f, ESIGN_E_POLICY, "backup.directory",
                       "the service's copy is %.80s, not in %.80s; it is not touched", file,
                       site->copies);
}

/* esignd copies its store; the copy is moved here. */
static enum cli_exit backup_store(struct cli *cli, const struct backup_site *site,
                                  struct backup_work *w)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    size_t len = 0;
    struct fault f = {0};

    esign_set_timeout(cli->daemon, BACKUP_TIMEOUT_MS);
    enum cli_exit rc = register_post(cli, "/v1/backups", json_object(), &result);
    if (rc != CLI_DONE)
        return rc;
    const char *text = esign_result_text(result, &len);
    if (json_parse_object(bytes_of(text, len), &w->snapshot, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    const char *file = json_str(w->snapshot, "file"), *told = json_str(w->snapshot, "sha256");
    if (!file || !told)
        return cli_usage("the service's reply names no file");
    if (backup_check_place(site, file, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    enum esign_rc taken = backup_take_store(w, file, told, &f);
    if (unlink(file) != 0 && taken == ESIGN_OK)
        taken = backup_failed("can't remove", file, &f);
    (void)json_object_del(w->snapshot, "file"); /* it was there */
    return taken == ESIGN_OK ? CLI_DONE : cli_fault(cli, &f);
}

static enum cli_exit backup_tokens(struct cli *cli, const struct backup_site *site,
                                   struct backup_work *w)
{
    char to[PATH_MAX];
    struct fault f = {0};
    enum esign_rc made = backup_path(to, &f, "%s/tokens", w->directory);
    enum cli_exit rc = CLI_DONE;

    if (made == ESIGN_OK)
        made = backup_make_directory(to, &f);
    for (unsigned i = 0; made == ESIGN_OK && rc == CLI_DONE && i < site->token_count; i++) {
        const struct backup_token *token = &site->tokens[i];
        json_t *entry = NULL;
        if (!token->directory[0]) {
            (void)fprintf(stderr,
                          "token %s is not one of SoftHSM2 and not in the backup: use the backup "
                          "of its vendor\n",
                          token->name);
            continue;
        }
        made = backup_path(to, &f, "%s/tokens/%s", w->directory, token->name);
        if (made == ESIGN_OK)
            rc = backup_token_copy(cli, site, token, to, &entry);
        if (rc == CLI_DONE && entry)
            (void)json_array_append_new(w->tokens, entry); /* a missing one fails the restore */
    }
    return made == ESIGN_OK ? rc : cli_fault(cli, &f);
}

/* Configuration and policy, for who must make the site anew; no secrets. */
static enum cli_exit backup_configuration(const struct cli *cli, const struct backup_site *site,
                                          const struct backup_work *w)
{
    const struct backup_owner owner = {geteuid(), getegid(), 0600};
    char to[PATH_MAX], name[BACKUP_NAME_MAX + 32];
    struct fault f = {0};
    enum esign_rc rc = backup_path(to, &f, "%s/etc", w->directory);

    if (rc == ESIGN_OK)
        rc = backup_make_directory(to, &f);
    if (rc == ESIGN_OK)
        rc = backup_add(w, site->config, "etc/esignd.conf", -1, &f);
    for (unsigned i = 0; rc == ESIGN_OK && i < site->token_count; i++) {
        (void)snprintf(name, sizeof(name), "etc/softhsm-%s.conf", site->tokens[i].name); /* fits */
        if (site->tokens[i].conf[0])
            rc = backup_add(w, site->tokens[i].conf, name, -1, &f);
    }
    if (rc == ESIGN_OK)
        rc = backup_path(to, &f, "%s/etc/policy", w->directory);
    if (rc == ESIGN_OK && access(site->policy, F_OK) == 0)
        rc = backup_copy_directory(site->policy, to, &owner, &f);
    return rc == ESIGN_OK ? CLI_DONE : cli_fault(cli, &f);
}

static void backup_print(const struct cli *cli, const char *directory, const json_t *manifest)
{
    CLEANUP(buf_done) struct buf text = buf_new(CLI_FILE_MAX);

    if (options_has(cli->options, OPTION_JSON)) {
        if (json_canonical(manifest, &text) == ESIGN_OK)
            (void)puts(buf_str(&text) ? buf_str(&text) : "{}");
        return;
    }
    (void)printf("backup          %s\nmade            %s\nentries         %lld\nfiles           "
                 "%zu\ntokens          %zu\n",
                 directory, json_str(manifest, "made"),
                 (long long)json_int(manifest, "backup.head.size", 0),
                 json_object_size(json_object_get(manifest, "files")),
                 json_array_size(json_object_get(manifest, "tokens")));
}

static void backup_tell_pins(void)
{
    (void)fputs("PINs are not in it: without NAME.pin of each token (/etc/esignd/credentials) its "
                "keys can't be used again.\nKeep them elsewhere, apart from this backup.\n",
                stderr);
}

enum cli_exit command_backup(struct cli *cli)
{
    CLEANUP(backup_work_done) struct backup_work w = {.tokens = json_array()};
    const char *to = cli_option(cli, OPTION_TO);
    struct backup_site site;
    enum cli_exit rc = backup_site_read(cli, &site);

    if (rc == CLI_DONE)
        rc = backup_begin(cli, to, &w);
    if (rc == CLI_DONE)
        rc = backup_anchor(cli, &site, &w);
    if (rc == CLI_DONE)
        rc = backup_store(cli, &site, &w);
    /* after the store: a key that a row names is on the token by then */
    if (rc == CLI_DONE)
        rc = backup_tokens(cli, &site, &w);
    if (rc == CLI_DONE)
        rc = backup_configuration(cli, &site, &w);
    if (rc != CLI_DONE)
        return rc;
    CLEANUP(json_decref_p)
    json_t *manifest =
        json_pack("{s:s, s:O, s:O}", "kind", "site", "backup", w.snapshot, "tokens", w.tokens);
    rc = manifest ? backup_end(cli, to, manifest, &w) : cli_usage("no memory for a manifest");
    if (rc == CLI_DONE) {
        backup_print(cli, to, manifest);
        backup_tell_pins();
    }
    return rc;
}

enum cli_exit command_backup_check(struct cli *cli)
{
    CLEANUP(json_decref_p) json_t *manifest = NULL;
    enum cli_exit rc = backup_check(cli, cli->operands[0], &manifest);

    if (rc != CLI_DONE)
        return rc;
    backup_print(cli, cli->operands[0], manifest);
    if (!options_has(cli->options, OPTION_JSON))
        (void)puts("Every file is the one of the manifest, and the audit trail holds.");
    return CLI_DONE;
}

enum cli_exit command_token_backup(struct cli *cli)
{
    CLEANUP(backup_work_done) struct backup_work w = {0};
    CLEANUP(json_decref_p) json_t *manifest = NULL;
    const char *to = cli_option(cli, OPTION_TO);
    struct backup_site site;
    char target[PATH_MAX];
    struct fault f = {0};
    json_t *entry = NULL;
    enum cli_exit rc = backup_site_read(cli, &site);

    if (rc != CLI_DONE)
        return rc;
    const struct backup_token *token = backup_site_token(&site, cli->operands[0]);
    if (!token)
        return CLI_USAGE;
    rc = backup_begin(cli, to, &w);
    if (rc == CLI_DONE && backup_path(target, &f, "%s/token", w.directory) != ESIGN_OK)
        rc = cli_fault(cli, &f);
    if (rc == CLI_DONE)
        rc = backup_token_copy(cli, &site, token, target, &entry);
    if (rc != CLI_DONE)
        return rc;
    manifest = json_pack("{s:s, s:[o]}", "kind", "token", "tokens", entry);
    rc = manifest ? backup_end(cli, to, manifest, &w) : cli_usage("no memory for a manifest");
    if (rc == CLI_DONE) {
        (void)printf(
            "token %s is in %s, %lld keys\n", token->name, to,
            (long long)json_int(json_array_get(json_object_get(manifest, "tokens"), 0), "keys", 0));
        backup_tell_pins();
    }
    return rc;
}
