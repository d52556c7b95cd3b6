#include <string.h>

#include "cli/commands.h"

/* The named member of check number i. */
static const char *status_check(const struct esign_result *health, size_t i, const char *member)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "checks.%zu.%s", i, member);
    const char *text = esign_result_string(health, path);
    return text ? text : "";
}

static bool status_is_ready(const struct esign_result *health)
{
    return esign_result_flag(health, "ready");
}

/* The checks in that state as "name: detail; …", after what was printed before. */
static size_t status_print_checks(const struct esign_result *health, const char *state)
{
    size_t count = 0;

    for (size_t i = 0; i < esign_result_count(health, "checks"); i++) {
        if (strcmp(status_check(health, i, "state"), state) != 0)
            continue;
        (void)fputs(count++ == 0 ? ": " : "; ", stdout);
        show_text(stdout, status_check(health, i, "name"), false);
        (void)fputs(": ", stdout);
        show_text(stdout, status_check(health, i, "detail"), false);
    }
    return count;
}

/* One line: "ok", "warn: …" or "fail: …". */
static enum cli_exit status_line(const struct esign_result *health)
{
    if (!status_is_ready(health)) {
        (void)fputs("fail", stdout);
        (void)status_print_checks(health, "fail");
        (void)putchar('\n');
        return CLI_REFUSED;
    }
    bool warned = false;
    for (size_t i = 0; i < esign_result_count(health, "checks"); i++)
        warned = warned || strcmp(status_check(health, i, "state"), "warn") == 0;
    (void)fputs(warned ? "warn" : "ok", stdout);
    (void)status_print_checks(health, "warn");
    (void)putchar('\n');
    return CLI_DONE;
}

/* The checks, a line each. */
static enum cli_exit status_health(const struct esign_result *health)
{
    enum { NAME_WIDTH = 24 };
    bool ready = status_is_ready(health);

    (void)printf("\n%s\n", ready ? "ready to sign" : "NOT READY to sign");
    for (size_t i = 0; i < esign_result_count(health, "checks"); i++) {
        const char *name = status_check(health, i, "name");
        size_t width = show_width(name);
        (void)printf("  %-5s", status_check(health, i, "state"));
        show_text(stdout, name, false);
        (void)printf("%*s", width < NAME_WIDTH ? (int)(NAME_WIDTH - width) : 1, "");
        show_text(stdout, status_check(health, i, "detail"), false);
        (void)putchar('\n');
    }
    return ready ? CLI_DONE : CLI_REFUSED;
}

static void status_show(const struct esign_result *result)
{
    static const struct show_column rows[] = {
        {"esignd", "version"},
        {"state", "state"},
        {"system", "system"},
        {"system class", "system_class"},
        {"separation", "separation"},
        {"clock", "clock.state"},
        {"clock error (ms)", "clock.error_ms"},
        {"audit entries", "audit.size"},
        {"in checkpoint", "audit.checkpoint_size"},
        {"anchor", "anchor"},
        {"restored store", "restored.detail"},
        {"accepted", "restored.accepted"},
        {"accepted by", "restored.by"},
        {"sessions", "sessions"},
        {"configuration", "configuration.hash"},
        {"in force since", "configuration.since"},
        {"file refused", "configuration.detail"},
        {"started", "start.at"},
        {"stop before", "start.stop"},
        {"you are", "peer.kind"},
        {"registered as", "peer.id"},
    };

    show_members(stdout, result, rows, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < esign_result_count(result, "tokens"); i++) {
        struct show_column token[4];
        char paths[4][64];
        static const char *const members[] = {"name", "state", "role", "detail"};
        for (size_t m = 0; m < 4; m++) {
            (void)snprintf(paths[m], sizeof(paths[m]), "tokens.%zu.%s", i, members[m]);
            token[m] = (struct show_column){m == 0 ? "token" : members[m], paths[m]};
        }
        (void)putchar('\n');
        show_members(stdout, result, token, 4);
    }
    for (size_t i = 0; i < esign_result_count(result, "warnings"); i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "warnings.%zu", i);
        const char *text = esign_result_string(result, path);
        (void)fputs(i == 0 ? "\nwarning: " : "warning: ", stdout);
        show_text(stdout, text ? text : "", false);
        (void)putchar('\n');
    }
}

/* --health: one line for a monitor. */
static enum cli_exit status_monitor(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *health = NULL;
    enum cli_exit rc = cli_call(cli, "/v1/health", NULL, &health);

    if (rc != CLI_DONE)
        return rc;
    if (cli_print_json(cli, health))
        return status_is_ready(health) ? CLI_DONE : CLI_REFUSED;
    return status_line(health);
}

enum cli_exit command_status(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    CLEANUP(esign_result_free_p) struct esign_result *health = NULL;

    if (options_has(cli->options, OPTION_HEALTH))
        return status_monitor(cli);
    enum cli_exit rc = cli_outcome(cli, esign_status(cli->daemon, &result, cli->error));
    if (rc == CLI_DONE)
        rc = cli_call(cli, "/v1/health", NULL, &health);
    if (rc != CLI_DONE)
        return rc;
    if (cli_print_json(cli, result))
        return status_is_ready(health) ? CLI_DONE : CLI_REFUSED;
    status_show(result);
    return status_health(health);
}

enum cli_exit command_ca(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    const char *out = cli_option(cli, OPTION_OUT);
    enum cli_exit rc = cli_call(cli, "/v1/ca", NULL, &result);

    if (rc != CLI_DONE || (!out && cli_print_json(cli, result)))
        return rc;
    const char *pem = esign_result_string(result, "certificate");
    return cli_write_file(cli, out ? out : "-", bytes_of_str(pem ? pem : ""), 0644);
}

enum cli_exit command_token_list(struct cli *cli)
{
    static const struct show_column columns[] = {{"NAME", "name"},     {"ROLE", "role"},
                                                 {"STATE", "state"},   {"LABEL", "label"},
                                                 {"SERIAL", "serial"}, {"DETAIL", "detail"}};

    return cli_list(cli, "/v1/tokens", columns, sizeof(columns) / sizeof(columns[0]));
}

enum cli_exit command_meaning_list(struct cli *cli)
{
    static const struct show_column columns[] = {
        {"CODE", "code"}, {"VERSION", "version"}, {"TEXT", "text"}};

    return cli_list(cli, "/v1/meanings", columns, sizeof(columns) / sizeof(columns[0]));
}

enum cli_exit command_plan_list(struct cli *cli)
{
    static const struct show_column columns[] = {{"PLAN", "id|plan"}, {"VERSION", "version"}};

    return cli_list(cli, "/v1/plans", columns, sizeof(columns) / sizeof(columns[0]));
}
