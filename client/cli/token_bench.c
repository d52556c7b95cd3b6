/* esign token bench: how many signatures a token makes. */
#include <string.h>

#include "cli/commands.h"
#include "cli/tokens.h"

static const char *bench_text(const json_t *row, const char *member)
{
    const char *text = json_str(row, member);

    return text ? text : "";
}

/* Microseconds as milliseconds. */
static void bench_print_ms(int64_t us)
{
    (void)printf("  %7lld.%03lld", (long long)(us / 1000), (long long)(us % 1000));
}

static void bench_print_row(const json_t *row)
{
    show_text(stdout, bench_text(row, "algorithm"), false);
    (void)printf("%*s%7lld  %10lld", (int)(10 - strlen(bench_text(row, "algorithm")) % 10), "",
                 (long long)json_int(row, "workers", 0), (long long)json_int(row, "per_s", 0));
    bench_print_ms(json_int(row, "p50_us", 0));
    bench_print_ms(json_int(row, "p99_us", 0));
    bench_print_ms(json_int(row, "cpu_us", 0));
    (void)putchar('\n');
}

/* Rows of one algorithm after the other. */
static void bench_print_rows(const json_t *rows)
{
    size_t count = json_array_size(rows);

    for (size_t i = 0; i < count; i++) {
        const char *algorithm = bench_text(json_array_get(rows, i), "algorithm");
        bool first = true;
        for (size_t j = 0; j < i; j++)
            first &= strcmp(bench_text(json_array_get(rows, j), "algorithm"), algorithm) != 0;
        for (size_t j = i; first && j < count; j++)
            if (strcmp(bench_text(json_array_get(rows, j), "algorithm"), algorithm) == 0)
                bench_print_row(json_array_get(rows, j));
    }
}

static const char *bench_where(const char *objects)
{
    if (strcmp(objects, "copy") == 0)
        return "in a copy of the token, since esignd is using it: it gets what esignd leaves";
    if (strcmp(objects, "session") == 0)
        return "with keys of the session, since esignd is using the token: it gets what esignd "
               "leaves";
    return "with keys on the token, which esignd is not using";
}

static void bench_show(const json_t *report)
{
    const json_t *enough = json_object_get(report, "enough");
    const json_t *absent = json_object_get(report, "absent");

    (void)fputs("token ", stdout);
    show_text(stdout, bench_text(report, "token.name"), false);
    (void)printf(": %lld s each, %s\n\n", (long long)json_int(report, "seconds", 0),
                 bench_where(bench_text(report, "objects")));
    (void)puts("ALGORITHM WORKERS  PER SECOND       P50 ms       P99 ms       CPU ms");
    bench_print_rows(json_object_get(report, "rows"));
    (void)putchar('\n');
    for (size_t i = 0; i < json_array_size(enough); i++) {
        const json_t *row = json_array_get(enough, i);
        show_text(stdout, bench_text(row, "algorithm"), false);
        int64_t workers = json_int(row, "workers", 0);
        (void)printf(": %lld %s enough (%lld a second, within 5 %% of the best)\n",
                     (long long)workers, workers == 1 ? "worker is" : "workers are",
                     (long long)json_int(row, "per_s", 0));
    }
    for (size_t i = 0; i < json_array_size(absent); i++) {
        const json_t *row = json_array_get(absent, i);
        show_text(stdout, bench_text(row, "algorithm"), false);
        (void)fputs(": not measured: ", stdout);
        show_text(stdout, bench_text(row, "detail"), false);
        (void)putchar('\n');
    }
    (void)printf("configured: workers = %lld\n",
                 (long long)json_int(report, "configured_workers", 0));
    if (!json_flag(report, "clean")) {
        (void)fputs("what was made is not removed: ", stdout);
        show_text(stdout, bench_text(report, "clean_detail"), false);
        (void)putchar('\n');
    }
}

enum cli_exit command_token_bench(struct cli *cli)
{
    static const struct {
        enum cli_option option;
        const char *word;
    } passed[] = {{OPTION_SECONDS, "--seconds"},
                  {OPTION_WORKERS, "--workers"},
                  {OPTION_ALGORITHM, "--algorithm"}};
    CLEANUP(json_decref_p) json_t *report = NULL;
    const char *words[10] = {"--bench"};
    size_t count = 1;

    if (tokens_in_use(cli, cli->operands[0]))
        words[count++] = "--in-use";
    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
        const char *value = cli_option(cli, passed[i].option);
        if (!value)
            continue;
        words[count++] = passed[i].word;
        words[count++] = value;
    }
    enum cli_exit rc = tokens_report(cli, cli->operands[0], words, &report);
    if (rc != CLI_DONE)
        return rc;
    if (options_has(cli->options, OPTION_JSON))
        rc = tokens_print_json(cli, report);
    else
        bench_show(report);
    if (rc == CLI_DONE && !json_flag(report, "clean"))
        rc = CLI_REFUSED;
    return rc;
}
