/* The frozen format: the inputs of each fixture give its bytes. */
#include "req.h"

#include "cms/cms.h"
#include "cms/keys.h"

#include "base/cleanup.h"
#include "base/encode.h"

enum { LINE_LEN = 32 * 1024, FIXTURE_FIELDS = 16 };

struct fixture {
    char *names[FIXTURE_FIELDS], *values[FIXTURE_FIELDS];
    size_t count;
    char *text;
};

/* tests/fixtures/cms/NAME beside this file. */
/* The value is checked with a key that is made of the certificate, and with the kept one. */
static enum esign_rc check_kept(struct bytes cert, struct bytes digest, struct bytes value,
                                bool *ret, struct fault *f)
{
    struct cms_keys *keys = NULL;
    bool again = false;
    assert_int_equal(cms_keys_open(&keys, f), ESIGN_OK);
    enum esign_rc rc = cms_keys_check(keys, cert, digest, value, ret, f);
    assert_int_equal(cms_keys_check(keys, cert, digest, value, &again, NULL), rc);
    if (!rc)
        assert_int_equal(again, *ret);
    cms_keys_close(keys);
    return rc;
}

static void fixture_open(struct fixture *x, const char *name)
{
    char path[4096];
    assert_true(snprintf(path, sizeof path, "%s/%s", ESIGN_FIXTURES, name) < (int)sizeof path);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    *x = (struct fixture){.text = calloc(1, LINE_LEN)};
    assert_non_null(x->text);
    size_t len = fread(x->text, 1, LINE_LEN - 1, in);
    assert_true(len > 0 && len < LINE_LEN - 1);
    assert_int_equal(fclose(in), 0);
    char *rest = x->text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        char *equals = strstr(line, " = ");
        if (line[0] == '#' || !equals)
            continue;
        assert_true(x->count < FIXTURE_FIELDS);
        *equals = '\0';
        x->names[x->count] = line;
        x->values[x->count++] = equals + 3;
    }
}

static void fixture_done(struct fixture *x)
{
    free(x->text);
}

static const char *value_of(const struct fixture *x, const char *name)
{
    for (size_t i = 0; i < x->count; i++)
        if (strcmp(x->names[i], name) == 0)
            return x->values[i];
    return NULL;
}

static struct buf hex_of(const struct fixture *x, const char *name)
{
    const char *hex = value_of(x, name);
    assert_non_null(hex);
    struct buf out = buf_new(CMS_SIGNED_MAX);
    uint8_t *room = buf_reserve(&out, strlen(hex) / 2);
    assert_non_null(room);
    assert_int_equal(decode_hex(hex, room, strlen(hex) / 2), ESIGN_OK);
    return out;
}

static enum token_algorithm algorithm_of(const char *name)
{
    return strcmp(name, "p256") == 0   ? TOKEN_P256
           : strcmp(name, "p384") == 0 ? TOKEN_P384
                                       : TOKEN_RSA3072;
}

static void check_fixture(const char *name)
{
    CLEANUP(fixture_done) struct fixture x;
    fixture_open(&x, name);
    CLEANUP(buf_done) struct buf digest = hex_of(&x, "record_digest");
    CLEANUP(buf_done) struct buf signer = hex_of(&x, "signer_cert");
    CLEANUP(buf_done) struct buf ca = hex_of(&x, "ca_cert");
    CLEANUP(buf_done) struct buf value = hex_of(&x, "value");
    CLEANUP(buf_done) struct buf expected_attributes = hex_of(&x, "signed_attributes");
    CLEANUP(buf_done) struct buf expected = hex_of(&x, "signed_data");
    CLEANUP(buf_done) struct buf attributes = buf_new(CMS_SIGNED_MAX);
    CLEANUP(buf_done) struct buf whole = buf_new(CMS_SIGNED_MAX);
    const enum token_algorithm algorithm = algorithm_of(value_of(&x, "algorithm"));
    const struct bytes chain = buf_bytes(&ca);
    const struct cms_attributes a = {
        .record_digest = buf_bytes(&digest),
        .signing_time_ms = strtoll(value_of(&x, "signing_time_ms"), NULL, 10),
        .signer_cert = buf_bytes(&signer),
        .algorithm = algorithm,
        .commitment_oid = value_of(&x, "commitment_type"),
        .claimed_role = value_of(&x, "claimed_role"),
        .envelope = bytes_of_str(value_of(&x, "envelope")),
    };
    assert_int_equal(cms_signed_attributes(&a, &attributes, NULL), ESIGN_OK);
    assert_true(bytes_equal(buf_bytes(&attributes), buf_bytes(&expected_attributes)));
    assert_int_equal(cms_signed_data(buf_bytes(&attributes), algorithm, buf_bytes(&value),
                                     buf_bytes(&signer), &chain, 1, &whole, NULL),
                     ESIGN_OK);
    assert_true(bytes_equal(buf_bytes(&whole), buf_bytes(&expected)));

    CLEANUP(buf_done) struct buf dtbs = buf_new(SHA256_LEN);
    bool good = false;
    assert_int_equal(cms_dtbs_digest(buf_bytes(&attributes), algorithm, &dtbs, NULL), ESIGN_OK);
    assert_int_equal(
        check_kept(buf_bytes(&signer), buf_bytes(&dtbs), buf_bytes(&value), &good, NULL), ESIGN_OK);
    assert_true(good);
}

static void test_cms_format__p256_whole__same_bytes(void **state)
{
    REQ("design 6", "11.70");
    (void)state;
    check_fixture("p256-whole.txt");
}

static void test_cms_format__p384_without_optional__same_bytes(void **state)
{
    REQ("design 6");
    (void)state;
    check_fixture("p384-without-optional.txt");
}

static void test_cms_format__rsa3072_generalized_time__same_bytes(void **state)
{
    REQ("design 6");
    (void)state;
    check_fixture("rsa3072-generalized-time.txt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cms_format__p256_whole__same_bytes),
        cmocka_unit_test(test_cms_format__p384_without_optional__same_bytes),
        cmocka_unit_test(test_cms_format__rsa3072_generalized_time__same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
