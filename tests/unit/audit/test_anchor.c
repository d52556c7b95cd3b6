#include "audit_fixture.h"

#include "audit/anchor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct seen {
    int lines, malformed;
    char last[AUDIT_NOTE_MAX];
};

static enum esign_rc see_line(void *ctx, int64_t line, struct bytes note, struct fault *f)
{
    struct seen *s = ctx;
    (void)line, (void)f;
    s->lines++;
    if (note.len == 0)
        s->malformed++;
    (void)snprintf(s->last, sizeof s->last, "%.*s", (int)note.len, (const char *)note.data);
    return ESIGN_OK;
}

static int setup(void **state)
{
    char *path = calloc(1, 64);
    (void)snprintf(path, 64, "/tmp/esign-anchor-XXXXXX");
    assert_non_null(mkdtemp(path));
    (void)snprintf(path + strlen(path), 16, "/anchor");
    *state = path;
    return 0;
}

static int teardown(void **state)
{
    char *path = *state;
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
    free(path);
    return 0;
}

static void append_bytes(const char *path, const char *data, size_t len)
{
    CLEANUP(fclose_p) FILE *file = fopen(path, "ae");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
}

static void append_raw(const char *path, const char *text)
{
    append_bytes(path, text, strlen(text));
}

static void test_audit_append_anchor__fixture_note__bytes_of_the_fixture(void **state)
{
    REQ("11.10(e)", "design 7");
    const char *path = *state;
    CLEANUP(buf_done) struct buf note = fixture_file("checkpoint.note");
    CLEANUP(buf_done) struct buf expected = fixture_file("anchor");
    char written[4096] = {0};
    assert_int_equal(audit_append_anchor(path, buf_bytes(&note), NULL), ESIGN_OK);
    CLEANUP(fclose_p) FILE *file = fopen(path, "re");
    size_t len = fread(written, 1, sizeof written, file);
    assert_true(bytes_equal(bytes_of(written, len), buf_bytes(&expected)));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_audit_append_anchor__same_note_again__one_line(void **state)
{
    REQ("design 7");
    const char *path = *state;
    struct seen s = {0};
    assert_int_equal(audit_append_anchor(path, bytes_of_str("one\n"), NULL), ESIGN_OK);
    assert_int_equal(audit_append_anchor(path, bytes_of_str("one\n"), NULL), ESIGN_OK);
    assert_int_equal(audit_append_anchor(path, bytes_of_str("two\n"), NULL), ESIGN_OK);
    assert_int_equal(audit_append_anchor(path, bytes_of_str("one\n"), NULL), ESIGN_OK);
    assert_int_equal(audit_read_anchor(path, see_line, &s, NULL), ESIGN_OK);
    assert_int_equal(s.lines, 3);
    assert_int_equal(s.malformed, 0);
    assert_string_equal(s.last, "one\n");
}

static void test_audit_append_anchor__line_cut_by_a_crash__closed_and_passed_over(void **state)
{
    REQ("design 7");
    const char *path = *state;
    struct seen s = {0};
    assert_int_equal(audit_append_anchor(path, bytes_of_str("one\n"), NULL), ESIGN_OK);
    append_raw(path, "{\"format\":1,\"no");
    assert_int_equal(audit_read_anchor(path, see_line, &s, NULL), ESIGN_OK);
    assert_int_equal(s.lines, 1);
    assert_int_equal(audit_append_anchor(path, bytes_of_str("two\n"), NULL), ESIGN_OK);
    s = (struct seen){0};
    assert_int_equal(audit_read_anchor(path, see_line, &s, NULL), ESIGN_OK);
    assert_int_equal(s.lines, 2);
    assert_int_equal(s.malformed, 0);
    assert_string_equal(s.last, "two\n");
}

/* A page of a line that was lost reads as zeros, also when a later page of it was kept. */
static void test_audit_read_anchor__line_torn_by_a_power_cut__passed_over(void **state)
{
    REQ("design 7", "design 10");
    static const char torn[] = "{\"format\":1,\0\0\0\0\0\0\0\"one\\n\"}\n";
    const char *path = *state;
    struct seen s = {0};
    assert_int_equal(audit_append_anchor(path, bytes_of_str("one\n"), NULL), ESIGN_OK);
    append_bytes(path, torn, sizeof torn - 1);
    assert_int_equal(audit_read_anchor(path, see_line, &s, NULL), ESIGN_OK);
    assert_int_equal(s.lines, 1);
    append_bytes(path, "\0\0\0", 3);
    assert_int_equal(audit_append_anchor(path, bytes_of_str("two\n"), NULL), ESIGN_OK);
    s = (struct seen){0};
    assert_int_equal(audit_read_anchor(path, see_line, &s, NULL), ESIGN_OK);
    assert_int_equal(s.lines, 2);
    assert_int_equal(s.malformed, 0);
    assert_string_equal(s.last, "two\n");
}

static void test_audit_read_anchor__malformed_line__told(void **state)
{
    REQ("design 7");
    const char *path = *state;
    struct seen s = {0};
    append_raw(path, "{\"note\":\"a\",\"format\":1}\n"
                     "{\"format\":2,\"note\":\"a\"}\n"
                     "{\"format\":1,\"note\":\"a\",\"x\":1}\n"
                     "\n"
                     "hello\n");
    assert_int_equal(audit_read_anchor(path, see_line, &s, NULL), ESIGN_OK);
    assert_int_equal(s.lines, 5);
    assert_int_equal(s.malformed, 5);
}

static void test_audit_read_anchor__no_file__not_found(void **state)
{
    REQ("design 7");
    struct seen s = {0};
    assert_int_equal(audit_read_anchor(*state, see_line, &s, NULL), ESIGN_E_NOT_FOUND);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_audit_append_anchor__fixture_note__bytes_of_the_fixture),
        CASE(test_audit_append_anchor__same_note_again__one_line),
        CASE(test_audit_append_anchor__line_cut_by_a_crash__closed_and_passed_over),
        CASE(test_audit_read_anchor__line_torn_by_a_power_cut__passed_over),
        CASE(test_audit_read_anchor__malformed_line__told),
        CASE(test_audit_read_anchor__no_file__not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
