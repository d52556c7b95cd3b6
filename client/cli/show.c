#include "show.h"

#include <stdlib.h>
#include <string.h>
#include <unistr.h>
#include <uniwidth.h>

enum { SHOW_CELL_MAX = 1024, SHOW_PATH_MAX = 128, SHOW_GAP = 2 };

/* Whether a character may do something to a terminal besides being seen. */
static bool show_unsafe(ucs4_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
           c == 0xfffd;
}

/* The next character of text and its length; '?' for what is not shown. */
static size_t show_next(const uint8_t *text, size_t len, bool lines, ucs4_t *ret)
{
    ucs4_t c = 0;
    int step = u8_mbtouc(&c, text, len);

    *ret = show_unsafe(c) && !(lines && c == '\n') ? '?' : c;
    return step > 0 ? (size_t)step : 1;
}

void show_text(FILE *out, const char *text, bool lines)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t len = strlen(text);

    while (len > 0) {
        ucs4_t c = 0;
        size_t step = show_next(at, len, lines, &c);
        if (c == '?')
            (void)fputc('?', out); /* a failing stdout is found once, at the end of main() */
        else
            (void)fwrite(at, 1, step, out);
        at += step;
        len -= step;
    }
}

size_t show_width(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t len = strlen(text), width = 0;

    while (len > 0) {
        ucs4_t c = 0;
        size_t step = show_next(at, len, false, &c);
        int columns = uc_width(c, "UTF-8");
        width += columns > 0 ? (size_t)columns : 0;
        at += step;
        len -= step;
    }
    return width;
}

static void show_padded(FILE *out, const char *text, size_t width)
{
    size_t own = show_width(text);

    show_text(out, text, false);
    for (; own < width; own++)
        (void)fputc(' ', out);
}

/* The value at prefix.path as text in ret (SHOW_CELL_MAX bytes); "" if it is not there. */
static void show_value(const struct esign_result *result, const char *prefix, const char *paths,
                       char *ret)
{
    char path[SHOW_PATH_MAX];

    ret[0] = '\0';
    while (*paths) {
        size_t len = strcspn(paths, "|");
        (void)snprintf(path, sizeof(path), "%s%.*s", prefix, (int)len, paths);
        const char *text = esign_result_string(result, path);
        int64_t number = esign_result_integer(result, path, INT64_MIN);
        if (text)
            (void)snprintf(ret, SHOW_CELL_MAX, "%s", text); /* longer ones are for --json */
        else if (number != INT64_MIN)
            (void)snprintf(ret, SHOW_CELL_MAX, "%lld", (long long)number);
        else if (esign_result_flag(result, path))
            (void)snprintf(ret, SHOW_CELL_MAX, "yes");
        if (ret[0])
            return;
        /* an array of words, such as roles */
        size_t count = esign_result_count(result, path), used = 0, path_len = strlen(path);
        for (size_t i = 0; i < count && used < SHOW_CELL_MAX; i++) {
            (void)snprintf(path + path_len, sizeof(path) - path_len, ".%zu", i);
            text = esign_result_string(result, path);
            if (text)
                used += (size_t)snprintf(ret + used, SHOW_CELL_MAX - used, "%s%s", used ? "," : "",
                                         text);
        }
        if (ret[0])
            return;
        paths += paths[len] ? len + 1 : len;
    }
}

void show_members(FILE *out, const struct esign_result *result, const struct show_column *rows,
                  size_t row_count)
{
    char value[SHOW_CELL_MAX];
    size_t width = 0;

    for (size_t i = 0; i < row_count; i++)
        if (strlen(rows[i].title) > width)
            width = strlen(rows[i].title);
    for (size_t i = 0; i < row_count; i++) {
        show_value(result, "", rows[i].path, value);
        if (!value[0])
            continue;
        show_padded(out, rows[i].title, width + SHOW_GAP);
        show_text(out, value, false);
        (void)fputc('\n', out);
    }
}

static void show_row(const struct esign_result *result, size_t row,
                     const struct show_column *columns, size_t column_count, const size_t *widths)
{
    char prefix[32], value[SHOW_CELL_MAX];

    (void)snprintf(prefix, sizeof(prefix), "items.%zu.", row);
    for (size_t i = 0; i < column_count; i++) {
        show_value(result, prefix, columns[i].path, value);
        show_padded(stdout, value[0] ? value : "-",
                    i + 1 < column_count ? widths[i] + SHOW_GAP : 0);
    }
    (void)putchar('\n');
}

void show_table(const struct esign_result *result, const struct show_column *columns,
                size_t column_count, size_t *widths)
{
    size_t count = esign_result_count(result, "items");
    char prefix[32], value[SHOW_CELL_MAX];
    bool first = widths[0] == 0;

    for (size_t i = 0; i < column_count; i++) {
        if (show_width(columns[i].title) > widths[i])
            widths[i] = show_width(columns[i].title);
        for (size_t row = 0; row < count; row++) {
            (void)snprintf(prefix, sizeof(prefix), "items.%zu.", row);
            show_value(result, prefix, columns[i].path, value);
            if (show_width(value) > widths[i])
                widths[i] = show_width(value);
        }
    }
    if (first && count > 0) {
        for (size_t i = 0; i < column_count; i++)
            show_padded(stdout, columns[i].title, i + 1 < column_count ? widths[i] + SHOW_GAP : 0);
        (void)putchar('\n');
    }
    for (size_t row = 0; row < count; row++)
        show_row(result, row, columns, column_count, widths);
}
