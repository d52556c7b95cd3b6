#include "req.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "store/entry.h"

#include <string.h>

enum { ENTRIES = 13 };

/* The frozen entries of tests/fixtures/audit, a line each. */
static char *read_entries(size_t *ret_len)
{
    CLEANUP(fclose_p) FILE *file = fopen(ESIGN_FIXTURES "/entries.jsonl", "re");
    assert_non_null(file);
    char *text = calloc(1, 65536);
    assert_non_null(text);
    *ret_len = fread(text, 1, 65535, file);
    return text;
}

static struct bytes take_line(struct bytes *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    assert_non_null(end);
    struct bytes line = bytes_of(rest->data, (size_t)(end - rest->data));
    *rest = bytes_of(end + 1, rest->len - line.len - 1);
    return line;
}

static enum esign_rc check(struct bytes entry, int64_t seq, json_t **ret, struct fault *f)
{
    uint8_t leaf[SHA256_LEN];
    store_leaf_hash(entry, leaf);
    return store_check_entry(entry, bytes_of(leaf, sizeof leaf), seq, ret, f);
}

static void test_store_check_entry__frozen_entries__accepted_in_their_place(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    size_t len = 0;
    CLEANUP(free_p) char *text = read_entries(&len);
    struct bytes rest = bytes_of(text, len);
    for (int64_t seq = 0; seq < ENTRIES; seq++) {
        struct bytes line = take_line(&rest);
        assert_int_equal(check(line, seq, NULL, NULL), ESIGN_OK);
        assert_int_equal(check(line, seq + 1, NULL, NULL), ESIGN_E_AUDIT_UNAVAILABLE);
    }
    assert_int_equal(rest.len, 0);
}

static void test_store_check_entry__each_flipped_bit__refused(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    size_t len = 0;
    CLEANUP(free_p) char *text = read_entries(&len);
    struct bytes rest = bytes_of(text, len);
    struct bytes line = take_line(&rest);
    uint8_t leaf[SHA256_LEN];
    store_leaf_hash(line, leaf);
    for (size_t bit = 0; bit < 8 * line.len; bit++) {
        text[bit / 8] ^= (char)(1 << bit % 8);
        struct fault f;
        assert_int_equal(store_check_entry(line, bytes_of(leaf, sizeof leaf), 0, NULL, &f),
                         ESIGN_E_AUDIT_UNAVAILABLE);
        assert_string_equal(f.reason, "tampered");
        text[bit / 8] ^= (char)(1 << bit % 8);
    }
}

/* A good entry with one thing changed; its leaf is right. */
static void test_store_check_entry__right_leaf_wrong_form__refused(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
#define HEAD "{\"action\":\"a\",\"actor\":{\"role\":\"system\"},\"clock\":\"synchronised\","
#define TAIL "\"rows\":{},\"seq\":0,\"time\":\"2026-11-22T13:00:00.000Z\"}"
    static const struct {
        const char *name, *entry;
        enum esign_rc rc;
    } rows[] = {
        {"good", HEAD "\"format\":1,\"object\":\"o\",\"offset\":\"+00:00\",\"result\":\"OK\"," TAIL,
         ESIGN_OK},
        {"format 2",
         HEAD "\"format\":2,\"object\":\"o\",\"offset\":\"+00:00\",\"result\":\"OK\"," TAIL,
         ESIGN_E_AUDIT_UNAVAILABLE},
        {"no object", HEAD "\"format\":1,\"offset\":\"+00:00\",\"result\":\"OK\"," TAIL,
         ESIGN_E_AUDIT_UNAVAILABLE},
        {"space",
         HEAD "\"format\":1,\"object\":\"o\", \"offset\":\"+00:00\",\"result\":\"OK\"," TAIL,
         ESIGN_E_AUDIT_UNAVAILABLE},
        {"order",
         HEAD "\"object\":\"o\",\"format\":1,\"offset\":\"+00:00\",\"result\":\"OK\"," TAIL,
         ESIGN_E_AUDIT_UNAVAILABLE},
        {"needless escape",
         HEAD "\"format\":1,\"object\":\"\\u006f\",\"offset\":\"+00:00\",\"result\":\"OK\"," TAIL,
         ESIGN_E_AUDIT_UNAVAILABLE},
        {"unknown member",
         HEAD
         "\"format\":1,\"object\":\"o\",\"offset\":\"+00:00\",\"origin\":1,\"result\":\"OK\"," TAIL,
         ESIGN_E_AUDIT_UNAVAILABLE},
        {"member twice",
         HEAD
         "\"format\":1,\"format\":1,\"object\":\"o\",\"offset\":\"+00:00\",\"result\":\"OK\"," TAIL,
         ESIGN_E_AUDIT_UNAVAILABLE},
        {"not JSON", "hello", ESIGN_E_AUDIT_UNAVAILABLE},
    };
#undef HEAD
#undef TAIL
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (check(bytes_of_str(rows[i].entry), 0, NULL, NULL) != rows[i].rc)
            fail_msg("%s", rows[i].name);
}

static void test_store_check_row__frozen_rows__fit_their_entries_only(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    size_t len = 0;
    CLEANUP(free_p) char *text = read_entries(&len);
    json_t *entries[ENTRIES];
    struct bytes rest = bytes_of(text, len);
    for (int64_t seq = 0; seq < ENTRIES; seq++)
        assert_int_equal(check(take_line(&rest), seq, &entries[seq], NULL), ESIGN_OK);
    CLEANUP(fclose_p) FILE *file = fopen(ESIGN_FIXTURES "/rows.jsonl", "re");
    assert_non_null(file);
    char line[4096];
    int count = 0;
    while (fgets(line, sizeof line, file)) {
        CLEANUP(json_decref_p) json_t *row = json_loads(line, 0, NULL);
        char key[STORE_KEY_SIZE];
        (void)snprintf(key, sizeof key, "%s", json_str(row, "key"));
        char *id = strchr(key, '/');
        *id++ = '\0';
        struct bytes body = bytes_of_str(json_str(row, "body"));
        for (int64_t seq = 0; seq < ENTRIES; seq++)
            assert_int_equal(store_check_row(entries[seq], key, id, body, NULL),
                             seq == json_int(row, "seq", -1) ? ESIGN_OK : ESIGN_E_CRED_STATE);
        count++;
    }
    assert_int_equal(count, 13);
    for (int64_t seq = 0; seq < ENTRIES; seq++)
        json_decref(entries[seq]);
}

static void test_store_is_kind__odd_words__refused(void **state)
{
    REQ("design 7");
    (void)state;
    assert_true(store_is_kind("signer"));
    assert_true(store_is_kind("entry-app"));
    assert_false(store_is_kind(""));
    assert_false(store_is_kind("Signer"));
    assert_false(store_is_kind("a/b"));
    assert_false(store_is_kind("abcdefghijklmnopqrstuvwxyzabcdefg"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_check_entry__frozen_entries__accepted_in_their_place),
        cmocka_unit_test(test_store_check_entry__each_flipped_bit__refused),
        cmocka_unit_test(test_store_check_entry__right_leaf_wrong_form__refused),
        cmocka_unit_test(test_store_check_row__frozen_rows__fit_their_entries_only),
        cmocka_unit_test(test_store_is_kind__odd_words__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
