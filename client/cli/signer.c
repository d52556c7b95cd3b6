#include <string.h>

#include "base/encode.h"
#include "cli/commands.h"
#include "cli/register.h"

enum cli_exit command_signer_enroll(struct cli *cli)
{
    CLEANUP(json_decref_p) json_t *person = NULL;
    enum cli_exit rc = register_read_object(cli, cli_option(cli, OPTION_PERSON), &person);

    if (rc != CLI_DONE)
        return rc;
    return register_ask(cli, "signer.enroll", json_incref(person));
}

enum cli_exit command_signer_list(struct cli *cli)
{
    static const struct show_column columns[] = {
        {"USER ID", "user_id"}, {"PRINTED NAME", "printed_name"},
        {"TITLE", "title"},     {"STATE", "state"},
        {"ROLES", "roles"},     {"CUSTODY", "custody"}};

    return cli_list(cli, "/v1/signers", columns, sizeof(columns) / sizeof(columns[0]));
}

enum cli_exit command_signer_show(struct cli *cli)
{
    static const struct show_column rows[] = {
        {"user id", "user_id"},
        {"signer id", "signer_id"},
        {"printed name", "printed_name"},
        {"title", "title"},
        {"state", "state"},
        {"roles", "roles"},
        {"group", "group"},
        {"custody", "custody"},
        {"card's SHA-256", "card_sha256"},
        {"card tested", "card_tested"},
        {"password", "credential.state"},
        {"password changed", "credential.changed"},
        {"password expires", "credential.expires"},
        {"warning", "credential.warning"},
        {"password reset", "credential.reset_at"},
        {"reset by", "credential.reset_by"},
        {"enrolled by", "enrolled_by"},
        {"approved by", "approved_by"},
        {"identity checked", "evidence.method"},
        {"document", "evidence.document_type"},
        {"issuer", "evidence.issuer"},
        {"last characters", "evidence.number_end"},
        {"seen", "evidence.seen"},
    };
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/signers/", cli->operands[0], "", path);

    return rc == CLI_DONE ? cli_show(cli, path, rows, sizeof(rows) / sizeof(rows[0])) : rc;
}

enum cli_exit command_signer_history(struct cli *cli)
{
    static const struct show_column columns[] = {
        {"SEQ", "seq"},       {"TIME (UTC)", "time"},
        {"ACTION", "action"}, {"BY", "actor.user_id|actor.role"},
        {"RESULT", "result"}, {"REASON", "reason"}};
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/signers/", cli->operands[0], "/history", path);

    return rc == CLI_DONE ? cli_list(cli, path, columns, sizeof(columns) / sizeof(columns[0])) : rc;
}

/* POST with components and reason, then the signer's new state. */
static enum cli_exit signer_act(struct cli *cli, const char *verb)
{
    static const struct show_column rows[] = {
        {"user id", "user_id"}, {"printed name", "printed_name"}, {"state", "state"}};
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/signers/", cli->operands[0], verb, path);

    if (rc == CLI_DONE)
        rc = register_post(cli, path, json_object(), &result);
    if (rc == CLI_DONE && !cli_print_json(cli, result))
        show_members(stdout, result, rows, sizeof(rows) / sizeof(rows[0]));
    return rc;
}

enum cli_exit command_signer_unlock(struct cli *cli)
{
    return signer_act(cli, "/unlock");
}

enum cli_exit command_signer_unlock_officer(struct cli *cli)
{
    static const struct show_column rows[] = {
        {"user id", "user_id"}, {"printed name", "printed_name"}, {"state", "state"}};
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    json_t *body = json_object();
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/signers/", cli->operands[0], "/unlock-officer", path);

    cli_set(body, "reason", cli_option(cli, OPTION_REASON));
    if (rc != CLI_DONE) {
        json_decref(body);
        return rc;
    }
    rc = cli_call(cli, path, body, &result);
    if (rc == CLI_DONE && !cli_print_json(cli, result))
        show_members(stdout, result, rows, sizeof(rows) / sizeof(rows[0]));
    return rc;
}

enum cli_exit command_signer_revoke(struct cli *cli)
{
    return signer_act(cli, "/revoke");
}

/* The statement that is accepted: --accept CODE:VERSION, or the newest, shown and agreed to. */
static enum cli_exit signer_statement(struct cli *cli, json_t *body)
{
    CLEANUP(esign_result_free_p) struct esign_result *list = NULL;
    const char *accept = cli_option(cli, OPTION_ACCEPT), *colon = accept ? strchr(accept, ':') : "";
    char path[64], answer[ASK_LINE_MAX], option[80];
    uint64_t version = 0;
    struct fault f = {0};

    if (!colon || (accept && !options_number(colon + 1, UINT32_MAX, &version)))
        return cli_usage("--accept is CODE:VERSION, such as accountability:1");
    if (accept) {
        json_t *statement = json_pack("{s:s%, s:I}", "code", accept, (size_t)(colon - accept),
                                      "version", (json_int_t)version);
        (void)json_object_set_new(body, "accept_statement", statement); /* missed by name */
        return CLI_DONE;
    }
    enum cli_exit rc = cli_call(cli, "/v1/statements", NULL, &list);
    if (rc != CLI_DONE)
        return rc;
    size_t last = 0, count = esign_result_count(list, "items");
    int64_t newest = -1;
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), "items.%zu.version", i);
        if (esign_result_integer(list, path, -1) > newest) {
            newest = esign_result_integer(list, path, -1);
            last = i;
        }
    }
    (void)snprintf(path, sizeof(path), "items.%zu.text", last);
    const char *text = esign_result_string(list, path);
    (void)snprintf(path, sizeof(path), "items.%zu.code", last);
    const char *code = esign_result_string(list, path);
    if (!text || !code || newest < 0) {
        (void)fault_set(&f, ESIGN_E_CONFLICT, "the service has no statement to accept");
        return cli_fault(cli, &f);
    }
    show_text(stderr, text, true);
    (void)fputs("\n\n", stderr);
    (void)snprintf(option, sizeof(option), "--accept %.40s:%lld", code, (long long)newest);
    if (cli->ask.fd >= 0) /* no person types: who gave the secrets must have read it before */
        return cli_usage("the signer must accept the statement above; if that is done, give %s",
                         option);
    if (ask_line("Type yes to accept this statement", option, answer, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    if (strcmp(answer, "yes") != 0) {
        (void)fault_set(&f, ESIGN_E_CONFLICT, "the statement was not accepted; nothing was done");
        return cli_fault(cli, &f);
    }
    json_t *statement = json_pack("{s:s, s:I}", "code", code, "version", (json_int_t)newest);
    (void)json_object_set_new(body, "accept_statement", statement); /* missed by name */
    return CLI_DONE;
}

enum cli_exit command_signer_activate(struct cli *cli)
{
    static const struct show_column rows[] = {{"user id", "signer.user_id"},
                                              {"printed name", "signer.printed_name"},
                                              {"state", "signer.state"}};
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    char path[CLI_PATH_MAX];
    json_t *body = json_object();
    enum cli_exit rc = cli_path("/v1/signers/", cli->operands[0], "/activate", path);

    if (rc == CLI_DONE)
        rc = signer_statement(cli, body);
    if (rc == CLI_DONE)
        rc = register_take_halves(cli, body);
    cli_set(body, "algorithm", cli_option(cli, OPTION_ALGORITHM));
    if (rc == CLI_DONE)
        rc = cli_call(cli, path, json_incref(body), &result);
    json_decref(body); /* its strings are wiped when they are freed */
    if (rc == CLI_DONE && !cli_print_json(cli, result))
        show_members(stdout, result, rows, sizeof(rows) / sizeof(rows[0]));
    return rc;
}
