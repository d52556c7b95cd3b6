#include <string.h>

#include "cli/commands.h"
#include "cli/sign.h"

enum { SIGNATURE_COLUMNS = 7, SIGNATURE_PARTS_MAX = 10000 };

enum cli_exit command_signature_list(struct cli *cli)
{
    static const struct show_column columns[SIGNATURE_COLUMNS] = {
        {"SIGNATURE", "signature"},   {"TIME (UTC)", "time.utc"},     {"SIGNER", "signer.user_id"},
        {"MEANING", "meaning.code"},  {"RECORD TYPE", "record.type"}, {"RECORD", "record.id"},
        {"VERSION", "record.version"}};
    size_t widths[SIGNATURE_COLUMNS] = {0}, shown = 0;
    struct cli_record record = {0};
    const char *of = cli_option(cli, OPTION_RECORD), *limit = cli_option(cli, OPTION_LIMIT);
    char after[128] = "";
    uint64_t number = 0;

    if (of && !cli_parse_record(of, &record))
        return cli_usage("--record is TYPE:ID:VERSION; signatures of all versions are listed");
    if (limit && !options_number(limit, 1000000, &number))
        return cli_usage("--limit is a number up to 1000000");
    struct esign_signature_query query = {.record_type = record.type,
                                          .record_id = record.id,
                                          .signer = cli_option(cli, OPTION_SIGNER),
                                          .after = cli_option(cli, OPTION_AFTER),
                                          .limit = (unsigned)number};
    for (int i = 0; i < SIGNATURE_PARTS_MAX; i++) {
        CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
        enum cli_exit rc =
            cli_outcome(cli, esign_signature_list(cli->daemon, &query, &result, cli->error));
        if (rc != CLI_DONE || cli_print_json(cli, result))
            return rc;
        show_table(result, columns, SIGNATURE_COLUMNS, widths);
        shown += esign_result_count(result, "items");
        const char *next = esign_result_string(result, "next");
        if (!next || limit)
            break;
        (void)snprintf(after, sizeof(after), "%s", next); /* ids are shorter */
        query.after = after;
    }
    if (shown == 0)
        (void)puts("none");
    return CLI_DONE;
}

enum cli_exit command_signature_show(struct cli *cli)
{
    static const struct show_column rows[] = {{"signature", "signature"},
                                              {"ticket", "ticket"},
                                              {"state", "state"},
                                              {"record type", "record.type"},
                                              {"record id", "record.id"},
                                              {"version", "record.version"},
                                              {"hash", "record.hash"},
                                              {"printed name", "signer.printed_name"},
                                              {"user id", "signer.user_id"},
                                              {"title", "signer.title"},
                                              {"meaning", "meaning.text"},
                                              {"time (UTC)", "time.utc"},
                                              {"offset", "time.offset"},
                                              {"zone", "time.zone"},
                                              {"audit entry", "entry.seq"},
                                              {"format", "format"}};
    CLEANUP(esign_result_free_p) struct esign_result *signature = NULL;
    const char *out = cli_option(cli, OPTION_OUT);
    enum cli_exit rc = cli_outcome(
        cli, esign_signature_get(cli->daemon, cli->operands[0], &signature, cli->error));

    if (rc == CLI_DONE && out)
        rc = sign_write(cli, signature, out);
    if (rc != CLI_DONE || (out && strcmp(out, "-") == 0) || cli_print_json(cli, signature))
        return rc;
    show_members(stdout, signature, rows, sizeof(rows) / sizeof(rows[0]));
    return rc;
}

enum cli_exit command_signature_proof(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *proof = NULL;
    const char *out = cli_option(cli, OPTION_OUT);
    size_t len = 0;
    enum cli_exit rc =
        cli_outcome(cli, esign_signature_proof(cli->daemon, cli->operands[0], &proof, cli->error));

    if (rc != CLI_DONE)
        return rc;
    const char *text = esign_result_text(proof, &len);
    rc = cli_write_file(cli, out ? out : "-", bytes_of(text, len), 0644);
    if (rc == CLI_DONE && !out)
        (void)putchar('\n');
    return rc;
}

enum cli_exit command_signature_manifestation(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *block = NULL;
    const char *out = cli_option(cli, OPTION_OUT);
    enum cli_exit rc = cli_outcome(
        cli, esign_signature_manifestation(cli->daemon, cli->operands[0], &block, cli->error));

    if (rc != CLI_DONE || (!out && cli_print_json(cli, block)))
        return rc;
    const char *text = esign_result_string(block, "text");
    if (out)
        return cli_write_file(cli, out, bytes_of_str(text ? text : ""), 0644);
    show_text(stdout, text ? text : "", true);
    (void)putchar('\n');
    return CLI_DONE;
}
