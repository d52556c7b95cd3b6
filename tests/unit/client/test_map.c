#include "read_source.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* The next name that begins with "esign_" and is followed by one of `ends`; moves *at behind it. */
static bool next_name(const char **at, const char *ends, char *ret, size_t size)
{
    for (const char *from; (from = strstr(*at, "esign_")) != NULL;) {
        size_t len = 0;
        while (islower((unsigned char)from[len]) || from[len] == '_')
            len++;
        *at = from + len;
        if (!from[len] || !strchr(ends, from[len]) || len >= size)
            continue;
        memcpy(ret, from, len);
        ret[len] = '\0';
        return true;
    }
    return false;
}

static bool has_line(const char *text, const char *before, const char *name, const char *after)
{
    char line[200];

    (void)snprintf(line, sizeof(line), "%s%s%s", before, name, after);
    return strstr(text, line) != NULL;
}

/* The calls that client.h declares, one after the other. */
static bool next_declared(const char **at, char *ret, size_t size)
{
    const char *api = strstr(*at, "\nESIGN_API ");

    if (!api)
        return false;
    *at = api + 1;
    return next_name(at, "(", ret, size);
}

static void test_map__declared_calls__exported_and_documented(void **state)
{
    REQ("style 38");
    char *header = read_source("include/esign/client.h"), *name_of = calloc(1, 100);
    char *map = read_source("client/lib/libesign.map"), *man = read_source("client/man/libesign.3");
    size_t count = 0;

    (void)state;
    for (const char *at = header; next_declared(&at, name_of, 100); count++) {
        if (!has_line(map, "        ", name_of, ";\n"))
            fail_msg("%s is not in libesign.map", name_of);
        if (!has_line(man, "\n.Nm ", name_of, " ,\n") && !has_line(man, "\n.Nm ", name_of, "\n"))
            fail_msg("%s is not in the names of libesign(3)", name_of);
        if (!has_line(man, "\n.Fn ", name_of, " \""))
            fail_msg("%s is not in the synopsis of libesign(3)", name_of);
    }
    assert_int_equal(count, 41);
    free(header);
    free(map);
    free(man);
    free(name_of);
}

static void test_map__exported_names__declared(void **state)
{
    REQ("style 38");
    char *header = read_source("include/esign/client.h");
    char *map = read_source("client/lib/libesign.map"), name[100];
    size_t count = 0;

    (void)state;
    for (const char *at = map; next_name(&at, ";", name, sizeof(name)); count++)
        if (!has_line(header, "", name, "("))
            fail_msg("%s is exported but not declared", name);
    assert_int_equal(count, 41);
    free(header);
    free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map__declared_calls__exported_and_documented),
        cmocka_unit_test(test_map__exported_names__declared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
