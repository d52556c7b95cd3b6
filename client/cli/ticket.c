#include <limits.h>
#include <string.h>

#include "base/encode.h"
#include "cli/commands.h"
#include "cli/sign.h"

DEFINE_CLEANUP(struct secret *, secret_free)

enum cli_exit command_tickets(struct cli *cli)
{
    static const struct show_column columns[] = {
        {"TICKET", "ticket"},           {"STATE", "state"},
        {"RECORD TYPE", "record.type"}, {"RECORD", "record.id"},
        {"VERSION", "record.version"},  {"MEANING", "meaning.code"},
        {"SIGNER", "signer"},           {"APPLICATION", "application"},
        {"EXPIRES", "expires"}};
    char path[CLI_PATH_MAX];
    const char *as = cli_option(cli, OPTION_AS);
    enum cli_exit rc = as ? cli_path("/v1/tickets?signer=", as, "", path) : CLI_DONE;

    if (rc != CLI_DONE)
        return rc;
    return cli_list(cli, as ? path : "/v1/tickets", columns, sizeof(columns) / sizeof(columns[0]));
}

enum cli_exit command_ticket_show(struct cli *cli)
{
    static const struct show_column rows[] = {{"ticket", "ticket"},
                                              {"state", "state"},
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

/* Whether the file that the signer looked at is the record of the ticket. */
static enum cli_exit ticket_compare(const struct cli *cli, const struct esign_result *ticket,
                                    const char *file)
{
    CLEANUP(buf_done) struct buf content = buf_new(0);
    uint8_t digest[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    struct fault f = {0};
    const char *hash = esign_result_string(ticket, "record.hash");
    enum cli_exit rc = cli_read_file(cli, file, &content);

    if (rc != CLI_DONE)
        return rc;
    bytes_sha256(buf_bytes(&content), (struct bytes){0}, digest);
    encode_hex(bytes_of(digest, sizeof(digest)), hex);
    if (hash && strcmp(hash, hex) == 0)
        return CLI_DONE;
    (void)fault_set(&f, ESIGN_E_RECORD_MISMATCH,
                    "%.100s is not the record of this ticket; nothing was signed", file);
    return cli_fault(cli, &f);
}

enum cli_exit command_approve(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *ticket = NULL;
    CLEANUP(esign_result_free_p) struct esign_result *signature = NULL;
    const char *id = cli->operands[0], *file = cli_option(cli, OPTION_RECORD_FILE);
    const char *out = cli_option(cli, OPTION_OUT);
    enum cli_exit rc = out ? sign_check_out(cli, out) : CLI_DONE;

    if (rc == CLI_DONE)
        rc = cli_outcome(cli, esign_ticket_show(cli->daemon, id, &ticket, cli->error));
    if (rc != CLI_DONE)
        return rc;
    const char *state = esign_result_string(ticket, "state");
    if (!state || strcmp(state, "ready") != 0) {
        struct fault f = {0};
        (void)fault_set(&f, ESIGN_E_CONFLICT, "the ticket can't be signed any more: it is %.40s",
                        state ? state : "unknown");
        return cli_fault(cli, &f);
    }
    sign_present(cli, ticket);
    if (file)
        rc = ticket_compare(cli, ticket, file);
    if (rc == CLI_DONE)
        rc = sign_authorise(cli, ticket, &signature);
    if (rc != CLI_DONE)
        return rc;
    if (out)
        return sign_finish(cli, signature, out);
    if (cli_print_json(cli, signature))
        return CLI_DONE;
    const char *text = esign_result_string(signature, "manifestation");
    const char *name = esign_result_string(signature, "signature");
    (void)fputs("signed: ", stdout);
    show_text(stdout, name ? name : "", false);
    (void)putchar('\n');
    show_text(stdout, text ? text : "", true);
    (void)fputs("\nnot written to a file: esign signature show ", stdout);
    show_text(stdout, name ? name : "", false);
    (void)fputs(" -o FILE\n", stdout);
    return CLI_DONE;
}

/* The new state of a ticket. */
static enum cli_exit ticket_print(const struct cli *cli, const struct esign_result *ticket)
{
    static const struct show_column rows[] = {{"ticket", "ticket"}, {"state", "state"}};

    if (!cli_print_json(cli, ticket))
        show_members(stdout, ticket, rows, sizeof(rows) / sizeof(rows[0]));
    return CLI_DONE;
}

enum cli_exit command_decline(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *ticket = NULL;
    CLEANUP(secret_free_p) struct secret *password = NULL;
    char user[ASK_LINE_MAX], prompt[ASK_LINE_MAX + 32];
    struct fault f = {0};
    enum cli_exit rc = cli_user(cli, user);

    if (rc != CLI_DONE)
        return rc;
    (void)snprintf(prompt, sizeof(prompt), "Password of %s", user);
    if (ask_secret(&cli->ask, prompt, false, &password, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    struct bytes bytes = secret_bytes(password);
    const struct esign_components components = {user, (const char *)bytes.data, bytes.len};
    rc =
        cli_outcome(cli, esign_ticket_decline(cli->daemon, cli->operands[0], &components,
                                              cli_option(cli, OPTION_REASON), &ticket, cli->error));
    return rc == CLI_DONE ? ticket_print(cli, ticket) : rc;
}

enum cli_exit command_cancel(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *ticket = NULL;
    enum cli_exit rc =
        cli_outcome(cli, esign_ticket_cancel(cli->daemon, cli->operands[0],
                                             cli_option(cli, OPTION_REASON), &ticket, cli->error));

    return rc == CLI_DONE ? ticket_print(cli, ticket) : rc;
}
