#include <string.h>

#include "cli/commands.h"

enum cli_exit command_status(struct cli *cli)
{
    static const struct show_column rows[] = {
        {"esignd", "version"},
        {"state", "state"},
        {"system", "system"},
        {"system class", "system_class"},
        {"separation", "separation"},
        {"clock", "clock.state"},
        {"clock error (ms)", "clock.error_ms"},
        {"audit entries", "audit.size"},
        {"in checkpoint", "audit.checkpoint_size"},
        {"anchor", "anchor"},
        {"you are", "peer.kind"},
        {"registered as", "peer.id"},
    };
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    enum cli_exit rc = cli_outcome(cli, esign_status(cli->daemon, &result, cli->error));

    if (rc != CLI_DONE || cli_print_json(cli, result))
        return rc;
    show_members(stdout, result, rows, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < esign_result_count(result, "tokens"); i++) {
        struct show_column token[4];
        char paths[4][64];
        static const char *const members[] = {"name", "state", "role", "detail"};
        for (size_t m = 0; m < 4; m++) {
            (void)snprintf(paths[m], sizeof(paths[m]), "tokens.%zu.%s", i, members[m]);
            token[m] = (struct show_column){m == 0 ? "token" : members[m], paths[m]};
        }
        (void)putchar('\n');
        show_members(stdout, result, token, 4);
    }
    for (size_t i = 0; i < esign_result_count(result, "warnings"); i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "warnings.%zu", i);
        const char *text = esign_result_string(result, path);
        (void)fputs(i == 0 ? "\nwarning: " : "warning: ", stdout);
        show_text(stdout, text ? text : "", false);
        (void)putchar('\n');
    }
    return CLI_DONE;
}

enum cli_exit command_ca(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    const char *out = cli_option(cli, OPTION_OUT);
    enum cli_exit rc = cli_call(cli, "/v1/ca", NULL, &result);

    if (rc != CLI_DONE || (!out && cli_print_json(cli, result)))
        return rc;
    const char *pem = esign_result_string(result, "certificate");
    return cli_write_file(cli, out ? out : "-", bytes_of_str(pem ? pem : ""), 0644);
}

enum cli_exit command_token_list(struct cli *cli)
{
    static const struct show_column columns[] = {{"NAME", "name"},     {"ROLE", "role"},
                                                 {"STATE", "state"},   {"LABEL", "label"},
                                                 {"SERIAL", "serial"}, {"DETAIL", "detail"}};

    return cli_list(cli, "/v1/tokens", columns, sizeof(columns) / sizeof(columns[0]));
}

enum cli_exit command_meaning_list(struct cli *cli)
{
    static const struct show_column columns[] = {
        {"CODE", "code"}, {"VERSION", "version"}, {"TEXT", "text"}};

    return cli_list(cli, "/v1/meanings", columns, sizeof(columns) / sizeof(columns[0]));
}

enum cli_exit command_plan_list(struct cli *cli)
{
    static const struct show_column columns[] = {{"PLAN", "id|plan"}, {"VERSION", "version"}};

    return cli_list(cli, "/v1/plans", columns, sizeof(columns) / sizeof(columns[0]));
}
