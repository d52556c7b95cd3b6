#include "cli/backup_site.h"

#include <errno.h>
#include <libconfig.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#define SITE_CONFIG "/etc/esignd/esignd.conf"

static const char SITE_VARIABLE[] = "SOFTHSM2_CONF=";

/* Whether text fits ret (size bytes), where it is then. */
static bool site_put(const char *text, char *ret, size_t size)
{
    int len = snprintf(ret, size, "%s", text);

    return len >= 0 && (size_t)len < size;
}

static bool site_option(const config_t *config, const char *name, const char *fallback, char *ret,
                        size_t size)
{
    const char *value = fallback;

    (void)config_lookup_string(config, name, &value); /* missing: the default stays */
    return site_put(value, ret, size);
}

/* The value of directories.tokendir in a softhsm2.conf; false: it has none. */
static bool site_token_directory(const char *conf, char *ret)
{
    static const char name[] = "directories.tokendir";
    CLEANUP(fclose_p) FILE *file = fopen(conf, "re");
    char line[PATH_MAX + 64];

    while (file && fgets(line, sizeof(line), file)) {
        const char *at = line + strspn(line, " \t");
        if (strncmp(at, name, sizeof(name) - 1) != 0)
            continue;
        at += sizeof(name) - 1;
        at += strspn(at, " \t");
        if (*at++ != '=')
            continue;
        at += strspn(at, " \t");
        size_t len = strcspn(at, "#\r\n");
        while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t' || at[len - 1] == '/'))
            len--;
        (void)snprintf(ret, PATH_MAX, "%.*s", (int)len, at); /* cut: no such directory */
        return len > 0;
    }
    return false;
}

/* Which softhsm2.conf a token's environment names; NULL: none. */
static const char *site_softhsm_conf(const config_setting_t *group, config_setting_t **ret_line)
{
    const config_setting_t *lines = config_setting_get_member(group, "environment");
    int count = lines ? config_setting_length(lines) : 0;

    for (int i = 0; i < count; i++) {
        config_setting_t *line = config_setting_get_elem(lines, (unsigned)i);
        const char *text = config_setting_get_string(line);
        if (text && strncmp(text, SITE_VARIABLE, sizeof(SITE_VARIABLE) - 1) == 0) {
            *ret_line = line;
            return text + sizeof(SITE_VARIABLE) - 1;
        }
    }
    return NULL;
}

static bool site_read_token(const config_setting_t *group, struct backup_token *ret)
{
    const char *name = NULL, *user = "", *module = "";
    config_setting_t *line = NULL;
    char own[BACKUP_NAME_MAX];

    if (config_setting_lookup_string(group, "name", &name) != CONFIG_TRUE)
        return false;
    (void)config_setting_lookup_string(group, "user", &user);     /* missing: stays empty */
    (void)config_setting_lookup_string(group, "module", &module); /* as above */
    if (snprintf(own, sizeof(own), "esign-token-%s", name) >= (int)sizeof(own))
        return false;
    const char *conf = site_softhsm_conf(group, &line);
    if (conf && !site_token_directory(conf, ret->directory))
        ret->directory[0] = '\0';
    return site_put(conf ? conf : "", ret->conf, sizeof(ret->conf)) &&
           site_put(name, ret->name, sizeof(ret->name)) &&
           site_put(*user ? user : own, ret->user, sizeof(ret->user)) &&
           site_put(module, ret->module, sizeof(ret->module));
}

static bool site_read_tokens(const config_t *config, struct backup_site *ret)
{
    const config_setting_t *list = config_lookup(config, "tokens");
    int count = list ? config_setting_length(list) : 0;

    for (int i = 0; i < count && i < BACKUP_TOKENS_MAX; i++)
        if (!site_read_token(config_setting_get_elem(list, (unsigned)i),
                             &ret->tokens[ret->token_count++]))
            return false;
    return count > 0;
}

static enum cli_exit site_open(const struct cli *cli, const char *path, config_t *config)
{
    struct fault f = {0};

    errno = 0;
    if (config_read_file(config, path) == CONFIG_TRUE)
        return CLI_DONE;
    if (config_error_type(config) == CONFIG_ERR_FILE_IO)
        (void)fault_set(&f, ESIGN_E_POLICY, "%.120s can't be read: %.30s", path,
                        errno ? strerror(errno) : "it is no file");
    else
        (void)fault_set(&f, ESIGN_E_POLICY, "%.100s line %d: %.40s", path,
                        config_error_line(config), config_error_text(config));
    return cli_fault(cli, &f);
}

enum cli_exit backup_site_read(const struct cli *cli, struct backup_site *ret)
{
    const char *given = cli_option(cli, OPTION_CONFIG), *separation = "users";
    CLEANUP(config_destroy) config_t config;
    struct fault f = {0};

    *ret = (struct backup_site){0};
    config_init(&config);
    enum cli_exit rc = site_open(cli, given ? given : SITE_CONFIG, &config);
    if (rc != CLI_DONE)
        return rc;
    (void)config_lookup_string(&config, "separation", &separation); /* missing: the default */
    ret->separated = strcmp(separation, "none") != 0;
    if (!site_put(given ? given : SITE_CONFIG, ret->config, PATH_MAX) ||
        !site_option(&config, "store.path", "/var/lib/esignd/store.db", ret->store, PATH_MAX) ||
        !site_option(&config, "audit.anchor", "/var/lib/esignd/anchor", ret->anchor, PATH_MAX) ||
        !site_option(&config, "policy.directory", "/etc/esignd/policy", ret->policy, PATH_MAX) ||
        !site_option(&config, "backup.directory", "/var/lib/esignd-backup", ret->copies,
                     PATH_MAX) ||
        !site_option(&config, "users.daemon", "esignd", ret->daemon_user, BACKUP_NAME_MAX) ||
        !site_read_tokens(&config, ret))
        (void)fault_set(&f, ESIGN_E_POLICY, "%.120s has no tokens, or too long a path",
                        ret->config);
    else if (ret->separated && geteuid() != 0)
        (void)fault_set(&f, ESIGN_E_POLICY, "the files of this site need root");
    return f.rc == ESIGN_OK ? CLI_DONE : cli_fault(cli, &f);
}

const struct backup_token *backup_site_token(const struct backup_site *site, const char *name)
{
    for (unsigned i = 0; i < site->token_count; i++)
        if (strcmp(site->tokens[i].name, name) == 0)
            return &site->tokens[i];
    (void)cli_usage("the configuration has no token \"%s\"", name);
    return NULL;
}

enum esign_rc backup_site_owner(const struct backup_site *site, const char *user, uid_t *ret_uid,
                                gid_t *ret_gid, struct fault *f)
{
    const struct passwd *entry = site->separated ? getpwnam(user) : NULL;

    if (site->separated && !entry)
        return fault_set(f, ESIGN_E_POLICY, "there is no system user %.60s", user);
    *ret_uid = entry ? entry->pw_uid : geteuid();
    *ret_gid = entry ? entry->pw_gid : getegid();
    return ESIGN_OK;
}

enum esign_rc backup_site_write_config(const struct backup_site *site,
                                       const struct backup_token *token, const char *softhsm_conf,
                                       const char *path, struct fault *f)
{
    CLEANUP(config_destroy) config_t config;
    config_setting_t *line = NULL;
    char text[PATH_MAX + sizeof(SITE_VARIABLE)];

    config_init(&config);
    if (config_read_file(&config, site->config) != CONFIG_TRUE)
        return fault_set(f, ESIGN_E_POLICY, "%.120s has changed", site->config);
    const config_setting_t *list = config_lookup(&config, "tokens");
    (void)snprintf(text, sizeof(text), "%s%s", SITE_VARIABLE, softhsm_conf); /* fits */
    const char *had =
        site_softhsm_conf(config_setting_get_elem(list, (unsigned)(token - site->tokens)), &line);
    if (!had || config_setting_set_string(line, text) != CONFIG_TRUE ||
        config_write_file(&config, path) != CONFIG_TRUE || chmod(path, 0644) != 0)
        return fault_cause(f, ESIGN_E_POLICY, (unsigned long)errno, "%.120s can't be written",
                           path);
    return ESIGN_OK;
}
