#include <poll.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/register.h"
#include "cli/tokens.h"

enum { INIT_WAIT_MS = 200, INIT_WAITS = 150, INIT_TIMEOUT_MS = 600000 };

enum cli_exit command_token_init(struct cli *cli)
{
    enum cli_exit rc = tokens_make(cli, cli->operands[0]);

    if (rc == CLI_DONE)
        (void)printf("token %s is made\n", cli->operands[0]);
    return rc;
}

/* A password for each officer of the file. */
static enum cli_exit init_passwords(const struct cli *cli, json_t *officers)
{
    struct fault f = {0};

    for (size_t i = 0; i < json_array_size(officers); i++) {
        json_t *officer = json_array_get(officers, i);
        const char *user = json_str(officer, "user_id");
        char prompt[ASK_LINE_MAX];
        if (!user || json_object_get(officer, "password")) {
            (void)fault_field(&f, ESIGN_E_PROTO, "officers", "officer %zu %s", i + 1,
                              user ? "has a password in the file; remove it, it is asked for"
                                   : "has no user_id");
            return cli_fault(cli, &f);
        }
        (void)snprintf(prompt, sizeof(prompt), "New password of %.64s", user);
        enum cli_exit rc = cli_secret(cli, officer, "password", prompt, true);
        if (rc != CLI_DONE)
            return rc;
    }
    return CLI_DONE;
}

/* How many tokens the daemon can't use now. */
static size_t init_unavailable(const struct esign_result *status)
{
    size_t count = 0;
    char path[64];

    for (size_t i = 0; i < esign_result_count(status, "tokens"); i++) {
        (void)snprintf(path, sizeof(path), "tokens.%zu.state", i);
        const char *state = esign_result_string(status, path);
        count += !state || strcmp(state, "ready") != 0;
    }
    return count;
}

/* Services of tokens that were made just now need a moment to start. */
static enum cli_exit init_wait(struct cli *cli)
{
    for (int i = 0; i < INIT_WAITS; i++) {
        CLEANUP(esign_result_free_p) struct esign_result *status = NULL;
        if (esign_status(cli->daemon, &status, cli->error) == ESIGN_OK &&
            init_unavailable(status) == 0)
            return CLI_DONE;
        (void)poll(NULL, 0, INIT_WAIT_MS); /* shorter is harmless */
    }
    struct fault f = {0};
    (void)fault_set(&f, ESIGN_E_HSM,
                    "the tokens are made, but the services do not use them yet; start them and run "
                    "esign init again");
    return cli_fault(cli, &f);
}

/* Before anything is asked or made.  A service that does not answer yet is told of later. */
static enum cli_exit init_check(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *status = NULL;
    struct fault f = {0};

    if (esign_status(cli->daemon, &status, NULL) != ESIGN_OK)
        return CLI_DONE;
    const char *state = esign_result_string(status, "state");
    if (!state || strcmp(state, "ready") != 0)
        return CLI_DONE;
    (void)fault_set(&f, ESIGN_E_CONFLICT, "this service has been initialised before");
    return cli_fault(cli, &f);
}

static void init_report(const struct esign_result *result)
{
    static const struct show_column rows[] = {{"origin", "origin"}, {"log key", "log_spki"}};

    (void)puts("The service is initialised.");
    show_members(stdout, result, rows, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < esign_result_count(result, "officers"); i++) {
        char user[64], signer[64];
        (void)snprintf(user, sizeof(user), "officers.%zu.user_id", i);
        (void)snprintf(signer, sizeof(signer), "officers.%zu.signer_id", i);
        const struct show_column officer[] = {{"officer", user}, {"signer id", signer}};
        show_members(stdout, result, officer, 2);
    }
    const char *checkpoint = esign_result_string(result, "checkpoint");
    if (checkpoint) {
        (void)puts("\nKeep this first checkpoint of the audit trail outside of this machine:\n");
        show_text(stdout, checkpoint, true);
    }
}

enum cli_exit command_init(struct cli *cli)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    unsigned made = 0;
    enum cli_exit rc = init_check(cli);

    if (rc == CLI_DONE)
        rc = register_read_object(cli, cli_option(cli, OPTION_OFFICERS), &body);
    if (rc == CLI_DONE)
        rc = tokens_make_missing(cli, &made);
    if (rc == CLI_DONE && made > 0)
        rc = init_wait(cli);
    if (rc == CLI_DONE)
        rc = init_passwords(cli, json_object_get(body, "officers"));
    if (rc != CLI_DONE)
        return rc;
    esign_set_timeout(cli->daemon, INIT_TIMEOUT_MS); /* keys are made: slow on some tokens */
    rc = cli_call(cli, "/v1/init", TAKE(body), &result);
    if (rc == CLI_DONE && !cli_print_json(cli, result))
        init_report(result);
    return rc;
}
