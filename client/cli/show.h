/* Output for people: aligned tables, labelled lines, and no control character from outside ever
 * reaching the terminal. */
#pragma once

#include "esign/client.h"

#include <stdio.h>

struct show_column {
    const char *title;
    const char *path; /* of the member; several, separated by '|': the first that is there */
};

/* Write text with '?' for control characters, bidirectional overrides, characters that can't be
 * seen, heaps of combining marks and broken UTF-8.  lines: newlines are kept.
 * Source: UTS 55 section 3. */
void show_text(FILE *out, const char *text, bool lines);

/* How many columns of a terminal show_text() takes. */
size_t show_width(const char *text);

/* Whether show_text() shows all of a line as it is. */
bool show_is_plain(const char *text);

/* Write a line as show_text(), broken between words where the terminal ends (at most 100 columns),
 * each further line after indent spaces: no text from outside begins a line of its own.  indent:
 * also where the first line begins. */
void show_wrapped(FILE *out, const char *text, size_t indent);

/* One "label  value" line for each member that is there. */
void show_members(FILE *out, const struct esign_result *result, const struct show_column *rows,
                  size_t row_count);

/* The members of "items" as a table; widths: column_count entries, kept from page to page (zero
 * them first). */
void show_table(const struct esign_result *result, const struct show_column *columns,
                size_t column_count, size_t *widths);
