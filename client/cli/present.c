#include "cli/present.h"

#include <string.h>
#include <strings.h>

/* One row: a member of the ticket, and what is said if it is not there. */
struct present_row {
    const char *title, *path;
    bool required;
    const char *otherwise; /* NULL: no row */
};

static const struct present_row present_rows[] = {
    {"ticket", "ticket", true, NULL},
    {"application", "application", false, "none, asked for by a person at a terminal"},
    {"record type", "record.type", true, NULL},
    {"record id", "record.id", true, NULL},
    {"version", "record.version", true, NULL},
    {"media type", "record.media_type", false, NULL},
    {"bytes", "record.length", false, NULL},
    {"hash", "record.hash", true, NULL},
    {"meaning", "meaning.text", true, NULL},
    {"plan", "plan", false, NULL},
    {"step", "step", false, NULL},
    {"signer", "signer", false, NULL},
    {"reason", "reason", false, NULL},
    {"comment", "comment", false, NULL},
    {"expires", "expires", false, NULL},
};

enum { PRESENT_ROWS = sizeof(present_rows) / sizeof(present_rows[0]), PRESENT_INDENT = 13 };

FILE *present_out(const struct cli *cli)
{
    return options_has(cli->options, OPTION_JSON) ? stderr : stdout;
}

enum cli_exit present_check(const struct cli *cli, const struct esign_result *ticket)
{
    const char *state = esign_result_string(ticket, "state");
    struct fault f = {0};

    if (!state || strcmp(state, "ready") != 0) {
        (void)fault_set(&f, ESIGN_E_CONFLICT, "the ticket can't be signed any more: it is %.40s",
                        state ? state : "unknown");
        return cli_fault(cli, &f);
    }
    for (size_t i = 0; i < PRESENT_ROWS; i++) {
        const char *text = esign_result_string(ticket, present_rows[i].path);
        if (!present_rows[i].required || (text && *text))
            continue;
        (void)fault_set(&f, ESIGN_E_NOT_PRESENTED,
                        "the ticket does not tell its %s, so it can't be shown",
                        present_rows[i].title);
        return cli_fault(cli, &f);
    }
    return CLI_DONE;
}

static void present_length(FILE *out, const struct esign_result *ticket)
{
    int64_t length = esign_result_integer(ticket, "record.length", -1);

    if (length < 0)
        return;
    (void)fprintf(out, "%-*s%lld%s\n", PRESENT_INDENT, "bytes", (long long)length,
                  esign_result_flag(ticket, "record.digest_only")
                      ? ", which the service has not seen (digest only)"
                      : "");
}

/* One row.  Whether its text is shown as it is. */
static bool present_row(FILE *out, const struct esign_result *ticket, const struct present_row *row)
{
    const char *text = esign_result_string(ticket, row->path);

    if (strcmp(row->path, "record.length") == 0)
        present_length(out, ticket);
    if (!text)
        text = row->otherwise;
    if (!text)
        return true;
    (void)fprintf(out, "%-*s", PRESENT_INDENT, row->title);
    if (strcmp(row->path, "record.hash") == 0)
        (void)fprintf(out, "%.16s…", show_is_plain(text) ? text : "");
    else
        show_wrapped(out, text, PRESENT_INDENT);
    (void)fputc('\n', out);
    return show_is_plain(text);
}

void present_ticket(const struct cli *cli, const struct esign_result *ticket)
{
    FILE *out = present_out(cli);
    bool plain = true;

    for (size_t i = 0; i < PRESENT_ROWS; i++)
        plain &= present_row(out, ticket, &present_rows[i]);
    if (!plain)
        (void)fputs("\nThis request holds characters that can't be shown; a ? stands for each. "
                    "If you did not\nexpect that, do not sign it.\n",
                    out);
    (void)fputc('\n', out);
    (void)fflush(out); /* before the prompt appears on the terminal */
}

/* Whether --as names the signer whom the ticket is for, if it names one. */
static enum cli_exit present_check_signer(const struct cli *cli, const struct esign_result *ticket)
{
    const char *signer = esign_result_string(ticket, "signer"), *as = cli_option(cli, OPTION_AS);
    struct fault f = {0};

    if (!signer || !as || strcasecmp(signer, as) == 0) /* codes are ASCII */
        return CLI_DONE;
    (void)fault_set(&f, ESIGN_E_AUTHZ, "this ticket is for %.64s, not for %.64s", signer, as);
    return cli_fault(cli, &f);
}

enum cli_exit present_fetch(struct cli *cli, const char *id, struct esign_result **ret)
{
    enum cli_exit rc = cli_outcome(cli, esign_ticket_show(cli->daemon, id, ret, cli->error));

    if (rc == CLI_DONE)
        rc = present_check(cli, *ret);
    if (rc == CLI_DONE)
        present_ticket(cli, *ret);
    return rc == CLI_DONE ? present_check_signer(cli, *ret) : rc;
}
