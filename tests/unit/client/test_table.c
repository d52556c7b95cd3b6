#include "read_source.h"

#include "cli/commands.h"

#include <string.h>

static char *word(const char *text)
{
    return (char *)(uintptr_t)text; /* command_find() does not change words */
}

static void test_command_find__longest_words__found(void **state)
{
    REQ("design 5");
    int words = 0;

    (void)state;
    char *const enroll[] = {word("signer"), word("enroll"), word("x")};
    const struct command *command = command_find(enroll, 3, &words);
    assert_non_null(command);
    assert_string_equal(command->words, "signer enroll");
    assert_int_equal(words, 2);
    char *const tickets[] = {word("tickets")};
    assert_string_equal(command_find(tickets, 1, &words)->words, "tickets");
    char *const approvals[] = {word("approvals"), word("show"), word("A-1")};
    assert_string_equal(command_find(approvals, 3, &words)->words, "approvals show");
    assert_string_equal(command_find(approvals, 1, &words)->words, "approvals");
    char *const others[] = {word("signer")};
    assert_null(command_find(others, 1, &words));
    assert_null(command_find(others, 0, &words));
}

static void test_command_rows__required_options__are_options(void **state)
{
    REQ("design 5");
    (void)state;
    for (size_t i = 0; i < command_row_count; i++) {
        const struct command *c = &command_rows[i];
        assert_true((c->required & ~c->options) == 0);
        assert_true((c->options & OPTION_COMMON) == 0);
        assert_non_null(c->run);
        assert_true(c->operand_count == (*c->operands ? 1 : 0));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(c->words, command_rows[j].words);
    }
}

static void test_command_rows__person__password_fd_with_as(void **state)
{
    REQ("11.300");
    const uint64_t as = OPTION_SET(OPTION_AS), fd = OPTION_SET(OPTION_PASSWORD_FD);

    (void)state;
    for (size_t i = 0; i < command_row_count; i++) {
        const struct command *c = &command_rows[i];
        if (strcmp(c->words, "init") == 0 || strcmp(c->words, "signer activate") == 0 ||
            strcmp(c->words, "credential set") == 0 ||
            strcmp(c->words, "credential test-card") == 0 || strcmp(c->words, "tickets") == 0)
            continue;
        assert_true(!(c->options & as) == !(c->options & fd));
    }
}

/* No option takes a secret as its value. */
static void test_option_rows__names__no_secret_in_argv(void **state)
{
    REQ("11.300");
    (void)state;
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        assert_non_null(row->name);
        assert_non_null(row->text);
        if (i != OPTION_PASSWORD_FD && i != OPTION_PIN_FD) {
            assert_null(strstr(row->name, "pass"));
            assert_null(strstr(row->name, "pin"));
            assert_null(strstr(row->name, "secret"));
        }
    }
}

static void test_man_page__commands_and_options__all_there(void **state)
{
    REQ("style 38");
    char *man = read_source("client/man/esign.1"), line[200];

    (void)state;
    for (size_t i = 0; i < command_row_count; i++) {
        const struct command *c = &command_rows[i];
        const char *quote = strchr(c->words, ' ') ? "\"" : "";
        (void)snprintf(line, sizeof(line), "Ic %s%s%s%s%s\n", quote, c->words, quote,
                       *c->operands ? " Ar " : "", c->operands);
        if (!strstr(man, line))
            fail_msg("esign(1) has no line: %s", line);
    }
    for (int i = 0; i < OPTION_COUNT; i++) {
        (void)snprintf(line, sizeof(line), "Fl Fl %s", option_rows[i].name);
        if (!strstr(man, line))
            fail_msg("esign(1) has no option --%s", option_rows[i].name);
    }
    free(man);
}

/* The options under each command's item in the man page are those of its row. */
static void test_man_page__options_of_a_command__those_of_its_row(void **state)
{
    REQ("style 38");
    char *man = read_source("client/man/esign.1"), line[200];

    (void)state;
    for (size_t i = 0; i < command_row_count; i++) {
        const struct command *c = &command_rows[i];
        const char *quote = strchr(c->words, ' ') ? "\"" : "";
        (void)snprintf(line, sizeof(line), ".It Xo\n.Ic %s%s%s", quote, c->words, quote);
        char *from = strstr(man, line), *end = from ? strstr(from, ".Xc") : NULL;
        if ((c->options != 0) != (from != NULL))
            fail_msg("esign(1): %s: options differ", c->words);
        for (int o = 0; from && o < OPTION_COUNT; o++) {
            (void)snprintf(line, sizeof(line), "Fl Fl %s%s", option_rows[o].name,
                           option_rows[o].argument ? " " : "\n");
            const char *found = strstr(from, line);
            if ((found && found < end) != !!(c->options & OPTION_SET(o)))
                fail_msg("esign(1): %s: --%s differs", c->words, option_rows[o].name);
        }
    }
    free(man);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_find__longest_words__found),
        cmocka_unit_test(test_command_rows__required_options__are_options),
        cmocka_unit_test(test_command_rows__person__password_fd_with_as),
        cmocka_unit_test(test_option_rows__names__no_secret_in_argv),
        cmocka_unit_test(test_man_page__commands_and_options__all_there),
        cmocka_unit_test(test_man_page__options_of_a_command__those_of_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
