#include "show.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unictype.h>
#include <unistr.h>
#include <uniwidth.h>

enum { SHOW_CELL_MAX = 1024, SHOW_PATH_MAX = 128, SHOW_GAP = 2 };
enum { SHOW_MARKS_MAX = 8, SHOW_COLUMNS_MAX = 100, SHOW_COLUMNS_MIN = 40 };

/* Reading a text character by character. */
struct show_reader {
    const uint8_t *at;
    size_t len;
    bool lines;     /* newlines are kept */
    ucs4_t before;  /* the last character that was shown; 0: none on this line */
    unsigned marks; /* combining ones since the last that was none */
};

static struct show_reader show_reader_of(const char *text, bool lines)
{
    return (struct show_reader){(const uint8_t *)text, strlen(text), lines, 0, 0};
}

/* Whether a character does something to a terminal, reorders what stands beside it, or can't be
 * seen.  Source: UTS 55 section 3; UAX 44, Default_Ignorable_Code_Point. */
static bool show_unsafe(const struct show_reader *r, ucs4_t c)
{
    /* joiners belong to the spelling of words in other scripts than Latin, Greek and Cyrillic */
    if ((c == 0x200c || c == 0x200d) && r->before >= 0x600)
        return !uc_is_general_category_withtable(r->before,
                                                 UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M);
    return c == 0xfffd || uc_is_property_default_ignorable_code_point(c) ||
           uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf |
                                                   UC_CATEGORY_MASK_Zl | UC_CATEGORY_MASK_Zp |
                                                   UC_CATEGORY_MASK_Co | UC_CATEGORY_MASK_Cs);
}

/* A mark without a letter, or one of a heap, that would be drawn over other text. */
static bool show_stray_mark(struct show_reader *r, ucs4_t c)
{
    if (!uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Mn | UC_CATEGORY_MASK_Me)) {
        r->marks = 0;
        return false;
    }
    return r->before == 0 || r->before == ' ' || ++r->marks > SHOW_MARKS_MAX;
}

/* The next character and its length; '?' for what is not shown.  0: the end. */
static size_t show_next(struct show_reader *r, ucs4_t *ret)
{
    ucs4_t c = 0;
    int step = r->len > 0 ? u8_mbtouc(&c, r->at, r->len) : 0;

    if (step <= 0)
        return 0;
    if (r->lines && c == '\n')
        r->before = 0;
    else
        r->before = c = show_unsafe(r, c) || show_stray_mark(r, c) ? '?' : c;
    r->at += step;
    r->len -= (size_t)step;
    *ret = c;
    return (size_t)step;
}

static size_t show_columns_of(ucs4_t c)
{
    int columns = uc_width(c, "UTF-8");

    return columns > 0 ? (size_t)columns : 0;
}

/* Write the character that show_next() just passed. */
static void show_put(FILE *out, const struct show_reader *r, ucs4_t c, size_t step)
{
    if (c == '?')
        (void)fputc('?', out); /* a failing stdout is found once, at the end of main() */
    else
        (void)fwrite(r->at - step, 1, step, out);
}

void show_text(FILE *out, const char *text, bool lines)
{
    struct show_reader r = show_reader_of(text, lines);
    ucs4_t c = 0;

    for (size_t step = show_next(&r, &c); step > 0; step = show_next(&r, &c))
        show_put(out, &r, c, step);
}

size_t show_width(const char *text)
{
    struct show_reader r = show_reader_of(text, false);
    size_t width = 0;
    ucs4_t c = 0;

    while (show_next(&r, &c) > 0)
        width += show_columns_of(c);
    return width;
}

bool show_is_plain(const char *text)
{
    struct show_reader r = show_reader_of(text, false);
    ucs4_t c = 0;

    for (size_t step = show_next(&r, &c); step > 0; step = show_next(&r, &c))
        if (c == '?' && (step != 1 || r.at[-1] != '?'))
            return false;
    return true;
}

/* The columns up to the next space. */
static size_t show_word_width(struct show_reader r)
{
    size_t width = 0;
    ucs4_t c = 0;

    while (show_next(&r, &c) > 0 && c != ' ')
        width += show_columns_of(c);
    return width;
}

static void show_break(FILE *out, size_t indent)
{
    (void)fprintf(out, "\n%*s", (int)indent, "");
}

/* How many columns show_wrapped() fills. */
static size_t show_columns(FILE *out)
{
    struct winsize size = {0};

    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 ||
        size.ws_col > SHOW_COLUMNS_MAX)
        return SHOW_COLUMNS_MAX;
    return size.ws_col < SHOW_COLUMNS_MIN ? SHOW_COLUMNS_MIN : size.ws_col;
}

void show_wrapped(FILE *out, const char *text, size_t indent)
{
    struct show_reader r = show_reader_of(text, false);
    size_t columns = show_columns(out), room = columns > indent ? columns - indent - 1 : 1;
    size_t used = 0;
    ucs4_t c = 0;

    for (size_t step = show_next(&r, &c); step > 0; step = show_next(&r, &c)) {
        size_t width = show_columns_of(c), word = c == ' ' ? show_word_width(r) : 0;
        if (word <= room && used + width + word > room) {
            show_break(out, indent);
            used = 0;
            if (c == ' ')
                continue;
        }
        show_put(out, &r, c, step);
        used += width;
    }
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
