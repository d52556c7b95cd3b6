/* The hash tree against test data made by others: $ESIGN_CORPORA/tlog. */
#include "audit_fixture.h"

#include "audit/checkpoint.h"
#include "audit/merkle.h"

static const char *corpora(void)
{
    const char *path = getenv("ESIGN_CORPORA");
    return path ? path : ESIGN_CORPORA_DEFAULT;
}

static json_t *load(const char *file)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", corpora(), file);
    /* Some sizes are 2^64-1. */
    json_t *value = json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL);
    if (!value)
        fail_msg("%s is not readable", path);
    return value;
}

static int64_t number(const json_t *object, const char *name)
{
    double value = json_number_value(json_object_get(object, name));
    return value < 9e15 ? (int64_t)value : -1;
}

/* A 32-byte hash; false: of another length. */
static bool hash(const json_t *text, uint8_t ret[SHA256_LEN])
{
    CLEANUP(buf_done) struct buf out = buf_new(256);
    const char *base64 = json_string_value(text);
    assert_int_equal(decode_base64(base64 ? base64 : "", base64 ? strlen(base64) : 0, &out),
                     ESIGN_OK);
    if (out.len == SHA256_LEN)
        memcpy(ret, out.data, SHA256_LEN);
    return out.len == SHA256_LEN;
}

static bool proof(const json_t *hashes, struct buf *out)
{
    for (size_t i = 0; i < json_array_size(hashes); i++) {
        uint8_t one[SHA256_LEN];
        if (!hash(json_array_get(hashes, i), one))
            return false;
        buf_put(out, bytes_of(one, sizeof one));
    }
    return true;
}

static bool inclusion(const json_t *j)
{
    CLEANUP(buf_done) struct buf hashes = buf_new(4096);
    struct audit_head head = {.size = number(j, "treeSize")};
    uint8_t leaf[SHA256_LEN];
    return hash(json_object_get(j, "root"), head.root) &&
           hash(json_object_get(j, "leafHash"), leaf) &&
           proof(json_object_get(j, "proof"), &hashes) &&
           audit_inclusion_holds(leaf, number(j, "leafIdx"), &head, buf_bytes(&hashes));
}

/* ret_fits: the roots are SHA-256 values. */
static bool consistency(const json_t *j, bool *ret_fits)
{
    CLEANUP(buf_done) struct buf hashes = buf_new(4096);
    struct audit_head old = {.size = number(j, "size1")};
    struct audit_head now = {.size = number(j, "size2")};
    *ret_fits =
        hash(json_object_get(j, "root1"), old.root) && hash(json_object_get(j, "root2"), now.root);
    return *ret_fits && proof(json_object_get(j, "proof"), &hashes) &&
           audit_consistency_holds(&old, &now, buf_bytes(&hashes));
}

static bool root_of(const json_t *j, size_t size)
{
    struct audit_frontier tree = {0};
    static const uint8_t prefix = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t data[64];
        uint8_t leaf[SHA256_LEN];
        const char *hex = json_string_value(json_array_get(json_object_get(j, "leaves_hex"), i));
        assert_int_equal(decode_hex(hex, data, strlen(hex) / 2), ESIGN_OK);
        bytes_sha256(bytes_of(&prefix, 1), bytes_of(data, strlen(hex) / 2), leaf);
        assert_true(audit_frontier_append(&tree, leaf, NULL, NULL));
    }
    struct audit_head head;
    char hex[2 * SHA256_LEN + 1];
    audit_frontier_head(&tree, &head);
    encode_hex(bytes_of(head.root, SHA256_LEN), hex);
    return strcmp(hex, json_string_value(json_array_get(json_object_get(j, "roots_hex"), size))) ==
           0;
}

static bool checkpoint_text(const json_t *j, size_t index)
{
    struct audit_checkpoint_text c;
    const char *text = json_string_value(json_object_get(json_array_get(j, index), "text"));
    return audit_parse_checkpoint_text(bytes_of_str(text), &c, NULL) == ESIGN_OK;
}

/* The verdict on one row of expected.tsv, or NULL if the kind of check is not one of ours. */
static const char *judge(const char *file, const json_t *args)
{
    const char *op = json_string_value(json_object_get(args, "op"));
    if (strncmp(op, "tiles", 5) == 0)
        return NULL;
    CLEANUP(json_decref_p) json_t *j = load(file);
    bool ok = false;
    bool fits = true;
    if (strcmp(op, "inclusion") == 0)
        ok = inclusion(j);
    else if (strcmp(op, "consistency") == 0)
        ok = consistency(j, &fits);
    else if (strcmp(op, "roots") == 0)
        ok = root_of(j, (size_t)json_integer_value(json_object_get(args, "size")));
    else if (strcmp(op, "checkpoint-body") == 0)
        ok = checkpoint_text(j, (size_t)json_integer_value(json_object_get(args, "index")));
    else
        fail_msg("unknown check %s", op);
    if (ok)
        return "ok";
    return fits ? "error" : "no SHA-256 tree";
}

static void test_corpus__every_counted_row_of_tlog__as_expected(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/expected.tsv", corpora());
    CLEANUP(fclose_p) FILE *table = fopen(path, "re");
    if (!table) {
        print_message("no corpora at %s\n", corpora());
        skip();
    }
    CLEANUP(free_p) char *line = NULL;
    size_t room = 0;
    int judged = 0;
    int wrong = 0;
    while (getline(&line, &room, table) > 0) {
        char *rest = line;
        char *column[7];
        for (int i = 0; i < 7; i++)
            column[i] = strsep(&rest, "\t\n");
        if (strcmp(column[0], "tlog") != 0 || !column[5] || strcmp(column[5], "1") != 0)
            continue;
        CLEANUP(json_decref_p) json_t *args = json_loads(column[3], 0, NULL);
        const char *verdict = judge(column[2], args);
        /* Roots of 11 bytes belong to no tree of ours, whatever may hold of them. */
        if (!verdict || strcmp(verdict, "no SHA-256 tree") == 0)
            continue;
        judged++;
        if (strcmp(verdict, column[4]) != 0) {
            print_error("%s: %s, expected %s\n", column[1], verdict, column[4]);
            wrong++;
        }
    }
    print_message("judged %d rows\n", judged);
    assert_int_equal(wrong, 0);
    assert_true(judged >= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus__every_counted_row_of_tlog__as_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
