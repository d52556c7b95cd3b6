/* The options of the command: one table, and a command line read by it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_option {
    OPTION_SOCKET,
    OPTION_JSON,
    OPTION_PASSWORD_FD,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_AS,
    OPTION_RECORD,
    OPTION_MEANING,
    OPTION_MEDIA_TYPE,
    OPTION_PLAN,
    OPTION_STEP,
    OPTION_SIGNER,
    OPTION_REASON,
    OPTION_COMMENT,
    OPTION_OUT,
    OPTION_DIGEST_ONLY,
    OPTION_RECORD_FILE,
    OPTION_OFFLINE,
    OPTION_TRUST,
    OPTION_LOG_KEY,
    OPTION_PROOF,
    OPTION_REPORT,
    OPTION_DOCUMENT_PROGRAM,
    OPTION_TOKEN_PROGRAM,
    OPTION_OFFICERS,
    OPTION_PERSON,
    OPTION_CONFIG,
    OPTION_CREDENTIALS,
    OPTION_ACCEPT,
    OPTION_ALGORITHM,
    OPTION_NAME,
    OPTION_RIGHTS,
    OPTION_LOCATION,
    OPTION_UID,
    OPTION_GID,
    OPTION_LIMIT,
    OPTION_AFTER,
    OPTION_LAST,
    OPTION_HEALTH,
    OPTION_ALL,
    OPTION_ONE_SHOT,
    OPTION_STORE,
    OPTION_REMOVAL,
    OPTION_CARD,
    OPTION_MODULE,
    OPTION_PIN_FD,
    OPTION_CERTIFICATE,
    OPTION_TO,
    OPTION_FROM,
    OPTION_ACCEPT_LOSS,
    OPTION_SECONDS,
    OPTION_WORKERS,
    OPTION_COUNT
};

/* A set of options. */
#define OPTION_SET(o) (UINT64_C(1) << (o))

/* Options that every command takes. */
#define OPTION_COMMON                                                                              \
    (OPTION_SET(OPTION_SOCKET) | OPTION_SET(OPTION_JSON) | OPTION_SET(OPTION_HELP) |               \
     OPTION_SET(OPTION_VERSION))

struct option_row {
    const char *name;     /* without the dashes */
    char letter;          /* short form; 0: none */
    const char *argument; /* what it takes, for the help; NULL: nothing */
    const char *text;     /* one sentence */
};

extern const struct option_row option_rows[OPTION_COUNT];

/* A command line: values and operands are borrowed from argv. */
struct options {
    const char *values[OPTION_COUNT]; /* NULL: not given; "" for an option without an argument */
    char **operands;                  /* words of the command first */
    int operand_count;
};

enum { OPTIONS_PROBLEM_MAX = 200 };

/* Read argv (its order is changed).  Options may stand anywhere; "--" ends them.  Whether that
 * worked; if not, ret_problem (OPTIONS_PROBLEM_MAX bytes) says why. */
bool options_read(int argc, char **argv, struct options *ret, char *ret_problem);

/* The given options as a set. */
uint64_t options_given(const struct options *options);

static inline bool options_has(const struct options *options, enum cli_option option)
{
    return options->values[option] != NULL;
}

/* A decimal number of at most max, without sign or other characters. */
bool options_number(const char *text, uint64_t max, uint64_t *ret);
