/* What every unit test includes: cmocka, and REQ(), which names the requirements that a test
 * proves. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* First statement of a test: REQ("11.70", "design 7").  Writes one line to the file that
 * $ESIGN_TRACE names: {"test": …, "requirements": […]}; the runner joins it with the verdict. */
#define REQ(...) req_trace(__FILE__, __func__, (const char *const[]){__VA_ARGS__, NULL})

static inline void req_trace(const char *file, const char *test, const char *const *requirements)
{
    const char *path = getenv("ESIGN_TRACE");
    if (!path)
        return;
    FILE *out = fopen(path, "a");
    assert_non_null(out);
    fprintf(out, "{\"file\":\"%s\",\"test\":\"%s\",\"requirements\":[", file, test);
    for (size_t i = 0; requirements[i]; i++)
        fprintf(out, "%s\"%s\"", i ? "," : "", requirements[i]);
    fprintf(out, "]}\n");
    assert_int_equal(fclose(out), 0);
}
