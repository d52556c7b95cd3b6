/* Passwords: changed by their owner, ended by officers. */
#include "cli/commands.h"
#include "cli/register.h"

static const struct show_column credential_rows[] = {{"user id", "user_id"},
                                                     {"printed name", "printed_name"},
                                                     {"state", "state"},
                                                     {"password", "credential.state"},
                                                     {"expires", "credential.expires"},
                                                     {"days left", "credential.days_left"},
                                                     {"password reset", "credential.reset_at"},
                                                     {"reset by", "credential.reset_by"}};

/* The signer as it is afterwards. */
static void credential_show(const struct cli *cli, const struct esign_result *result)
{
    if (!cli_print_json(cli, result))
        show_members(stdout, result, credential_rows,
                     sizeof(credential_rows) / sizeof(credential_rows[0]));
}

enum cli_exit command_credential_change(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    CLEANUP(json_decref_p) json_t *body = json_object(); /* strings are wiped when freed */
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_components(cli, body);

    if (rc == CLI_DONE)
        rc = cli_path("/v1/signers/", json_str(body, "components.user_id"), "/password", path);
    if (rc == CLI_DONE)
        rc = cli_secret(cli, body, "password", "New password", true);
    if (rc == CLI_DONE)
        rc = cli_call(cli, path, TAKE(body), &result);
    if (rc == CLI_DONE)
        credential_show(cli, result);
    return rc;
}

enum cli_exit command_credential_must_change(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/signers/", cli->operands[0], "/must-change", path);

    if (rc == CLI_DONE)
        rc = register_post(cli, path, json_object(), &result);
    if (rc == CLI_DONE)
        credential_show(cli, result);
    return rc;
}

enum cli_exit command_credential_reset(struct cli *cli)
{
    json_t *params = json_object();

    cli_set(params, "user_id", cli->operands[0]);
    return register_ask(cli, "credential.reset", params);
}

enum cli_exit command_credential_set(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    CLEANUP(json_decref_p) json_t *body = json_object(); /* strings are wiped when freed */
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/signers/", cli->operands[0], "/set-password", path);

    if (rc == CLI_DONE)
        rc = register_take_halves(cli, body);
    if (rc == CLI_DONE)
        rc = cli_call(cli, path, TAKE(body), &result);
    if (rc == CLI_DONE)
        credential_show(cli, result);
    return rc;
}
