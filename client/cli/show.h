/* Output for people: aligned tables, labelled lines, and no control character from outside ever
 * reaching the terminal. */
#pragma once

#include "esign/client.h"

#include <stdio.h>

struct show_column {
    const char *title;
    const char *path; /* of the member; several, separated by '|': the first that is there */
};

/* Write text with control characters, bidirectional overrides and broken UTF-8 replaced by '?'.
 * lines: newlines are kept. */
void show_text(FILE *out, const char *text, bool lines);

/* How many columns of a terminal show_text() takes. */
size_t show_width(const char *text);

/* One "label  value" line for each member that is there. */
void show_members(FILE *out, const struct esign_result *result, const struct show_column *rows,
                  size_t row_count);

/* The members of "items" as a table; widths: column_count entries, kept from page to page (zero
 * them first). */
void show_table(const struct esign_result *result, const struct show_column *columns,
                size_t column_count, size_t *widths);
