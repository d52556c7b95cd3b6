#include "req.h"

#include "audit/record.h"
#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>
#include <unistd.h>

static json_t *record_with(enum audit_alert alert)
{
    const struct audit_act act = {.action = "attempt.failed",
                                  .object = "signer/S-1",
                                  .result = ESIGN_E_AUTH_FAILED,
                                  .application = "app-lims",
                                  .alert = alert};
    json_t *entry = audit_record(&act);
    assert_non_null(entry);
    return entry;
}

static void test_audit_record__alert__its_word_or_no_member(void **state)
{
    REQ("11.300(d)");
    (void)state;
    CLEANUP(json_decref_p) json_t *quiet = record_with(AUDIT_ALERT_NONE);
    assert_null(json_object_get(quiet, "alert"));
    for (enum audit_alert alert = AUDIT_ALERT_NONE + 1; alert < AUDIT_ALERT_COUNT; alert++) {
        CLEANUP(json_decref_p) json_t *entry = record_with(alert);
        assert_string_equal(json_str(entry, "alert"), audit_alert_name(alert));
    }
}

/* The first column of the table under the line with "| alert |". */
static size_t read_documented(char names[AUDIT_ALERT_COUNT][40])
{
    char line[1024];
    size_t count = 0;
    bool inside = false;
    CLEANUP(fclose_p) FILE *file = fopen(ESIGN_AUDIT_FORMAT, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        const char *end = strchr(line + 1, '|');
        if (!inside || strncmp(line, "| `", 3) != 0 || !end) {
            inside = strncmp(line, "| alert |", 9) == 0 || (inside && line[0] == '|');
            continue;
        }
        assert_true(count < AUDIT_ALERT_COUNT);
        (void)snprintf(names[count++], 40, "%.*s", (int)strcspn(line + 3, "`"), line + 3);
    }
    return count;
}

static void test_audit_alert_name__each__documented(void **state)
{
    REQ("style 38");
    (void)state;
    char names[AUDIT_ALERT_COUNT][40];
    size_t count = read_documented(names);
    assert_int_equal(count, AUDIT_ALERT_COUNT - 1);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(names[i], audit_alert_name((enum audit_alert)(i + 1)));
}

/* What audit_alert_note() writes to stderr. */
static void note_into(const json_t *entry, char *text, size_t size)
{
    CLEANUP(fclose_p) FILE *out = tmpfile();
    assert_non_null(out);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_true(dup2(fileno(out), STDERR_FILENO) >= 0);
    audit_alert_note(entry);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    assert_int_equal(close(saved), 0);
    rewind(out);
    text[fread(text, 1, size - 1, out)] = '\0';
}

static void test_audit_alert_note__alert__one_warning_line(void **state)
{
    REQ("11.300(d)");
    (void)state;
    char text[512];
    CLEANUP(json_decref_p) json_t *quiet = record_with(AUDIT_ALERT_NONE);
    CLEANUP(json_decref_p) json_t *loud = record_with(AUDIT_ALERT_LOCKOUT);
    note_into(quiet, text, sizeof text);
    assert_string_equal(text, "");
    note_into(loud, text, sizeof text);
    assert_string_equal(text, "<4>esign: alert trigger=lockout action=attempt.failed "
                              "object=signer/S-1 result=E_AUTH_FAILED application=app-lims "
                              "terminal=-\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audit_record__alert__its_word_or_no_member),
        cmocka_unit_test(test_audit_alert_name__each__documented),
        cmocka_unit_test(test_audit_alert_note__alert__one_warning_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
