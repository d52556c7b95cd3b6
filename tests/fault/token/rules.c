#include "rules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RULES_TEXT_MAX = 64 * 1024 };

static const char *const rules_names[] = {
#define X(name) #name,
    FAULT_CALLS(X)
#undef X
};

static const char *const rules_values[FAULT_VALUE_COUNT] = {
    [FAULT_VALUE_RIGHT] = "right",   [FAULT_VALUE_FLIP] = "flip",
    [FAULT_VALUE_OTHER] = "other",   [FAULT_VALUE_DIGEST] = "digest",
    [FAULT_VALUE_SHORT] = "short",   [FAULT_VALUE_EMPTY] = "empty",
    [FAULT_VALUE_LONG] = "long",     [FAULT_VALUE_ZERO] = "zero",
    [FAULT_VALUE_HIGH_S] = "high-s", [FAULT_VALUE_PREVIOUS] = "previous",
    [FAULT_VALUE_ONES] = "ones",
};

void fault_die(const char *what, const char *word)
{
    fprintf(stderr, "faulty token: %s: %s\n", what, word);
    _exit(70);
}

const char *fault_call_name(int call)
{
    return rules_names[call];
}

static uint64_t rules_number(const char *text)
{
    char *end = NULL;

    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    if (!*text || *end || errno != 0)
        fault_die("not a number", text);
    return value;
}

static int rules_call(const char *name)
{
    if (strcmp(name, "*") == 0)
        return -1;
    for (int i = 0; i < FAULT_CALL_COUNT; i++)
        if (strcmp(rules_names[i], name) == 0)
            return i;
    fault_die("no such function", name);
}

static enum fault_value rules_value(const char *name)
{
    for (int i = 0; i < FAULT_VALUE_COUNT; i++)
        if (strcmp(rules_values[i], name) == 0)
            return (enum fault_value)i;
    fault_die("no such value", name);
}

/* A word of a line that starts with "token". */
static void rules_set_token(struct fault_rules *rules, const char *name, const char *value)
{
    const struct {
        const char *name;
        uint64_t *number;
    } known[] = {
        {"sessions", &rules->sessions},
        {"flags", &rules->flags},
        {"session-epoch", &rules->session_epoch},
        {"object-epoch", &rules->object_epoch},
        {"away", &rules->away},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].name, name) == 0) {
            *known[i].number = rules_number(value);
            return;
        }
    fault_die("a token has no such word", name);
}

/* A word of a line that starts with "call=". */
static void rules_set_call(struct fault_rule *rule, const char *name, const char *value)
{
    const struct {
        const char *name;
        uint64_t *number;
        bool *flag;
    } known[] = {
        {"skip", &rule->skip, NULL},
        {"times", &rule->times, NULL},
        {"net_us", &rule->net_us, NULL},
        {"service_us", &rule->service_us, NULL},
        {"jitter_us", &rule->jitter_us, NULL},
        {"units", &rule->units, NULL},
        {"rv", &rule->rv, &rule->has_rv},
        {"signal", &rule->signal, NULL},
        {"exit", &rule->exit, &rule->has_exit},
        {"length", &rule->length, &rule->has_length},
        {"late", NULL, &rule->late},
        {"hang", NULL, &rule->hang},
    };

    if (strcmp(name, "value") == 0) {
        rule->value = rules_value(value);
        return;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        uint64_t number = rules_number(value);
        if (known[i].number)
            *known[i].number = number;
        if (known[i].flag)
            *known[i].flag = known[i].number ? true : number != 0;
        return;
    }
    fault_die("a call has no such word", name);
}

static void rules_read_line(struct fault_rules *rules, char *line)
{
    struct fault_rule *rule = NULL;
    bool token = false;
    char *rest = NULL;

    for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        if (value)
            *value++ = '\0';
        if (!value && strcmp(word, "token") == 0)
            token = true;
        else if (!value)
            fault_die("a word without a value", word);
        else if (strcmp(word, "generation") == 0)
            rules->generation = rules_number(value);
        else if (strcmp(word, "call") == 0 && !rule && rules->count < FAULT_RULES_MAX)
            (rule = &rules->rows[rules->count++])->call = rules_call(value);
        else if (token)
            rules_set_token(rules, word, value);
        else if (rule)
            rules_set_call(rule, word, value);
        else
            fault_die("a word at the wrong place", word);
    }
}

static void rules_read(struct fault_rules *rules, int fd)
{
    static char text[RULES_TEXT_MAX + 1]; /* too large for a stack that may be a thread's */
    char *rest = NULL;

    ssize_t len = read(fd, text, RULES_TEXT_MAX);
    if (len < 0 || len == RULES_TEXT_MAX)
        fault_die("the control file can't be read", strerror(errno));
    text[len] = '\0';
    *rules = (struct fault_rules){0};
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *comment = strchr(line, '#');
        if (comment)
            *comment = '\0';
        rules_read_line(rules, line);
    }
}

const struct fault_rules *fault_rules_now(void)
{
    static struct fault_rules rules;
    static struct stat known;
    const char *path = getenv("FAULT_CONTROL");
    struct stat st;

    if (!path)
        return &rules;
    if (stat(path, &st) == 0 && st.st_ino == known.st_ino && st.st_dev == known.st_dev &&
        st.st_mtim.tv_sec == known.st_mtim.tv_sec && st.st_mtim.tv_nsec == known.st_mtim.tv_nsec)
        return &rules;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &known) != 0)
        fault_die(path, strerror(errno));
    rules_read(&rules, fd);
    (void)close(fd);
    return &rules;
}
