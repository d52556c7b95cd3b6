#include "cli/token_report.h"

#include <string.h>

#include "cli/show.h"

/* Columns. */
enum {
    REPORT_INDENT = 10,
    REPORT_ROLE = 15,
    REPORT_VERDICT = 7,
    REPORT_NAME = 20,
    REPORT_ADVICE = 12
};

/* Text, which may be from outside, in a column of that width. */
static void report_padded(FILE *out, const char *text, size_t width)
{
    size_t shown = show_width(text);

    show_text(out, text, false);
    (void)fprintf(out, "%*s ", shown < width ? (int)(width - shown) : 0, "");
}

static void report_line(FILE *out, const char *title, const char *text)
{
    if (!text || !*text)
        return;
    int width = fprintf(out, "  %-14s", title);
    show_wrapped(out, text, (size_t)width);
    (void)fputc('\n', out);
}

static void report_head(FILE *out, const json_t *report)
{
    static const struct {
        const char *title, *path;
    } lines[] = {
        {"label", "token.label"},
        {"serial", "token.serial"},
        {"made by", "token.manufacturer"},
        {"model", "token.model"},
        {"firmware", "token.firmware"},
        {"uri", "token.uri"},
        {"module", "token.module"},
        {"its SHA-256", "token.module_sha256"},
        {"library", "token.library"},
        {"Cryptoki", "token.cryptoki"},
        {"tested at", "at"},
    };
    const char *objects = json_str(report, "objects");

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        report_line(out, lines[i].title, json_str(report, lines[i].path));
    if (objects && strcmp(objects, "copy") == 0)
        report_line(out, "tested on",
                    "a copy of the token without its keys, since esignd is using it");
    else if (objects && strcmp(objects, "session") == 0)
        report_line(out, "tested on",
                    "the token, with objects of the session only and without what could disturb "
                    "esignd, which is using it: see the rows \"untried\"");
    else
        report_line(out, "tested on", "the token itself, which esignd is not using");
    if (json_int(report, "token.old_copies", 0) > 0)
        report_line(out, "removed", "what earlier tests that were broken off had left in /tmp");
}

static bool report_is_assigned(const json_t *report, const char *role)
{
    const json_t *assigned = json_object_get(report, "assigned");

    for (size_t i = 0; i < json_array_size(assigned); i++) {
        const char *one = json_string_value(json_array_get(assigned, i));
        if (one && strcmp(one, role) == 0)
            return true;
    }
    return false;
}

/* "refused", or "E_UNSUPPORTED(mechanism): key-p384: …" behind it. */
static void report_role(FILE *out, const json_t *report, const json_t *row)
{
    const char *role = json_str(row, "role"), *code = json_str(row, "code");
    const char *verdict = json_str(row, "verdict"), *reason = json_str(row, "reason");
    const char *check = json_str(row, "check"), *detail = json_str(row, "detail");
    char text[600];

    if (!role || !verdict)
        return;
    (void)fputs("  ", out);
    report_padded(out, role, REPORT_ROLE);
    show_text(out, verdict, false);
    if (report_is_assigned(report, role))
        (void)fputs(" (its role in the configuration)", out);
    (void)fputc('\n', out);
    if (!code)
        return;
    (void)snprintf(text, sizeof(text), "%s%s%s%s: %s: %s", code, reason && *reason ? "(" : "",
                   reason ? reason : "", reason && *reason ? ")" : "", check ? check : "",
                   detail ? detail : ""); /* cut: it is a text */
    (void)fprintf(out, "%*s", REPORT_INDENT, "");
    show_wrapped(out, text, REPORT_INDENT);
    (void)fputc('\n', out);
}

/* One row, and for one that did not pass what it means and what to do. */
static void report_check(FILE *out, const json_t *row)
{
    const char *name = json_str(row, "name"), *verdict = json_str(row, "verdict");
    const char *detail = json_str(row, "detail"), *meaning = json_str(row, "meaning");
    const char *advice = json_str(row, "advice");

    if (!name || !verdict)
        return;
    (void)fputs("  ", out);
    report_padded(out, verdict, REPORT_VERDICT);
    report_padded(out, name, REPORT_NAME);
    show_wrapped(out, detail ? detail : "", 2 + REPORT_VERDICT + 1 + REPORT_NAME + 1);
    (void)fputc('\n', out);
    if (strcmp(verdict, "pass") == 0 || strcmp(verdict, "untried") == 0)
        return;
    (void)fprintf(out, "%*smeans: ", REPORT_ADVICE, "");
    show_wrapped(out, meaning ? meaning : "", REPORT_ADVICE + 7);
    (void)fprintf(out, "\n%*sdo:    ", REPORT_ADVICE, "");
    show_wrapped(out, advice ? advice : "", REPORT_ADVICE + 7);
    (void)fputc('\n', out);
}

void token_report_show(FILE *out, const json_t *report)
{
    const json_t *roles = json_object_get(report, "roles");
    const json_t *checks = json_object_get(report, "checks");
    const char *name = json_str(report, "token.name"), *verdict = json_str(report, "verdict");
    const char *quirk = json_str(report, "quirk");

    (void)fputs("token ", out);
    show_text(out, name ? name : "", false);
    (void)fputs(": ", out);
    show_text(out, verdict ? verdict : "", false);
    (void)fputs("\n\n", out);
    report_head(out, report);
    (void)fputs("\nroles\n", out);
    for (size_t i = 0; i < json_array_size(roles); i++)
        report_role(out, report, json_array_get(roles, i));
    (void)fputs("\nchecks\n", out);
    for (size_t i = 0; i < json_array_size(checks); i++)
        report_check(out, json_array_get(checks, i));
    if (quirk && *quirk) {
        (void)fputs("\nrow for pkcs11/quirk.c\n  ", out);
        show_text(out, quirk, false);
        (void)fputc('\n', out);
    }
}
