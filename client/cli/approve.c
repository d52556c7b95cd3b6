/* esign approve: one ticket, or several in one session. */
#include <string.h>

#include "base/encode.h"
#include "cli/authorise.h"
#include "cli/commands.h"
#include "cli/hold.h"
#include "cli/present.h"
#include "cli/series.h"
#include "cli/sign.h"

/* Whether the file that the signer looked at is the record of the ticket. */
static enum cli_exit approve_compare(const struct cli *cli, const struct esign_result *ticket,
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

/* Tell about a signature that no file was asked for. */
static enum cli_exit approve_tell(const struct cli *cli, const struct esign_result *signature)
{
    const char *text = esign_result_string(signature, "manifestation");
    const char *name = esign_result_string(signature, "signature");

    if (cli_print_json(cli, signature))
        return CLI_DONE;
    (void)fputs("signed: ", stdout);
    show_text(stdout, name ? name : "", false);
    (void)putchar('\n');
    show_text(stdout, text ? text : "", true);
    (void)fputs("\nnot written to a file: esign signature show ", stdout);
    show_text(stdout, name ? name : "", false);
    (void)fputs(" -o FILE\n", stdout);
    return CLI_DONE;
}

/* After a question that was not answered. */
static void approve_tell_unsigned(const char *ticket)
{
    (void)fputs("  not signed; the ticket stays: esign approve ", stderr);
    show_text(stderr, ticket, false);
    (void)fputc('\n', stderr);
}

/* One ticket, as a signing on its own. */
static enum cli_exit approve_one(struct cli *cli)
{
    CLEANUP(person_done) struct person person = {0};
    CLEANUP(esign_result_free_p) struct esign_result *ticket = NULL;
    CLEANUP(esign_result_free_p) struct esign_result *signature = NULL;
    const char *file = cli_option(cli, OPTION_RECORD_FILE), *out = cli_option(cli, OPTION_OUT);
    enum cli_exit rc = out ? sign_check_out(cli, out) : CLI_DONE;

    if (rc == CLI_DONE)
        rc = present_fetch(cli, cli->operands[0], &ticket);
    if (rc == CLI_DONE && file)
        rc = approve_compare(cli, ticket, file);
    if (rc != CLI_DONE)
        return rc;
    rc = authorise_ticket(cli, ticket, &person, &signature);
    if (!person.ended &&
        (person.nothing || (rc == CLI_REFUSED && esign_error_code(cli->error) == ESIGN_OK)))
        approve_tell_unsigned(cli->operands[0]);
    if (rc != CLI_DONE)
        return rc;
    return out ? sign_finish(cli, signature, out) : approve_tell(cli, signature);
}

/* Whether a refusal tells of one ticket only, so that the next one is asked for. */
static bool approve_is_of_ticket(enum esign_rc rc)
{
    static const enum esign_rc codes[] = {
        ESIGN_E_NOT_FOUND,       ESIGN_E_CONFLICT,        ESIGN_E_REPLAY,
        ESIGN_E_REASON_REQUIRED, ESIGN_E_RECORD_MISMATCH, ESIGN_E_RECORD_SUPERSEDED,
        ESIGN_E_NOT_PRESENTED,   ESIGN_E_AUTHZ,           ESIGN_E_MEANING,
        ESIGN_E_SEQUENCE,        ESIGN_E_SAME_PERSON,     ESIGN_E_ALREADY_SIGNED,
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (rc == codes[i])
            return true;
    return false;
}

/* One of several.  ret_go_on: whether the next can be asked for after a failure. */
static enum cli_exit approve_next(struct series *series, const char *id, bool *ret_go_on)
{
    struct cli *cli = series->cli;
    CLEANUP(esign_result_free_p) struct esign_result *ticket = NULL;
    CLEANUP(esign_result_free_p) struct esign_result *signature = NULL;
    enum cli_exit rc = present_fetch(cli, id, &ticket);
    bool shown = rc == CLI_DONE;

    if (shown)
        rc = series_sign(series, ticket, &signature);
    if (rc == CLI_DONE)
        return approve_tell(cli, signature);
    if (shown && series->person.nothing)
        approve_tell_unsigned(id);
    enum esign_rc code = esign_error_code(cli->error);
    bool own = shown ? series->person.nothing : code == ESIGN_OK; /* found here */
    *ret_go_on = !hold_is_ended() && (own || approve_is_of_ticket(code));
    return rc;
}

enum cli_exit command_approve(struct cli *cli)
{
    bool alone = options_has(cli->options, OPTION_ONE_SHOT);
    enum cli_exit first_failure = CLI_DONE;
    bool go_on = true;
    int count = 0;

    if (cli->operand_count == 1)
        return approve_one(cli);
    if (cli_option(cli, OPTION_OUT) || cli_option(cli, OPTION_RECORD_FILE))
        return cli_usage("--out and --record-file are for one ticket at a time");
    if (options_has(cli->options, OPTION_CARD))
        return cli_usage("--card is for one ticket at a time");
    CLEANUP(hold_done) struct hold hold;
    hold_begin(&hold);
    CLEANUP(series_done) struct series series = {.cli = cli, .alone = alone};
    for (int i = 0; i < cli->operand_count && go_on; i++) {
        (void)fprintf(present_out(cli), "%s%d of %d\n", i > 0 ? "\n" : "", i + 1,
                      cli->operand_count);
        enum cli_exit rc = approve_next(&series, cli->operands[i], &go_on);
        count += rc == CLI_DONE;
        if (first_failure == CLI_DONE)
            first_failure = rc;
    }
    (void)fprintf(present_out(cli), "\n%d of %d tickets signed\n", count, cli->operand_count);
    return first_failure;
}
