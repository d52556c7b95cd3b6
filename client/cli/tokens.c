#include "cli/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libconfig.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "base/encode.h"
#include "cli/commands.h"
#include "cli/hold.h"
#include "cli/programs.h"
#include "cli/token_files.h"

#define TOKENS_CONFIG      "/etc/esignd/esignd.conf"
#define TOKENS_CREDENTIALS "/etc/esignd/credentials"
#define TOKENS_STORE       "/var/lib/esignd/store.db"

enum {
    TOKENS_MAX = 16,
    TOKENS_NAME_MAX = 64,
    TOKENS_WORDS_MAX = 10,
    TOKENS_REPORT_MAX = 256 * 1024
};

/* What this command needs of the configuration; the daemon's own reader checks all of it. */
struct tokens_site {
    bool separated;           /* each token has a user of its own */
    char directory[PATH_MAX]; /* esign-token beside the directory of the store */
    unsigned count;
    struct tokens_row {
        char name[TOKENS_NAME_MAX + 1], user[TOKENS_NAME_MAX + 32];
    } rows[TOKENS_MAX];
};

static enum cli_exit tokens_fail(const struct cli *cli, const char *what, const char *path)
{
    struct fault f = {0};

    (void)fault_set(&f, ESIGN_E_POLICY, "%s %.120s: %.40s", what, path, strerror(errno));
    return cli_fault(cli, &f);
}

static const char *tokens_directory(const struct cli *cli)
{
    const char *given = cli_option(cli, OPTION_CREDENTIALS);

    return given ? given : TOKENS_CREDENTIALS;
}

static const char *tokens_config_path(const struct cli *cli)
{
    const char *given = cli_option(cli, OPTION_CONFIG);

    return given ? given : TOKENS_CONFIG;
}

static bool tokens_read_row(const config_setting_t *group, struct tokens_row *ret)
{
    const char *name = NULL, *user = NULL;

    if (config_setting_lookup_string(group, "name", &name) != CONFIG_TRUE ||
        !text_is_id(name, TOKENS_NAME_MAX))
        return false;
    if (config_setting_lookup_string(group, "user", &user) != CONFIG_TRUE || !*user)
        (void)snprintf(ret->user, sizeof(ret->user), "esign-token-%s", name); /* fits */
    else if (strlen(user) >= sizeof(ret->user))
        return false;
    else
        (void)snprintf(ret->user, sizeof(ret->user), "%s", user);
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name); /* checked to be short */
    return true;
}

/* DIR/esign-token for a store DIR/esignd/store.db.  ret: PATH_MAX bytes. */
static void tokens_read_directory(const config_t *config, char *ret)
{
    const char *store = TOKENS_STORE;
    size_t len = 0;

    (void)config_lookup_string(config, "store.path", &store); /* missing: the default stays */
    len = strlen(store);
    for (int up = 0; up < 2; up++) {
        while (len > 0 && store[len - 1] != '/')
            len--;
        len -= len > 0;
    }
    (void)snprintf(ret, PATH_MAX, "%.*s/esign-token", (int)len, store); /* cut: mkdir fails */
}

static enum cli_exit tokens_no_config(const struct cli *cli, const config_t *config)
{
    const char *path = tokens_config_path(cli);
    struct fault f = {0};

    if (config_error_type(config) == CONFIG_ERR_FILE_IO)
        (void)fault_set(&f, ESIGN_E_POLICY, "%.120s can't be read: %.40s; give --config", path,
                        errno ? strerror(errno) : "it is no file");
    else
        (void)fault_set(&f, ESIGN_E_POLICY, "%.120s line %d: %.40s", path,
                        config_error_line(config), config_error_text(config));
    return cli_fault(cli, &f);
}

static enum cli_exit tokens_read(const struct cli *cli, struct tokens_site *ret)
{
    CLEANUP(config_destroy) config_t config;
    const char *separation = NULL;
    struct fault f = {0};

    *ret = (struct tokens_site){.separated = true};
    config_init(&config);
    errno = 0;
    if (config_read_file(&config, tokens_config_path(cli)) != CONFIG_TRUE)
        return tokens_no_config(cli, &config);
    if (config_lookup_string(&config, "separation", &separation) == CONFIG_TRUE)
        ret->separated = strcmp(separation, "none") != 0;
    tokens_read_directory(&config, ret->directory);
    const config_setting_t *list = config_lookup(&config, "tokens");
    int count = list ? config_setting_length(list) : 0;
    for (int i = 0; i < count && i < TOKENS_MAX; i++) {
        if (!tokens_read_row(config_setting_get_elem(list, (unsigned)i), &ret->rows[i])) {
            (void)fault_field(&f, ESIGN_E_POLICY, "tokens", "token %d has no usable name or user",
                              i + 1);
            return cli_fault(cli, &f);
        }
        ret->count++;
    }
    return CLI_DONE;
}

/* DIR/NAME.KIND SUFFIX */
static bool tokens_pin_path(const struct cli *cli, const char *name, const char *kind, char *ret)
{
    int len = snprintf(ret, PATH_MAX, "%s/%s.%s", tokens_directory(cli), name, kind);

    return len > 0 && len < PATH_MAX;
}

/* A run of esign-token for one token. */
struct tokens_job {
    const struct tokens_row *row;
    const struct passwd *user; /* NULL: ours */
    const char *const *words;  /* besides configuration and token, NULL at the end */
    const char *directory;     /* of the PIN files */
    const char *state;         /* what the token's service keeps of refused PINs, and we too */
    int out_fd;                /* gets its standard output; -1: that goes to standard error */
    struct hold hold;          /* signals wait while there are PIN files */
};

/* In the child: become the user and run the program.  Returns only if that fails. */
static void tokens_exec(const struct cli *cli, struct tokens_job *job, const char *program)
{
    char credentials[PATH_MAX + 32], state[PATH_MAX + 32];
    char *const environment[] = {credentials, job->state ? state : NULL, NULL};
    const char *argv[TOKENS_WORDS_MAX + 6] = {program, "--config", tokens_config_path(cli),
                                              "--token", job->row->name};
    const struct passwd *user = job->user;

    for (size_t i = 0; i < TOKENS_WORDS_MAX && job->words[i]; i++)
        argv[5 + i] = job->words[i];
    (void)snprintf(credentials, sizeof(credentials), "CREDENTIALS_DIRECTORY=%s", job->directory);
    (void)snprintf(state, sizeof(state), "STATE_DIRECTORY=%s", job->state ? job->state : "");
    hold_done(&job->hold);
    /* our stdout is for the reply */
    if (!programs_settle_in(job->out_fd < 0 ? STDERR_FILENO : job->out_fd))
        return;
    if (user && (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
                 setuid(user->pw_uid) != 0))
        return;
    /* returns only if it fails; execve does not change its words */
    (void)execve(program, (char *const *)(uintptr_t)argv, environment);
}

/* Run esign-token and wait for it; it tells its own errors.  ret: its standard output, or NULL. */
static enum cli_exit tokens_run(const struct cli *cli, struct tokens_job *job, struct buf *ret)
{
    char path[PATH_MAX];
    const char *program = cli_option(cli, OPTION_TOKEN_PROGRAM);
    struct fault f = {0};
    int ends[2] = {-1, -1};

    if (!program && !programs_path("esign-token", path, sizeof(path)))
        return cli_usage("esign-token is not found; give --token-program PATH");
    program = program ? program : path;
    if (ret && pipe2(ends, O_CLOEXEC) != 0)
        return tokens_fail(cli, "no pipe for", program);
    CLEANUP(close_p) int in = ends[0];
    job->out_fd = ends[1];
    pid_t pid = fork();
    if (pid == 0) {
        tokens_exec(cli, job, program);
        _exit(127);
    }
    if (ends[1] >= 0)
        (void)close(ends[1]); /* the child's */
    if (pid < 0)
        return tokens_fail(cli, "can't start", program);
    if (programs_follow(pid, in, ret) == 0)
        return CLI_DONE;
    (void)fault_set(&f, ESIGN_E_HSM, "%.120s failed for the token %.40s", program, job->row->name);
    return cli_fault(cli, &f);
}

/* What root prepares for the token's user, and repairs after it. */
static enum esign_rc tokens_keep(const struct tokens_site *site, const struct tokens_row *row,
                                 const struct passwd *user, bool made, struct fault *f)
{
    char directory[PATH_MAX];
    int len = snprintf(directory, sizeof(directory), "%s/%s", site->directory, row->name);

    if (!user)
        return ESIGN_OK;
    if (len < 0 || (size_t)len >= sizeof(directory))
        return fault_set(f, ESIGN_E_POLICY, "store.path is too long");
    return made ? token_files_protect(directory, f)
                : token_files_directory(directory, user->pw_uid, user->pw_gid, f);
}

/* Run esign-token with the PIN files in a directory that only the token's user can read, as the
 * service manager makes one.  so_pin: NULL: none; a missing pin: none.  job->directory is filled in
 * here.  A signal that would end us waits until they are removed. */
static enum cli_exit tokens_run_with_pins(const struct cli *cli, struct tokens_job *job,
                                          const char *pin, const char *so_pin, struct buf *ret)
{
    char directory[] = "/tmp/esign-token-XXXXXX", pin_copy[64], so_pin_copy[64];
    uid_t owner = job->user ? job->user->pw_uid : (uid_t)-1;
    struct fault f = {0};

    hold_begin(&job->hold);
    if (!mkdtemp(directory)) {
        hold_done(&job->hold);
        return tokens_fail(cli, "can't make", directory);
    }
    /* what is made in it is removed from it: its later owner may put another in its place */
    CLEANUP(close_p) int inside = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    (void)snprintf(pin_copy, sizeof(pin_copy), "%s/pin", directory);
    (void)snprintf(so_pin_copy, sizeof(so_pin_copy), "%s/so-pin", directory);
    enum cli_exit rc = inside < 0 ? tokens_fail(cli, "can't open", directory) : CLI_DONE;
    if (rc == CLI_DONE &&
        ((pin && token_files_copy_pin(pin, pin_copy, owner, &f) != ESIGN_OK) ||
         (so_pin && token_files_copy_pin(so_pin, so_pin_copy, owner, &f) != ESIGN_OK)))
        rc = cli_fault(cli, &f);
    if (rc == CLI_DONE && job->user && chown(directory, owner, (gid_t)-1) != 0)
        rc = tokens_fail(cli, "can't give away", directory);
    job->directory = directory;
    if (rc == CLI_DONE)
        rc = tokens_run(cli, job, ret);
    (void)unlinkat(inside, "pin", 0); /* these three may be missing after a failure */
    (void)unlinkat(inside, "so-pin", 0);
    (void)rmdir(directory);
    hold_done(&job->hold);
    return rc;
}

/* The user of a token's service; NULL where all run as one.  A message if we can't become it. */
static enum cli_exit tokens_find_user(const struct cli *cli, const struct tokens_site *site,
                                      const struct tokens_row *row, const struct passwd **ret)
{
    const struct passwd *user = site->separated ? getpwnam(row->user) : NULL;
    struct fault f = {0};

    *ret = user;
    if (!site->separated || (user && geteuid() == 0))
        return CLI_DONE;
    (void)fault_set(&f, ESIGN_E_POLICY, "%s",
                    user ? "running a token's program needs root"
                         : "the token's system user is missing");
    return cli_fault(cli, &f);
}

static enum cli_exit tokens_make_row(struct cli *cli, const struct tokens_site *site,
                                     const struct tokens_row *row)
{
    static const char *const words[] = {"--init", NULL};
    char pin[PATH_MAX], so_pin[PATH_MAX], new_pin[PATH_MAX], new_so_pin[PATH_MAX];
    struct tokens_job job = {.row = row, .words = words};
    struct fault f = {0};
    enum cli_exit rc = tokens_find_user(cli, site, row, &job.user);

    if (rc != CLI_DONE)
        return rc;
    if (!tokens_pin_path(cli, row->name, "pin", pin) ||
        !tokens_pin_path(cli, row->name, "so-pin", so_pin) ||
        !tokens_pin_path(cli, row->name, "pin.new", new_pin) ||
        !tokens_pin_path(cli, row->name, "so-pin.new", new_so_pin))
        return cli_usage("--credentials is too long");
    if (tokens_keep(site, row, job.user, false, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    bool fresh = access(pin, F_OK) != 0 || access(so_pin, F_OK) != 0;
    if (fresh && (token_files_new_pin(new_pin, &f) != ESIGN_OK ||
                  token_files_new_pin(new_so_pin, &f) != ESIGN_OK))
        return cli_fault(cli, &f);
    rc = tokens_run_with_pins(cli, &job, fresh ? new_pin : pin, fresh ? new_so_pin : so_pin, NULL);
    if (rc != CLI_DONE)
        return rc;
    if (fresh && (rename(new_so_pin, so_pin) != 0 || rename(new_pin, pin) != 0))
        return tokens_fail(cli, "the token is made, but this can't be named", pin);
    return tokens_keep(site, row, job.user, true, &f) == ESIGN_OK ? CLI_DONE : cli_fault(cli, &f);
}

/* The configuration and its token of that name. */
static enum cli_exit tokens_find(const struct cli *cli, const char *name,
                                 struct tokens_site *ret_site, const struct tokens_row **ret)
{
    enum cli_exit rc = tokens_read(cli, ret_site);

    if (rc != CLI_DONE)
        return rc;
    for (unsigned i = 0; i < ret_site->count; i++)
        if (strcmp(ret_site->rows[i].name, name) == 0) {
            *ret = &ret_site->rows[i];
            return CLI_DONE;
        }
    return cli_usage("the configuration has no token \"%s\"", name);
}

enum cli_exit tokens_make(struct cli *cli, const char *name)
{
    const struct tokens_row *row = NULL;
    struct tokens_site site;
    enum cli_exit rc = tokens_find(cli, name, &site, &row);

    return rc == CLI_DONE ? tokens_make_row(cli, &site, row) : rc;
}

enum cli_exit tokens_ask(struct cli *cli, const char *name, const char *const *words,
                         struct buf *ret)
{
    const struct tokens_row *row = NULL;
    struct tokens_site site;
    char pin[PATH_MAX], state[PATH_MAX];
    struct tokens_job job = {.words = words};
    enum cli_exit rc = tokens_find(cli, name, &site, &row);

    job.row = row;
    if (rc == CLI_DONE)
        rc = tokens_find_user(cli, &site, row, &job.user);
    if (rc != CLI_DONE)
        return rc;
    int len = snprintf(state, sizeof(state), "%s/%s", site.directory, name);
    if (!tokens_pin_path(cli, name, "pin", pin) || len < 0 || (size_t)len >= sizeof(state))
        return cli_usage("--credentials or store.path is too long");
    if (access(state, F_OK) == 0)
        job.state = state;
    if (access(pin, F_OK) != 0)
        (void)fprintf(stderr,
                      "esign: there is no PIN file %s (--credentials names its directory); the "
                      "configuration's pin_file is used, if it has one\n",
                      pin);
    return tokens_run_with_pins(cli, &job, access(pin, F_OK) == 0 ? pin : NULL, NULL, ret);
}

enum cli_exit tokens_report(struct cli *cli, const char *name, const char *const *words,
                            json_t **ret)
{
    CLEANUP(buf_done) struct buf text = buf_new(TOKENS_REPORT_MAX);
    struct fault f = {0};
    enum cli_exit rc = tokens_ask(cli, name, words, &text);

    if (rc != CLI_DONE)
        return rc;
    if (buf_ok(&text) && json_parse_object(buf_bytes(&text), ret, &f) == ESIGN_OK)
        return CLI_DONE;
    (void)fault_set(&f, ESIGN_E_INTERNAL, "esign-token gave no report");
    return cli_fault(cli, &f);
}

enum cli_exit tokens_print_json(const struct cli *cli, const json_t *report)
{
    CLEANUP(buf_done) struct buf text = buf_new(TOKENS_REPORT_MAX);
    enum esign_rc rc = json_canonical(report, &text);
    struct fault f = {0};

    buf_put_str(&text, "\n");
    if (rc == ESIGN_OK && buf_ok(&text))
        return cli_write_file(cli, "-", buf_bytes(&text), 0644);
    (void)fault_set(&f, ESIGN_E_INTERNAL, "no memory for the report");
    return cli_fault(cli, &f);
}

bool tokens_in_use(struct cli *cli, const char *name)
{
    CLEANUP(esign_result_free_p) struct esign_result *status = NULL;
    char path[64];

    if (esign_status(cli->daemon, &status, NULL) != ESIGN_OK)
        return false;
    for (size_t i = 0; i < esign_result_count(status, "tokens"); i++) {
        (void)snprintf(path, sizeof(path), "tokens.%zu.name", i); /* fits */
        const char *one = esign_result_string(status, path);
        if (one && strcmp(one, name) == 0)
            return true;
    }
    return false;
}

enum cli_exit tokens_make_missing(struct cli *cli, unsigned *ret_count)
{
    struct tokens_site site;
    char pin[PATH_MAX];

    *ret_count = 0;
    if (!cli_option(cli, OPTION_CONFIG) && geteuid() != 0)
        return CLI_DONE;
    enum cli_exit rc = tokens_read(cli, &site);
    for (unsigned i = 0; rc == CLI_DONE && i < site.count; i++) {
        if (!tokens_pin_path(cli, site.rows[i].name, "pin", pin))
            return cli_usage("--credentials is too long");
        if (access(pin, F_OK) == 0)
            continue;
        rc = tokens_make_row(cli, &site, &site.rows[i]);
        if (rc == CLI_DONE) {
            (void)fprintf(stderr, "token %s is made; its PIN is in %s\n", site.rows[i].name, pin);
            (*ret_count)++;
        }
    }
    return rc;
}
