/* A file of the source tree, for tests that compare documents with tables. */
#pragma once

#include "req.h"

/* The whole file as a string; freed by the caller. */
static inline char *read_source(const char *name)
{
    char path[512];
    assert_true(snprintf(path, sizeof(path), "%s/%s", SOURCE_DIR, name) < (int)sizeof(path));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    enum { SIZE = 256 * 1024 };
    char *text = calloc(1, SIZE);
    assert_non_null(text);
    size_t len = fread(text, 1, SIZE - 1, file);
    assert_true(len > 0 && len < SIZE - 1);
    assert_int_equal(fclose(file), 0);
    return text;
}
