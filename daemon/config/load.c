#include "config/config_internal.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"

const struct config_option *config_find(const struct config_option *options, size_t count,
                                        const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static bool config_is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);

    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0'))
            return true;
    return false;
}

/* One value against its row. */
static enum esign_rc config_check_value(const config_setting_t *setting,
                                        const struct config_option *option, struct fault *f)
{
    int line = (int)config_setting_source_line(setting);

    switch (option->type) {
    case CONFIG_STR:
        if (config_setting_type(setting) != CONFIG_TYPE_STRING)
            return fault_field(f, ESIGN_E_POLICY, option->name,
                               "line %d: %s must be a string in quotes", line, option->name);
        if (option->choices &&
            !config_is_choice(option->choices, config_setting_get_string(setting)))
            return fault_field(f, ESIGN_E_POLICY, option->name, "line %d: %s must be one of %s",
                               line, option->name, option->choices);
        return ESIGN_OK;
    case CONFIG_INT:
        if (config_setting_type(setting) != CONFIG_TYPE_INT &&
            config_setting_type(setting) != CONFIG_TYPE_INT64)
            return fault_field(f, ESIGN_E_POLICY, option->name,
                               "line %d: %s must be a whole number", line, option->name);
        if (config_setting_get_int64(setting) < option->min ||
            config_setting_get_int64(setting) > option->max)
            return fault_field(f, ESIGN_E_POLICY, option->name,
                               "line %d: %s must be %lld to %lld %s", line, option->name,
                               (long long)option->min, (long long)option->max, option->unit);
        return ESIGN_OK;
    case CONFIG_BOOL:
        if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
            return fault_field(f, ESIGN_E_POLICY, option->name, "line %d: %s must be true or false",
                               line, option->name);
        return ESIGN_OK;
    }
    return fault_set(f, ESIGN_E_INTERNAL, "the option table is wrong at %s", option->name);
}

/* Whether some option lies below this group. */
static bool config_is_group(const char *path)
{
    size_t len = strlen(path);

    for (size_t i = 0; i < config_option_count; i++)
        if (strncmp(config_options[i].name, path, len) == 0 && config_options[i].name[len] == '.')
            return true;
    return false;
}

/* All members of a group whose dotted path is prefix. */
static enum esign_rc config_check_group(const config_setting_t *group, const char *prefix,
                                        struct fault *f)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
        char path[128];
        (void)snprintf(path, sizeof(path), "%s%s%.60s", prefix, *prefix ? "." : "",
                       config_setting_name(member)); /* a cut name is no option's */
        if (!*prefix && strcmp(path, "tokens") == 0)
            continue;
        const struct config_option *option = config_find(config_options, config_option_count, path);
        enum esign_rc rc;
        if (option)
            rc = config_check_value(member, option, f);
        else if (config_setting_is_group(member) && config_is_group(path))
            rc = config_check_group(member, path, f);
        else
            rc = fault_field(f, ESIGN_E_POLICY, path, "line %d: there is no option %s",
                             (int)config_setting_source_line(member), path);
        if (rc != ESIGN_OK)
            return rc;
    }
    return ESIGN_OK;
}

static enum esign_rc config_check_environment(const config_setting_t *list, struct fault *f)
{
    if (!config_setting_is_list(list) && !config_setting_is_array(list))
        return fault_field(f, ESIGN_E_POLICY, "tokens.environment",
                           "line %d: environment must be a list of \"NAME=VALUE\"",
                           (int)config_setting_source_line(list));
    if (config_setting_length(list) > CONFIG_ENVIRONMENT_MAX)
        return fault_field(f, ESIGN_E_POLICY, "tokens.environment", "at most %d lines",
                           CONFIG_ENVIRONMENT_MAX);
    for (int i = 0; i < config_setting_length(list); i++) {
        const char *line = config_setting_get_string_elem(list, i);
        if (!line || !strchr(line, '=') || line[0] == '=')
            return fault_field(f, ESIGN_E_POLICY, "tokens.environment",
                               "line %d: each element must be \"NAME=VALUE\"",
                               config_setting_source_line(list));
    }
    return ESIGN_OK;
}

static enum esign_rc config_check_token(const config_setting_t *token, struct fault *f)
{
    int line = (int)config_setting_source_line(token);

    if (!config_setting_is_group(token))
        return fault_field(f, ESIGN_E_POLICY, "tokens", "line %d: each token must be a group { }",
                           line);
    for (int i = 0; i < config_setting_length(token); i++) {
        const config_setting_t *member = config_setting_get_elem(token, (unsigned)i);
        const char *name = config_setting_name(member);
        const struct config_option *option =
            config_find(config_token_options, config_token_option_count, name);
        enum esign_rc rc;
        if (option)
            rc = config_check_value(member, option, f);
        else if (strcmp(name, "environment") == 0)
            rc = config_check_environment(member, f);
        else
            rc = fault_field(f, ESIGN_E_POLICY, "tokens", "line %d: a token has no option %.40s",
                             (int)config_setting_source_line(member), name);
        if (rc != ESIGN_OK)
            return rc;
    }
    for (size_t i = 0; i < config_token_option_count; i++)
        if (!config_token_options[i].fallback &&
            !config_setting_get_member(token, config_token_options[i].name))
            return fault_field(f, ESIGN_E_POLICY, config_token_options[i].name,
                               "line %d: this token has no %s", line, config_token_options[i].name);
    const char *name = NULL;
    (void)config_setting_lookup_string(token, "name", &name); /* checked above */
    if (!text_is_id(name, 32))
        return fault_field(f, ESIGN_E_POLICY, "name",
                           "line %d: a token's name is 1 to 32 letters, digits, '.', '_' or '-'",
                           line);
    return ESIGN_OK;
}

const config_setting_t *config_tokens(const struct config *c)
{
    return config_lookup(&c->file, "tokens");
}

static enum esign_rc config_check_tokens(const struct config *c, struct fault *f)
{
    const config_setting_t *list = config_tokens(c);

    if (!list || !config_setting_is_list(list) || config_setting_length(list) == 0)
        return fault_field(f, ESIGN_E_POLICY, "tokens",
                           "at least one token must be given: tokens = ( { name = …; … } );");
    if (config_setting_length(list) > CONFIG_TOKENS_MAX)
        return fault_field(f, ESIGN_E_POLICY, "tokens", "at most %d tokens", CONFIG_TOKENS_MAX);
    for (int i = 0; i < config_setting_length(list); i++) {
        enum esign_rc rc = config_check_token(config_setting_get_elem(list, (unsigned)i), f);
        if (rc != ESIGN_OK)
            return rc;
        if (config_token_by_name(c, config_token_str(c, (size_t)i, "name")) != i)
            return fault_field(f, ESIGN_E_POLICY, "tokens", "two tokens are called %s",
                               config_token_str(c, (size_t)i, "name"));
    }
    static const char *const roles[] = {"roles.signer", "roles.ca", "roles.log", "roles.kek"};
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        if (config_token_by_name(c, config_str(c, roles[i])) < 0 &&
            (strcmp(roles[i], "roles.kek") != 0 || config_str(c, roles[i])[0]))
            return fault_field(f, ESIGN_E_POLICY, roles[i], "there is no token %s",
                               config_str(c, roles[i]));
    return ESIGN_OK;
}

static enum esign_rc config_check(const struct config *c, struct fault *f)
{
    enum esign_rc rc = config_check_group(config_root_setting(&c->file), "", f);

    if (rc != ESIGN_OK)
        return rc;
    for (size_t i = 0; i < config_option_count; i++)
        if (!config_options[i].fallback && !config_lookup(&c->file, config_options[i].name))
            return fault_field(f, ESIGN_E_POLICY, config_options[i].name, "%s must be set (%s): %s",
                               config_options[i].name,
                               config_options[i].choices ? config_options[i].choices : "text",
                               config_options[i].text);
    return config_check_tokens(c, f);
}

/* What no single row of the table tells.  For a file whose values were kept. */
static enum esign_rc config_check_sums(const struct config *c, struct fault *f)
{
    if (config_int(c, "socket.kept_for_terminals") >= config_int(c, "socket.max_connections"))
        return fault_field(f, ESIGN_E_POLICY, "socket.kept_for_terminals",
                           "fewer connections must be kept than there are "
                           "(socket.max_connections)");
    return ESIGN_OK;
}

static void config_add_service(struct config *c, const char *name)
{
    const struct passwd *user = getpwnam(name);

    if (user && c->service_count < CONFIG_SERVICES_MAX)
        c->services[c->service_count++] = user->pw_uid;
}

/* Found once: a confined service can't ask for users later. */
static void config_find_services(struct config *c)
{
    char name[96];

    config_add_service(c, config_str(c, "users.daemon"));
    config_add_service(c, config_str(c, "hash.user"));
    config_add_service(c, config_str(c, "document.user"));
    for (size_t i = 0; i < config_token_count(c); i++) {
        const char *user = config_token_str(c, i, "user");
        (void)snprintf(name, sizeof(name), "esign-token-%s", config_token_str(c, i, "name"));
        config_add_service(c, user[0] ? user : name);
    }
}

bool config_is_service(const struct config *c, uid_t uid)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (c->services[i] == uid)
            return true;
    return false;
}

static enum esign_rc config_unread(const config_t *file, const char *path, struct fault *f)
{
    const char *included = config_error_file(file);

    if (config_error_type(file) == CONFIG_ERR_FILE_IO)
        return fault_field(f, ESIGN_E_POLICY, "file", "%.80s can't be read: %.60s", path,
                           errno ? strerror(errno) : "it is no file");
    return fault_field(f, ESIGN_E_POLICY, "file", "%.80s line %d: %.60s",
                       included ? included : path, config_error_line(file),
                       config_error_text(file));
}

enum esign_rc config_load_again(const char *path, struct config **ret, struct fault *f)
{
    struct config *c = calloc(1, sizeof(*c));

    if (!c)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the configuration");
    config_init(&c->file);
    errno = 0;
    enum esign_rc rc = ESIGN_OK;
    if (config_read_file(&c->file, path) != CONFIG_TRUE)
        rc = config_unread(&c->file, path, f);
    else
        rc = config_check(c, f);
    if (rc == ESIGN_OK) {
        config_keep_numbers(c);
        rc = config_check_sums(c, f);
    }
    if (rc != ESIGN_OK) {
        config_free(c);
        return rc;
    }
    *ret = c;
    return ESIGN_OK;
}

enum esign_rc config_load(const char *path, struct config **ret, struct fault *f)
{
    enum esign_rc rc = config_load_again(path, ret, f);

    if (rc == ESIGN_OK)
        config_find_services(*ret);
    return rc;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    config_destroy(&c->file);
    free(c);
}
