/* The configuration file, checked against one table (schema.c): every option has a type, a range, a
 * default and a sentence; an option that the table doesn't know is refused. */
#pragma once

#include "base/fault.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct config;

enum { CONFIG_TOKENS_MAX = 16, CONFIG_ENVIRONMENT_MAX = 16 };

enum config_type { CONFIG_STR, CONFIG_INT, CONFIG_BOOL };

/* One option.  fallback: its default as text, NULL: it has none and must be set. */
struct config_option {
    const char *name; /* dotted path; below a token: the member's name */
    enum config_type type;
    const char *fallback;
    int64_t min, max;    /* of an integer, in its unit */
    const char *choices; /* of a string: allowed words separated by '|', NULL: any */
    const char *unit;    /* "ms", "s", "KiB", "" */
    const char *text;    /* what it does, one sentence */
    bool reloadable;     /* an integer or boolean that a running esignd takes over (SIGHUP) */
};

/* The tables, for documents and their checks. */
extern const struct config_option config_options[];
extern const size_t config_option_count;
extern const struct config_option config_token_options[]; /* members of each group in `tokens` */
extern const size_t config_token_option_count;

/* Read and check a file.  ESIGN_E_POLICY: f->field names the option and f->detail says what is
 * wrong and on which line.  ret: owned by the caller. */
enum esign_rc config_load(const char *path, struct config **ret, struct fault *f) MUST_CHECK;
/* The same for a file that is read again by a confined service, which can't ask for users:
 * config_is_service() knows none. */
enum esign_rc config_load_again(const char *path, struct config **ret, struct fault *f) MUST_CHECK;
void config_free(struct config *c);

/* Every option with its value in force, by name; those of a token as "tokens.NAME.OPTION".  ret:
 * owned by the caller; NULL: no memory. */
json_t *config_describe(const struct config *c);

/* What next would change: {"name":{"old":…,"new":…}}, owned by the caller.  ESIGN_E_POLICY (field
 * "restart", detail names them): options are among them that are not reloadable. */
enum esign_rc config_compare(const struct config *c, const struct config *next, json_t **ret,
                             struct fault *f) MUST_CHECK;

/* Put next's values of the reloadable options into force; other threads may read c meanwhile, and
 * see each option as before or as after. */
void config_take_over(struct config *c, const struct config *next);

/* Values by name; the name must stand in the table with that type (a wrong one aborts).  Borrowed.
 */
const char *config_str(const struct config *c, const char *name);
int64_t config_int(const struct config *c, const char *name);
bool config_bool(const struct config *c, const char *name);

/* Tokens, in the order of the file. */
size_t config_token_count(const struct config *c);
/* The index of the token of that name, or -1. */
int config_token_by_name(const struct config *c, const char *token);
const char *config_token_str(const struct config *c, size_t index, const char *name);
int64_t config_token_int(const struct config *c, size_t index, const char *name);
/* The "NAME=VALUE" lines of its environment, in order; NULL after the last.  Borrowed. */
const char *config_token_environment(const struct config *c, size_t index, size_t line);
/* Put another value into the line of that name, or add the line: for a process that works on a copy
 * of the token.  ESIGN_E_INTERNAL: no memory. */
enum esign_rc config_token_put_environment(struct config *c, size_t index, const char *name,
                                           const char *value, struct fault *f) MUST_CHECK;

/* The user that may call the helpers: esignd's, or this process's own where all run as one
 * (separation = "none").  ESIGN_E_POLICY: there is no such user. */
enum esign_rc config_caller(const struct config *c, uid_t *ret, struct fault *f) MUST_CHECK;

/* Whether a uid is the user of one of the services as configured, of those that existed when the
 * file was read. */
bool config_is_service(const struct config *c, uid_t uid);
