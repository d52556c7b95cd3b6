#include <string.h>

#include "cli/commands.h"

enum { AUDIT_PART = 500, AUDIT_PARTS_MAX = 1000000, AUDIT_LAST_MAX = 1000 };

enum cli_exit command_audit_list(struct cli *cli)
{
    static const struct show_column columns[] = {
        {"SEQ", "seq"},       {"TIME (UTC)", "time"},
        {"ACTION", "action"}, {"BY", "actor.user_id|actor.role"},
        {"OBJECT", "object"}, {"RESULT", "result"}};

    const char *last = cli_option(cli, OPTION_LAST);
    char path[CLI_PATH_MAX];
    uint64_t number = 0;

    if (last && !options_number(last, AUDIT_LAST_MAX, &number))
        return cli_usage("--last is a number up to %d", AUDIT_LAST_MAX);
    if (last && (cli_option(cli, OPTION_LIMIT) || cli_option(cli, OPTION_AFTER)))
        return cli_usage("--last stands alone, without --limit and --after");
    (void)snprintf(path, sizeof(path), "/v1/audit/entries%s%s", last ? "?last=" : "",
                   last ? last : "");
    return cli_list(cli, path, columns, sizeof(columns) / sizeof(columns[0]));
}

static enum cli_exit audit_number(const char *text, uint64_t *ret)
{
    if (!options_number(text, INT64_MAX, ret))
        return cli_usage("an entry is named by its number in the audit trail");
    return CLI_DONE;
}

enum cli_exit command_audit_show(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    char path[CLI_PATH_MAX];
    uint64_t seq = 0;
    enum cli_exit rc = audit_number(cli->operands[0], &seq);

    if (rc != CLI_DONE)
        return rc;
    (void)snprintf(path, sizeof(path), "/v1/audit/entries/%llu", (unsigned long long)seq);
    rc = cli_call(cli, path, NULL, &result);
    if (rc != CLI_DONE || cli_print_json(cli, result))
        return rc;
    const char *entry = esign_result_string(result, "entry");
    (void)puts(entry ? entry : ""); /* canonical JSON has no control characters */
    return CLI_DONE;
}

enum cli_exit command_audit_verify(struct cli *cli)
{
    static const struct show_column rows[] = {{"result", "result"},
                                              {"entries", "size"},
                                              {"in checkpoint", "checkpoint_size"},
                                              {"first bad entry", "bad_seq"},
                                              {"detail", "detail"}};
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    enum cli_exit rc = cli_call(cli, "/v1/audit/verification", NULL, &result);

    if (rc != CLI_DONE)
        return rc;
    const char *verdict = esign_result_string(result, "result");
    bool ok = verdict && strcmp(verdict, "ok") == 0;
    if (!cli_print_json(cli, result)) {
        bool bad = esign_result_integer(result, "bad_seq", -1) >= 0;
        show_members(stdout, result, rows, 3);
        show_members(stdout, result, rows + (bad ? 3 : 4), bad ? 2 : 1);
    }
    return ok ? CLI_DONE : CLI_REFUSED;
}

enum cli_exit command_audit_prove(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    const char *out = cli_option(cli, OPTION_OUT);
    char path[CLI_PATH_MAX];
    uint64_t seq = 0;
    size_t len = 0;
    enum cli_exit rc = audit_number(cli->operands[0], &seq);

    if (rc != CLI_DONE)
        return rc;
    (void)snprintf(path, sizeof(path), "/v1/audit/proof?seq=%llu", (unsigned long long)seq);
    rc = cli_call(cli, path, NULL, &result);
    if (rc != CLI_DONE)
        return rc;
    const char *text = esign_result_text(result, &len);
    rc = cli_write_file(cli, out ? out : "-", bytes_of(text, len), 0644);
    if (rc == CLI_DONE && !out)
        (void)putchar('\n');
    return rc;
}

static uint64_t audit_lines(struct bytes text)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    return lines;
}

/* Entries are numbered without a gap: the next part begins after as many lines as came. */
static enum cli_exit audit_export(struct cli *cli, FILE *out, uint64_t next, uint64_t limit)
{
    uint64_t left = limit;

    for (int i = 0; i < AUDIT_PARTS_MAX && left > 0; i++) {
        CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
        uint64_t part = left < AUDIT_PART ? left : AUDIT_PART;
        char path[CLI_PATH_MAX], after[48] = "";
        size_t len = 0;
        if (next > 0)
            (void)snprintf(after, sizeof(after), "&after=%llu", (unsigned long long)(next - 1));
        (void)snprintf(path, sizeof(path), "/v1/audit/export?limit=%llu%s",
                       (unsigned long long)part, after);
        enum cli_exit rc = cli_call(cli, path, NULL, &result);
        if (rc != CLI_DONE)
            return rc;
        const char *text = esign_result_text(result, &len);
        uint64_t lines = audit_lines(bytes_of(text, len));
        (void)fwrite(text, 1, len, out); /* the caller looks at ferror() */
        if (lines == 0)
            break;
        next += lines;
        left -= lines < left ? lines : left;
    }
    return CLI_DONE;
}

enum cli_exit command_audit_export(struct cli *cli)
{
    const char *after = cli_option(cli, OPTION_AFTER), *limit = cli_option(cli, OPTION_LIMIT);
    const char *name = cli_option(cli, OPTION_OUT);
    uint64_t next = 0, count = UINT64_MAX;
    struct fault f = {0};

    if (after && !options_number(after, INT64_MAX, &next))
        return cli_usage("--after is the number of an entry");
    if (limit && !options_number(limit, INT64_MAX, &count))
        return cli_usage("--limit is a number of entries");
    next += after ? 1 : 0;
    if (!name)
        return audit_export(cli, stdout, next, count);
    CLEANUP(fclose_p) FILE *out = fopen(name, "we");
    enum cli_exit rc = out ? audit_export(cli, out, next, count) : CLI_DONE;
    if (rc == CLI_DONE && (!out || fflush(out) != 0 || ferror(out))) {
        (void)fault_set(&f, ESIGN_E_INTERNAL, "%.150s can't be written", name);
        return cli_fault(cli, &f);
    }
    return rc;
}
