#include "store_fixture.h"

#include "store/migrate.h"

static const struct store_migration STEPS[] = {
    {1, "0001_first",
     "CREATE TABLE meta(version INTEGER PRIMARY KEY, name TEXT, sha256 TEXT) STRICT;"
     "CREATE TABLE a(x TEXT) STRICT;"},
    {2, "0002_second", "ALTER TABLE a ADD COLUMN y TEXT; INSERT INTO a VALUES('1', '2');"},
    {3, "0003_broken", "CREATE TABLE b(x TEXT); INSERT INTO missing VALUES(1);"},
};

static int setup(void **state)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    *state = db;
    return 0;
}

static int teardown(void **state)
{
    return sqlite3_close(*state);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    int64_t value = -1;
    struct fault f;
    assert_int_equal(store_query_int(db, sql, -1, &value, &f), ESIGN_OK);
    return value;
}

static void test_store_migrate__step_by_step__each_applied_once(void **state)
{
    REQ("design 7");
    struct fault f;
    assert_int_equal(store_migrate(*state, STEPS, 1, &f), ESIGN_OK);
    assert_int_equal(number(*state, "SELECT max(version) FROM meta"), 1);
    assert_int_equal(store_migrate(*state, STEPS, 2, &f), ESIGN_OK);
    assert_int_equal(store_migrate(*state, STEPS, 2, &f), ESIGN_OK);
    assert_int_equal(number(*state, "SELECT count(*) FROM meta"), 2);
    assert_int_equal(number(*state, "SELECT count(*) FROM a"), 1);
}

static void test_store_migrate__newer_schema__refused(void **state)
{
    REQ("design 7");
    struct fault f;
    assert_int_equal(store_migrate(*state, STEPS, 2, &f), ESIGN_OK);
    assert_int_equal(store_migrate(*state, STEPS, 1, &f), ESIGN_E_AUDIT_UNAVAILABLE);
    assert_non_null(strstr(f.detail, "newer"));
}

static void test_store_migrate__other_content__refused(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fault f;
    struct store_migration other[] = {STEPS[0], STEPS[1]};
    assert_int_equal(store_migrate(*state, STEPS, 2, &f), ESIGN_OK);
    other[1].sql = "ALTER TABLE a ADD COLUMN z TEXT;";
    assert_int_equal(store_migrate(*state, other, 2, &f), ESIGN_E_AUDIT_UNAVAILABLE);
    assert_string_equal(f.reason, "tampered");
}

static void test_store_migrate__failing_step__undone(void **state)
{
    REQ("design 7");
    struct fault f;
    assert_int_equal(store_migrate(*state, STEPS, 3, &f), ESIGN_E_AUDIT_UNAVAILABLE);
    assert_int_equal(number(*state, "SELECT max(version) FROM meta"), 2);
    assert_int_equal(number(*state, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
    assert_true(sqlite3_get_autocommit(*state));
}

static void test_store_migrate__somebody_elses_database__refused(void **state)
{
    REQ("design 7");
    struct fault f;
    assert_int_equal(store_exec(*state, "CREATE TABLE mine(x)", &f), ESIGN_OK);
    assert_int_equal(store_migrate(*state, STEPS, 2, &f), ESIGN_E_AUDIT_UNAVAILABLE);
}

static void test_store_migrations__schema_folder__numbered_without_gaps(void **state)
{
    REQ("design 7");
    (void)state;
    size_t count = 0;
    const struct store_migration *m = store_migrations(&count);
    assert_true(count >= 1);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(m[i].version, i + 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_store_migrate__step_by_step__each_applied_once),
        CASE(test_store_migrate__newer_schema__refused),
        CASE(test_store_migrate__other_content__refused),
        CASE(test_store_migrate__failing_step__undone),
        CASE(test_store_migrate__somebody_elses_database__refused),
        cmocka_unit_test(test_store_migrations__schema_folder__numbered_without_gaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
