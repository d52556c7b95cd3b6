/* What the files of this folder share about a configuration. */
#pragma once

#include "config/config.h"

#include <libconfig.h>
#include <stdatomic.h>

enum {
    CONFIG_SERVICES_MAX = CONFIG_TOKENS_MAX + 3,
    CONFIG_OPTIONS_MAX = 64,      /* rows of the table of options */
    CONFIG_TOKEN_OPTIONS_MAX = 16 /* rows of the table of a token's options */
};

struct config {
    config_t file;
    /* Integers and booleans, by row of their table: other threads read them while they change. */
    _Atomic int64_t numbers[CONFIG_OPTIONS_MAX];
    _Atomic int64_t token_numbers[CONFIG_TOKENS_MAX][CONFIG_TOKEN_OPTIONS_MAX];
    uid_t services[CONFIG_SERVICES_MAX]; /* users of the services that exist here */
    size_t service_count;
};

/* The row of that name, or NULL. */
const struct config_option *config_find(const struct config_option *options, size_t count,
                                        const char *name);

/* The setting of tokens, or NULL.  Borrowed. */
const config_setting_t *config_tokens(const struct config *c);

/* Keep the integers and booleans of a file that was checked, or their defaults. */
void config_keep_numbers(struct config *c);
