#include "cli/commands.h"
#include "cli/person.h"
#include "cli/present.h"

enum cli_exit command_tickets(struct cli *cli)
{
    static const struct show_column columns[] = {
        {"TICKET", "ticket"},           {"STATE", "state"},
        {"RECORD TYPE", "record.type"}, {"RECORD", "record.id"},
        {"VERSION", "record.version"},  {"MEANING", "meaning.code"},
        {"SIGNER", "signer"},           {"APPLICATION", "application"},
        {"EXPIRES", "expires"}};
    char path[CLI_PATH_MAX] = "";
    const char *as = cli_option(cli, OPTION_AS);
    bool all = options_has(cli->options, OPTION_ALL);
    enum cli_exit rc = CLI_DONE;

    if (as)
        rc = cli_path("/v1/tickets?signer=", as, all ? "" : "&state=ready", path);
    else
        (void)snprintf(path, sizeof(path), "/v1/tickets%s", all ? "" : "?state=ready");
    if (rc != CLI_DONE)
        return rc;
    return cli_list(cli, path, columns, sizeof(columns) / sizeof(columns[0]));
}

enum cli_exit command_ticket_show(struct cli *cli)
{
    static const struct show_column rows[] = {{"ticket", "ticket"},
                                              {"state", "state"},
                                              {"ended because", "end_reason"},
                                              {"record type", "record.type"},
                                              {"record id", "record.id"},
                                              {"version", "record.version"},
                                              {"media type", "record.media_type"},
                                              {"bytes", "record.length"},
                                              {"hash", "record.hash"},
                                              {"meaning", "meaning.text"},
                                              {"plan", "plan"},
                                              {"step", "step"},
                                              {"signer", "signer"},
                                              {"application", "application"},
                                              {"created", "created"},
                                              {"expires", "expires"},
                                              {"signature", "signature"}};
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/tickets/", cli->operands[0], "", path);

    return rc == CLI_DONE ? cli_show(cli, path, rows, sizeof(rows) / sizeof(rows[0])) : rc;
}

/* The new state of a ticket. */
static enum cli_exit ticket_print(const struct cli *cli, const struct esign_result *ticket)
{
    static const struct show_column rows[] = {{"ticket", "ticket"}, {"state", "state"}};

    if (!cli_print_json(cli, ticket))
        show_members(stdout, ticket, rows, sizeof(rows) / sizeof(rows[0]));
    return CLI_DONE;
}

/* Why: --reason, or asked on the terminal.  ret: ASK_LINE_MAX bytes for an answer. */
static enum cli_exit ticket_reason(const struct cli *cli, char *ret, const char **ret_reason)
{
    const char *given = cli_option(cli, OPTION_REASON);
    struct fault f = {0};

    if (!given && cli->ask.fd >= 0)
        return cli_usage("decline needs --reason with --password-fd");
    if (!given && ask_line("Reason", "--reason TEXT", ret, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    *ret_reason = given ? given : ret;
    return CLI_DONE;
}

enum cli_exit command_decline(struct cli *cli)
{
    CLEANUP(person_done) struct person person = {0};
    CLEANUP(esign_result_free_p) struct esign_result *ticket = NULL;
    CLEANUP(esign_result_free_p) struct esign_result *declined = NULL;
    const char *id = cli->operands[0], *reason = NULL;
    char answer[ASK_LINE_MAX];
    enum cli_exit rc = present_fetch(cli, id, &ticket);

    if (rc == CLI_DONE)
        rc = ticket_reason(cli, answer, &reason);
    if (rc == CLI_DONE)
        rc = person_ask(cli, &person);
    if (rc != CLI_DONE)
        return rc;
    const struct esign_components components = person_components(&person);
    rc = cli_outcome(
        cli, esign_ticket_decline(cli->daemon, id, &components, reason, &declined, cli->error));
    return rc == CLI_DONE ? ticket_print(cli, declined) : rc;
}

enum cli_exit command_cancel(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *ticket = NULL;
    enum cli_exit rc =
        cli_outcome(cli, esign_ticket_cancel(cli->daemon, cli->operands[0],
                                             cli_option(cli, OPTION_REASON), &ticket, cli->error));

    return rc == CLI_DONE ? ticket_print(cli, ticket) : rc;
}
