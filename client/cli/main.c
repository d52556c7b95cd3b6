#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "cli/commands.h"

DEFINE_CLEANUP(struct esign *, esign_close)

/* Bodies and replies may hold secrets: every piece of a JSON tree is wiped when it is freed. */
static void main_free(void *memory)
{
    if (memory)
        secret_wipe(memory, malloc_usable_size(memory));
    free(memory);
}

/* The name of the first option in a set. */
static const char *main_first(uint64_t set)
{
    int i = 0;

    while (!(set & OPTION_SET(i)))
        i++;
    return option_rows[i].name;
}

/* Whether the options and operands are those of the command. */
static enum cli_exit main_check(const struct command *command, const struct cli *cli)
{
    uint64_t given = options_given(cli->options);
    uint64_t foreign = given & ~(command->options | OPTION_COMMON);
    uint64_t missing = command->required & ~given;

    if (foreign)
        return cli_usage("%s takes no --%s (esign %s --help)", command->words, main_first(foreign),
                         command->words);
    if (missing)
        return cli_usage("%s needs --%s (esign %s --help)", command->words, main_first(missing),
                         command->words);
    bool more = strstr(command->operands, "...") && cli->operand_count > command->operand_count;
    if (!more && cli->operand_count != command->operand_count)
        return cli_usage("usage: esign %s %s", command->words, command->operands);
    return CLI_DONE;
}

static enum cli_exit main_password_fd(struct cli *cli)
{
    const char *text = cli_option(cli, OPTION_PASSWORD_FD);
    uint64_t number = 0;

    cli->ask.fd = -1;
    if (!text)
        return CLI_DONE;
    if (!options_number(text, INT_MAX, &number) || fcntl((int)number, F_GETFD) < 0)
        return cli_usage("--password-fd is the number of an open file descriptor");
    cli->ask.fd = (int)number;
    return CLI_DONE;
}

static enum cli_exit main_run(const struct command *command, struct cli *cli)
{
    CLEANUP(esign_close_p) struct esign *daemon = NULL;
    const char *socket = cli_option(cli, OPTION_SOCKET);
    struct fault f = {0};

    json_set_alloc_funcs(malloc, main_free);
    if (secret_start(&f) != ESIGN_OK)
        return cli_fault(cli, &f);
    cli->error = esign_error_new(); /* freed by main_command(): repeat.h may put another there */
    if (!socket)
        socket = getenv("ESIGN_SOCKET");
    if (esign_open(socket && *socket ? socket : NULL, &daemon, cli->error) != ESIGN_OK)
        return cli_failed(cli);
    cli->daemon = daemon;
    return command->run(cli);
}

static enum cli_exit main_command(const struct options *options)
{
    int words = 0;
    const struct command *command = command_find(options->operands, options->operand_count, &words);

    if (options_has(options, OPTION_VERSION)) {
        (void)printf("esign %s\n", esign_version());
        return CLI_DONE;
    }
    if (options_has(options, OPTION_HELP)) {
        command_help(command);
        return CLI_DONE;
    }
    if (!command) {
        enum cli_exit rc =
            options->operand_count > 0
                ? cli_usage("there is no command \"%s%s%s\" (esign --help)", options->operands[0],
                            options->operand_count > 1 ? " " : "",
                            options->operand_count > 1 ? options->operands[1] : "")
                : cli_usage("which command? (esign --help)");
        if (options->operand_count > 0)
            command_list_like(options->operands[0]);
        return rc;
    }
    struct cli cli = {.options = options,
                      .operands = options->operands + words,
                      .operand_count = options->operand_count - words};
    enum cli_exit rc = main_check(command, &cli);
    if (rc == CLI_DONE)
        rc = main_password_fd(&cli);
    if (rc == CLI_DONE)
        rc = main_run(command, &cli);
    esign_error_free(cli.error);
    return rc;
}

int main(int argc, char **argv)
{
    struct options options;
    char problem[OPTIONS_PROBLEM_MAX];

    if (!options_read(argc, argv, &options, problem))
        return (int)cli_usage("%s (esign --help)", problem);
    enum cli_exit rc = main_command(&options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fputs("esign: the output can't be written\n", stderr);
        rc = rc == CLI_DONE ? CLI_REFUSED : rc;
    }
    return (int)rc;
}
