/* The values of a configuration, by the names of their options. */
#include "config/config_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { CONFIG_PUT_MAX = 4096 }; /* bytes of a NAME=VALUE line that is put there */

/* The row of an option; a name or type that is not in the table is a defect of the program. */
static const struct config_option *config_row(const struct config_option *options, size_t count,
                                              const char *name, enum config_type type)
{
    const struct config_option *option = config_find(options, count, name);

    assert(option && option->type == type);
    return option;
}

const char *config_str(const struct config *c, const char *name)
{
    const struct config_option *option =
        config_row(config_options, config_option_count, name, CONFIG_STR);
    const char *value = option->fallback;

    (void)config_lookup_string(&c->file, name, &value); /* absent: the default stays */
    return value;
}

/* Defaults of integers are digits: the table is ours. */
static int64_t config_default_int(const struct config_option *option)
{
    int64_t value = 0;

    for (const char *at = option->fallback; *at; at++)
        value = value * 10 + (*at - '0');
    return value;
}

/* The number of an option in the file, or its default. */
static int64_t config_number(const config_setting_t *setting, const struct config_option *option)
{
    if (option->type == CONFIG_BOOL)
        return setting ? config_setting_get_bool(setting) != 0
                       : strcmp(option->fallback, "true") == 0;
    return setting ? config_setting_get_int64(setting) : config_default_int(option);
}

void config_keep_numbers(struct config *c)
{
    assert(config_option_count <= CONFIG_OPTIONS_MAX &&
           config_token_option_count <= CONFIG_TOKEN_OPTIONS_MAX);
    for (size_t i = 0; i < config_option_count; i++)
        if (config_options[i].type != CONFIG_STR)
            c->numbers[i] =
                config_number(config_lookup(&c->file, config_options[i].name), &config_options[i]);
    for (size_t t = 0; t < config_token_count(c); t++) {
        const config_setting_t *token = config_setting_get_elem(config_tokens(c), (unsigned)t);
        for (size_t i = 0; i < config_token_option_count; i++)
            if (config_token_options[i].type != CONFIG_STR)
                c->token_numbers[t][i] =
                    config_number(config_setting_get_member(token, config_token_options[i].name),
                                  &config_token_options[i]);
    }
}

int64_t config_int(const struct config *c, const char *name)
{
    return c->numbers[config_row(config_options, config_option_count, name, CONFIG_INT) -
                      config_options];
}

bool config_bool(const struct config *c, const char *name)
{
    return c->numbers[config_row(config_options, config_option_count, name, CONFIG_BOOL) -
                      config_options] != 0;
}

size_t config_token_count(const struct config *c)
{
    return (size_t)config_setting_length(config_tokens(c));
}

int config_token_by_name(const struct config *c, const char *token)
{
    for (size_t i = 0; i < config_token_count(c); i++)
        if (strcmp(config_token_str(c, i, "name"), token) == 0)
            return (int)i;
    return -1;
}

const char *config_token_str(const struct config *c, size_t index, const char *name)
{
    const struct config_option *option =
        config_row(config_token_options, config_token_option_count, name, CONFIG_STR);
    const char *value = option->fallback ? option->fallback : "";

    (void)config_setting_lookup_string(config_setting_get_elem(config_tokens(c), (unsigned)index),
                                       name, &value); /* absent: the default stays */
    return value;
}

int64_t config_token_int(const struct config *c, size_t index, const char *name)
{
    return c->token_numbers[index][config_row(config_token_options, config_token_option_count, name,
                                              CONFIG_INT) -
                                   config_token_options];
}

const char *config_token_environment(const struct config *c, size_t index, size_t line)
{
    const config_setting_t *list = config_setting_get_member(
        config_setting_get_elem(config_tokens(c), (unsigned)index), "environment");

    if (!list || line >= (size_t)config_setting_length(list))
        return NULL;
    return config_setting_get_string_elem(list, (int)line);
}

enum esign_rc config_token_put_environment(struct config *c, size_t index, const char *name,
                                           const char *value, struct fault *f)
{
    config_setting_t *token = config_setting_get_elem(config_tokens(c), (unsigned)index);
    config_setting_t *list = config_setting_get_member(token, "environment");
    char text[CONFIG_PUT_MAX];
    size_t line = 0;
    int len = snprintf(text, sizeof(text), "%s=%s", name, value);

    if (!list)
        list = config_setting_add(token, "environment", CONFIG_TYPE_LIST);
    for (const char *old; (old = config_token_environment(c, index, line)); line++)
        if (strncmp(old, text, strlen(name) + 1) == 0)
            break;
    if (len < 0 || (size_t)len >= sizeof(text) || !list ||
        !config_setting_set_string_elem(
            list, line < (size_t)config_setting_length(list) ? (int)line : -1, text))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the token's environment");
    return ESIGN_OK;
}
