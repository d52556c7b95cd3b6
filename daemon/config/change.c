/* Two configurations side by side: what a file that is read again changes. */
#include "config/config_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

enum { CHANGE_NAME_MAX = 128, CHANGE_NAMES_MAX = 160 };

static json_t *change_environment(const struct config *c, size_t token)
{
    json_t *lines = json_array();
    const char *line;

    for (size_t i = 0; lines && (line = config_token_environment(c, token, i)); i++)
        if (json_array_append_new(lines, json_string(line)) != 0) {
            json_decref(lines);
            return NULL;
        }
    return lines;
}

static json_t *change_value(const struct config *c, const struct config_option *option)
{
    if (option->type == CONFIG_STR)
        return json_string(config_str(c, option->name));
    return option->type == CONFIG_BOOL ? json_boolean(config_bool(c, option->name))
                                       : json_integer(config_int(c, option->name));
}

/* One token as "tokens.NAME.OPTION". */
static int change_describe_token(const struct config *c, size_t token, json_t *all)
{
    const char *name = config_token_str(c, token, "name");
    char path[CHANGE_NAME_MAX];
    int failed = 0;

    for (size_t i = 0; i < config_token_option_count; i++) {
        const struct config_option *option = &config_token_options[i];
        (void)snprintf(path, sizeof(path), "tokens.%s.%s", name, option->name); /* both are short */
        failed |= json_object_set_new(all, path,
                                      option->type == CONFIG_STR
                                          ? json_string(config_token_str(c, token, option->name))
                                          : json_integer(config_token_int(c, token, option->name)));
    }
    (void)snprintf(path, sizeof(path), "tokens.%s.environment", name); /* as above */
    return failed | json_object_set_new(all, path, change_environment(c, token));
}

json_t *config_describe(const struct config *c)
{
    CLEANUP(json_decref_p) json_t *all = json_object();
    int failed = 0;

    for (size_t i = 0; i < config_option_count; i++)
        failed |=
            json_object_set_new(all, config_options[i].name, change_value(c, &config_options[i]));
    for (size_t i = 0; i < config_token_count(c); i++)
        failed |= change_describe_token(c, i, all);
    return failed ? NULL : TAKE(all);
}

/* Whether the option of a described name may change while the service runs. */
static bool change_is_free(const char *path)
{
    const struct config_option *option = config_find(config_options, config_option_count, path);

    if (!option && strncmp(path, "tokens.", 7) == 0)
        option =
            config_find(config_token_options, config_token_option_count, strrchr(path, '.') + 1);
    return option && option->reloadable;
}

/* Note one option that differs; in names, if it may not. */
static int change_note(const char *path, json_t *before, json_t *after, json_t *changed,
                       struct buf *names)
{
    if (before && after && json_equal(before, after))
        return 0;
    if (!before || !after || !change_is_free(path))
        buf_put_fmt(names, "%s%s", names->len > 0 ? ", " : "", path);
    json_t *pair = json_object();
    int failed = before ? json_object_set(pair, "old", before) : 0;
    failed |= after ? json_object_set(pair, "new", after) : 0;
    return failed | json_object_set_new(changed, path, pair);
}

enum esign_rc config_compare(const struct config *c, const struct config *next, json_t **ret,
                             struct fault *f)
{
    CLEANUP(json_decref_p) json_t *before = config_describe(c);
    CLEANUP(json_decref_p) json_t *after = config_describe(next);
    CLEANUP(json_decref_p) json_t *changed = json_object();
    CLEANUP(buf_done) struct buf names = buf_new(CHANGE_NAMES_MAX);
    int failed = !before || !after || !changed;
    const char *path;
    json_t *value;

    json_object_foreach(before, path, value) failed |=
        change_note(path, value, json_object_get(after, path), changed, &names);
    json_object_foreach(after, path, value) if (!json_object_get(before, path)) failed |=
        change_note(path, NULL, value, changed, &names);
    if (failed)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a configuration");
    if (names.len > 0 || !buf_ok(&names))
        return fault_field(f, ESIGN_E_POLICY, "restart", "%s can only change with a restart",
                           buf_ok(&names) ? buf_str(&names) : "many options");
    *ret = TAKE(changed);
    return ESIGN_OK;
}

void config_take_over(struct config *c, const struct config *next)
{
    for (size_t i = 0; i < config_option_count; i++)
        if (config_options[i].reloadable)
            c->numbers[i] = next->numbers[i];
    for (size_t t = 0; t < config_token_count(c); t++) {
        int other = config_token_by_name(next, config_token_str(c, t, "name"));
        for (size_t i = 0; other >= 0 && i < config_token_option_count; i++)
            if (config_token_options[i].reloadable)
                c->token_numbers[t][i] = next->token_numbers[other][i];
    }
}
