/* One run of the command: what every subcommand is given, and how they talk to the daemon. */
#pragma once

#include "base/cleanup.h"
#include "base/json.h"
#include "cli/ask.h"
#include "cli/exit.h"
#include "cli/options.h"
#include "cli/show.h"
#include "esign/client.h"

struct cli {
    const struct options *options;
    struct esign *daemon;
    struct esign_error *error; /* of the last call; printed by cli_failed() */
    char **operands;           /* after the words of the command */
    int operand_count;
    bool one_time; /* a one-time secret is sent, no user id with a password that counts failures */
    struct ask ask;
};

typedef enum cli_exit (*cli_run)(struct cli *cli);

/* The value of an option, or NULL. */
static inline const char *cli_option(const struct cli *cli, enum cli_option option)
{
    return cli->options->values[option];
}

/* Print the error of the last call: `esign: E_CODE(reason): detail (field: x)`, and what to do.
 * Returns its exit. */
enum cli_exit cli_failed(const struct cli *cli);

/* The same for a failure found in this process. */
enum cli_exit cli_fault(const struct cli *cli, const struct fault *f);

/* Print `esign: …` about the command line.  Returns CLI_USAGE. */
enum cli_exit cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One exchange.  body: NULL for a GET, else POST; taken over, its strings are wiped.  On anything
 * but CLI_DONE the error is printed.  ret: owned by the caller, ended with esign_result_free(). */
enum cli_exit cli_call(struct cli *cli, const char *path, json_t *body, struct esign_result **ret);

/* The outcome of a library call: CLI_DONE, or cli_failed(). */
enum cli_exit cli_outcome(const struct cli *cli, enum esign_rc rc);

/* With --json: print the reply and return true. */
bool cli_print_json(const struct cli *cli, const struct esign_result *result);

/* GET a list and print it as a table, part by part until its end or --limit.  path: without a
 * query, or with one. */
enum cli_exit cli_list(struct cli *cli, const char *path, const struct show_column *columns,
                       size_t column_count);

/* GET one object and print its members. */
enum cli_exit cli_show(struct cli *cli, const char *path, const struct show_column *rows,
                       size_t row_count);

enum { CLI_PATH_MAX = 512, CLI_USER_MAX = 64, CLI_FILE_MAX = 16 * 1024 * 1024 };

/* "prefix" + operand + "suffix" into ret (CLI_PATH_MAX bytes); the operand must be an identifier.
 * CLI_USAGE with a message otherwise. */
enum cli_exit cli_path(const char *prefix, const char *operand, const char *suffix, char *ret);

/* Who acts: --as, or asked on the terminal.  ret: ASK_LINE_MAX bytes. */
enum cli_exit cli_user(const struct cli *cli, char *ret);

/* The member "components" of body: user id and password. */
enum cli_exit cli_components(const struct cli *cli, json_t *body);

/* A secret as a string member of object.  prompt, twice: as ask_secret. */
enum cli_exit cli_secret(const struct cli *cli, json_t *object, const char *member,
                         const char *prompt, bool twice);

/* Set a string member; value NULL: nothing is set. */
void cli_set(json_t *object, const char *member, const char *value);

/* Read a file of at most CLI_FILE_MAX bytes ("-": standard input).  ret: buf_new()ed here, owned by
 * the caller. */
enum cli_exit cli_read_file(const struct cli *cli, const char *path, struct buf *ret);

/* Write a new file, or replace one, in one step: a reader never sees a part.  mode: of the
 * file.  path "-": standard output. */
enum cli_exit cli_write_file(const struct cli *cli, const char *path, struct bytes content,
                             unsigned mode);

/* The same without a message: 0, or the errno of the failure. */
int cli_put_file(const char *path, struct bytes content, unsigned mode);

/* Whether cli_put_file() could write path now: 0, or the errno.  Leaves nothing behind. */
int cli_check_file(const char *path);

/* Split TYPE:ID:VERSION; the id may contain colons.  Each part must not be empty.  ret: three
 * strings in storage.  Whether text has that form. */
enum { CLI_RECORD_MAX = 512 };
struct cli_record {
    char storage[CLI_RECORD_MAX];
    const char *type, *id, *version;
};
bool cli_parse_record(const char *text, struct cli_record *ret);

DEFINE_CLEANUP(struct esign_result *, esign_result_free)
