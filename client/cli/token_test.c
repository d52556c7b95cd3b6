/* esign token test, token tests: what a token can do, and the records of that. */
#include <string.h>

#include "cli/commands.h"
#include "cli/register.h"
#include "cli/token_report.h"
#include "cli/tokens.h"

/* Have esign-token try the token.  ret: its report, owned by the caller. */
static enum cli_exit test_run(struct cli *cli, const char *name, json_t **ret)
{
    const char *words[4] = {"--test"};
    size_t count = 1;

    if (tokens_in_use(cli, name))
        words[count++] = "--in-use";
    if (options_has(cli->options, OPTION_REMOVAL))
        words[count++] = "--removal";
    return tokens_report(cli, name, words, ret);
}

/* Have the daemon keep it, in an officer's name. */
static enum cli_exit test_store(struct cli *cli, json_t *report)
{
    static const struct show_column rows[] = {{"record", "test"},
                                              {"SHA-256", "sha256"},
                                              {"recorded", "recorded"},
                                              {"by", "by_user"},
                                              {"token in use", "seen"}};
    CLEANUP(esign_result_free_p) struct esign_result *kept = NULL;
    /* a copy: a body is wiped when it has been sent */
    json_t *body = json_pack("{s:o}", "report", json_deep_copy(report));

    (void)fflush(stdout); /* before a prompt appears on the terminal */
    enum cli_exit rc = register_post(cli, "/v1/tokens/tests", body, &kept);
    if (rc != CLI_DONE || cli_print_json(cli, kept))
        return rc;
    (void)putchar('\n');
    show_members(stdout, kept, rows, sizeof(rows) / sizeof(rows[0]));
    return CLI_DONE;
}

enum cli_exit command_token_test(struct cli *cli)
{
    CLEANUP(json_decref_p) json_t *report = NULL;
    bool json = options_has(cli->options, OPTION_JSON);
    bool store = options_has(cli->options, OPTION_STORE);
    enum cli_exit rc = test_run(cli, cli->operands[0], &report);

    if (rc != CLI_DONE)
        return rc;
    if (!json)
        token_report_show(stdout, report);
    else if (!store)
        rc = tokens_print_json(cli, report);
    if (rc == CLI_DONE && store)
        rc = test_store(cli, report);
    const char *verdict = json_str(report, "verdict");
    if (rc == CLI_DONE && (!verdict || strcmp(verdict, "usable") != 0))
        rc = CLI_REFUSED;
    return rc;
}

enum cli_exit command_token_tests(struct cli *cli)
{
    static const struct show_column columns[] = {
        {"TEST", "test"},         {"TOKEN", "token"}, {"SERIAL", "serial"}, {"VERDICT", "verdict"},
        {"RECORDED", "recorded"}, {"BY", "by_user"},  {"REASON", "reason"}};

    return cli_list(cli, "/v1/tokens/tests", columns, sizeof(columns) / sizeof(columns[0]));
}

enum cli_exit command_token_tests_show(struct cli *cli)
{
    static const struct show_column rows[] = {{"record", "test"},    {"recorded", "recorded"},
                                              {"by", "by_user"},     {"reason", "reason"},
                                              {"SHA-256", "sha256"}, {"token in use", "seen"}};
    CLEANUP(esign_result_free_p) struct esign_result *kept = NULL;
    CLEANUP(json_decref_p) json_t *row = NULL;
    char path[CLI_PATH_MAX];
    struct fault f = {0};
    size_t len = 0;
    enum cli_exit rc = cli_path("/v1/tokens/tests/", cli->operands[0], "", path);

    if (rc == CLI_DONE)
        rc = cli_call(cli, path, NULL, &kept);
    if (rc != CLI_DONE || cli_print_json(cli, kept))
        return rc;
    const char *text = esign_result_text(kept, &len);
    if (json_parse_object(bytes_of(text, len), &row, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    show_members(stdout, kept, rows, sizeof(rows) / sizeof(rows[0]));
    (void)putchar('\n');
    token_report_show(stdout, json_object_get(row, "report"));
    return CLI_DONE;
}
