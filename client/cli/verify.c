#include "cli/verify.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/encode.h"
#include "cli/commands.h"

static void verify_input_done(struct verify_input *input)
{
    buf_done(&input->signature);
}

/* The record's file: --record-file, or FILE beside FILE.p7s; "" if there is none. */
static void verify_record_path(const struct cli *cli, char *ret, size_t size)
{
    static const char suffix[] = ".p7s";
    const char *given = cli_option(cli, OPTION_RECORD_FILE), *signature = cli->operands[0];
    size_t len = strlen(signature), end = sizeof(suffix) - 1;
    struct stat st;

    ret[0] = '\0';
    if (given) {
        (void)snprintf(ret, size, "%s", given); /* a cut name can't be opened and is reported */
    } else if (len > end && len < size && strcmp(signature + len - end, suffix) == 0) {
        memcpy(ret, signature, len - end);
        ret[len - end] = '\0';
        if (stat(ret, &st) != 0 || !S_ISREG(st.st_mode))
            ret[0] = '\0';
    }
}

static enum cli_exit verify_read(const struct cli *cli, struct verify_input *ret)
{
    CLEANUP(buf_done) struct buf content = buf_new(0);
    char path[PATH_MAX];
    const char *record = cli_option(cli, OPTION_RECORD);

    *ret = (struct verify_input){.signature = buf_new(0)};
    if (record && !cli_parse_record(record, &ret->record))
        return cli_usage("--record is TYPE:ID:VERSION, such as batch-record:BR-7:3");
    enum cli_exit rc = cli_read_file(cli, cli->operands[0], &ret->signature);
    verify_record_path(cli, path, sizeof(path));
    if (rc != CLI_DONE || !path[0])
        return rc;
    rc = cli_read_file(cli, path, &content);
    if (rc != CLI_DONE)
        return rc;
    bytes_sha256(buf_bytes(&content), (struct bytes){0}, ret->digest);
    encode_hex(bytes_of(ret->digest, SHA256_LEN), ret->sha256);
    ret->has_record = true;
    return CLI_DONE;
}

static void verify_print_checks(const json_t *verdict)
{
    const json_t *checks = json_object_get(verdict, "checks");

    for (size_t i = 0; i < json_array_size(checks); i++) {
        const json_t *check = json_array_get(checks, i);
        const char *name = json_str(check, "name"), *detail = json_str(check, "detail");
        (void)printf("%s%-9s", i == 0 ? "\n" : "", json_str(check, "result"));
        show_text(stdout, name ? name : "", false);
        if (detail && *detail) {
            (void)fputs(": ", stdout);
            show_text(stdout, detail, false);
        }
        (void)putchar('\n');
    }
}

static void verify_print_line(const char *label, const char *value)
{
    if (!value || !*value)
        return;
    (void)printf("%-14s", label);
    show_text(stdout, value, false);
    (void)putchar('\n');
}

static void verify_print(const json_t *verdict, bool detailed)
{
    static const struct show_column rows[] = {
        {"signature", "signature"},    {"printed name", "signer.printed_name"},
        {"user id", "signer.user_id"}, {"title", "signer.title"},
        {"meaning", "meaning.text"},   {"meaning code", "meaning.code"},
        {"time (UTC)", "time.utc"},    {"offset", "time.offset"},
        {"zone", "time.zone"},         {"record type", "record.type"},
        {"record id", "record.id"},    {"version", "record.version"},
    };
    const char *reason = json_str(verdict, "reason"), *detail = json_str(verdict, "detail");
    const char *block = json_str(verdict, "manifestation");

    show_text(stdout, json_str(verdict, "indication"), false);
    if (reason && *reason) {
        (void)putchar('(');
        show_text(stdout, reason, false);
        (void)putchar(')');
    }
    (void)fputs(": ", stdout);
    show_text(stdout, detail ? detail : "", false);
    (void)putchar('\n');
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        verify_print_line(rows[i].title, json_str(verdict, rows[i].path));
    const char *system = json_str(verdict, "facts.envelope.system");
    /* what a forgery claims is not told */
    if (system && strcmp(system, "production") != 0 &&
        strcmp(json_str(verdict, "indication"), "TOTAL_FAILED") != 0)
        verify_print_line("note", "made by a test system");
    if (!detailed)
        return;
    if (strcmp(json_str(verdict, "indication"), "TOTAL_FAILED") != 0)
        verify_print_line("custody", json_str(verdict, "facts.envelope.custody"));
    verify_print_checks(verdict);
    if (block) {
        (void)putchar('\n');
        show_text(stdout, block, true);
        (void)putchar('\n');
    }
}

/* Print a verdict and choose the exit. */
static enum cli_exit verify_report(const struct cli *cli, const json_t *verdict)
{
    CLEANUP(buf_done) struct buf text = buf_new(ESIGN_REPLY_MAX);
    const char *report = cli_option(cli, OPTION_REPORT);
    const char *indication = json_str(verdict, "indication");
    struct fault f = {0};

    if (!indication || (options_has(cli->options, OPTION_JSON) &&
                        (json_canonical(verdict, &text) != ESIGN_OK || !buf_str(&text)))) {
        (void)fault_reason(&f, ESIGN_E_PROTO, "reply", "the reply holds no verdict");
        return cli_fault(cli, &f);
    }
    if (options_has(cli->options, OPTION_JSON))
        (void)puts(buf_str(&text));
    else
        verify_print(verdict, report && strcmp(report, "detailed") == 0);
    return exit_of_indication(indication);
}

static enum cli_exit verify_online(struct cli *cli, const struct verify_input *input, json_t **ret)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    const struct esign_validation validation = {
        .signature = input->signature.data,
        .signature_len = input->signature.len,
        .record = {.type = input->record.type,
                   .id = input->record.id,
                   .version = input->record.version,
                   .sha256 = input->has_record ? input->sha256 : NULL},
    };
    struct fault f = {0};
    size_t len = 0;
    enum cli_exit rc =
        cli_outcome(cli, esign_validate(cli->daemon, &validation, &result, cli->error));

    if (rc != CLI_DONE)
        return rc;
    const char *text = esign_result_text(result, &len);
    return json_parse_object(bytes_of(text, len), ret, &f) == ESIGN_OK ? CLI_DONE
                                                                       : cli_fault(cli, &f);
}

enum cli_exit command_verify(struct cli *cli)
{
    CLEANUP(verify_input_done) struct verify_input input = {.signature = buf_new(0)};
    CLEANUP(json_decref_p) json_t *verdict = NULL;
    const char *report = cli_option(cli, OPTION_REPORT);
    bool offline = options_has(cli->options, OPTION_OFFLINE);

    if (report && strcmp(report, "simple") != 0 && strcmp(report, "detailed") != 0)
        return cli_usage("--report is simple or detailed");
    static const enum cli_option only[] = {OPTION_TRUST, OPTION_LOG_KEY, OPTION_PROOF,
                                           OPTION_DOCUMENT_PROGRAM};
    for (size_t i = 0; i < sizeof(only) / sizeof(only[0]); i++)
        if (!offline && cli_option(cli, only[i]))
            return cli_usage("--%s is only for --offline", option_rows[only[i]].name);
    if (offline && !cli_option(cli, OPTION_TRUST))
        return cli_usage("--offline needs --trust CA.pem");
    if (cli_option(cli, OPTION_PROOF) && !cli_option(cli, OPTION_LOG_KEY))
        return cli_usage("--proof needs --log-key");
    enum cli_exit rc = verify_read(cli, &input);
    if (rc == CLI_DONE)
        rc = offline ? verify_offline(cli, &input, &verdict) : verify_online(cli, &input, &verdict);
    return rc == CLI_DONE ? verify_report(cli, verdict) : rc;
}
