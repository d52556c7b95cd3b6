#include "audit_fixture.h"

#include "audit/checkpoint.h"

static void test_audit_open_checkpoint__fixture__head_of_13(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    CLEANUP(buf_done) struct buf note = fixture_file("checkpoint.note");
    CLEANUP(buf_done) struct buf spki = fixture_spki();
    CLEANUP(buf_done) struct buf heads = fixture_file("heads.txt");
    struct audit_head head;
    struct fault f;
    assert_int_equal(
        audit_open_checkpoint(buf_bytes(&note), FIXTURE_ORIGIN, buf_bytes(&spki), &head, &f),
        ESIGN_OK);
    char line[128];
    char hex[2 * SHA256_LEN + 1];
    encode_hex(bytes_of(head.root, SHA256_LEN), hex);
    int len = snprintf(line, sizeof line, "%lld %s", (long long)head.size, hex);
    assert_true(bytes_equal(fixture_line(&heads, 13), bytes_of(line, (size_t)len)));
}

static void test_audit_open_checkpoint__each_flipped_bit__refused(void **state)
{
    REQ("11.10(e)", "design 7");
    (void)state;
    CLEANUP(buf_done) struct buf note = fixture_file("checkpoint.note");
    CLEANUP(buf_done) struct buf spki = fixture_spki();
    struct audit_head head;
    for (size_t bit = 0; bit < 8 * note.len; bit++) {
        note.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(
            audit_open_checkpoint(buf_bytes(&note), NULL, buf_bytes(&spki), &head, NULL),
            ESIGN_E_FORMAT);
        note.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * spki.len; bit++) {
        spki.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(
            audit_open_checkpoint(buf_bytes(&note), NULL, buf_bytes(&spki), &head, NULL),
            ESIGN_E_FORMAT);
        spki.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_audit_open_checkpoint__each_cut__refused(void **state)
{
    REQ("design 7");
    (void)state;
    CLEANUP(buf_done) struct buf note = fixture_file("checkpoint.note");
    CLEANUP(buf_done) struct buf spki = fixture_spki();
    struct audit_head head;
    for (size_t len = 0; len < note.len; len++)
        assert_int_equal(
            audit_open_checkpoint(bytes_of(note.data, len), NULL, buf_bytes(&spki), &head, NULL),
            ESIGN_E_FORMAT);
}

static void test_audit_open_checkpoint__other_notes__refused(void **state)
{
    REQ("design 7");
    (void)state;
    static const char root[] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    static const struct {
        const char *name, *format;
        enum esign_rc rc;
    } rows[] = {
        {"good form", "o\n0\n%s\n\n\xe2\x80\x94 o AAAAAAA=\n", ESIGN_OK},
        {"text after the root", "o\n0\n%s\nmore\n\n\xe2\x80\x94 o AAAAAAA=\n", ESIGN_E_FORMAT},
        {"no signature", "o\n0\n%s\n\n", ESIGN_E_FORMAT},
        {"key id only", "o\n0\n%s\n\n\xe2\x80\x94 o AAAAAA==\n", ESIGN_E_FORMAT},
        {"leading zero", "o\n00\n%s\n\n\xe2\x80\x94 o AAAAAAA=\n", ESIGN_E_FORMAT},
        {"plus in the key name", "o\n0\n%s\n\n\xe2\x80\x94 o+p AAAAAAA=\n", ESIGN_E_FORMAT},
        {"size of 20 digits", "o\n10000000000000000000\n%s\n\n\xe2\x80\x94 o AAAAAAA=\n",
         ESIGN_E_FORMAT},
        {"carriage return", "o\n0\n%s\r\n\n\xe2\x80\x94 o AAAAAAA=\n", ESIGN_E_FORMAT},
        {"no UTF-8", "\xff\n0\n%s\n\n\xe2\x80\x94 o AAAAAAA=\n", ESIGN_E_FORMAT},
        {"minus for dash", "o\n0\n%s\n\n- o AAAAAAA=\n", ESIGN_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CLEANUP(buf_done) struct buf note = buf_new(1024);
        struct audit_head head;
        buf_put_str(&note, rows[i].format);
        const char *at = strstr(buf_str(&note), "%s");
        CLEANUP(buf_done) struct buf text = buf_new(1024);
        buf_put(&text, bytes_of(note.data, (size_t)(at - (const char *)note.data)));
        buf_put_str(&text, root);
        buf_put_str(&text, at + 2);
        if (audit_open_checkpoint(buf_bytes(&text), NULL, (struct bytes){0}, &head, NULL) !=
            rows[i].rc)
            fail_msg("%s", rows[i].name);
    }
}

static void test_audit_open_checkpoint__other_origin__refused(void **state)
{
    REQ("design 7");
    (void)state;
    CLEANUP(buf_done) struct buf note = fixture_file("checkpoint.note");
    CLEANUP(buf_done) struct buf spki = fixture_spki();
    struct audit_head head;
    assert_int_equal(audit_open_checkpoint(buf_bytes(&note), "esignd.example.com/other",
                                           buf_bytes(&spki), &head, NULL),
                     ESIGN_E_FORMAT);
}

static void test_audit_sign_checkpoint__cosigned__strangers_signatures_ignored(void **state)
{
    REQ("design 7");
    (void)state;
    struct test_key k;
    test_key_init(&k);
    struct audit_head head = {.size = 5, .root = {7}};
    struct audit_head again;
    CLEANUP(buf_done) struct buf note = buf_new(AUDIT_NOTE_MAX);
    assert_int_equal(audit_sign_checkpoint(FIXTURE_ORIGIN, &head, &k.signer, &note, NULL),
                     ESIGN_OK);
    buf_put_str(&note, "\xe2\x80\x94 witness.example/w AAAAAAAA\n");
    assert_int_equal(
        audit_open_checkpoint(buf_bytes(&note), FIXTURE_ORIGIN, k.signer.spki, &again, NULL),
        ESIGN_OK);
    assert_memory_equal(&again, &head, sizeof head);
    /* A second signature under the log's own name and key must hold too. */
    uint8_t id[SHA256_LEN];
    bytes_sha256(k.signer.spki, (struct bytes){0}, id);
    CLEANUP(buf_done) struct buf value = buf_new(64);
    buf_put(&value, bytes_of(id, AUDIT_KEY_ID_LEN));
    buf_put_u8(&value, 0x30);
    buf_put_str(&note, "\xe2\x80\x94 " FIXTURE_ORIGIN " ");
    encode_base64(buf_bytes(&value), &note);
    buf_put_str(&note, "\n");
    assert_int_equal(
        audit_open_checkpoint(buf_bytes(&note), FIXTURE_ORIGIN, k.signer.spki, &again, NULL),
        ESIGN_E_FORMAT);
    test_key_done(&k);
}

static void test_audit_sign_checkpoint__token_signs_something_else__not_released(void **state)
{
    REQ("design 7");
    (void)state;
    struct test_key k;
    test_key_init(&k);
    k.wrong = true;
    struct audit_head head = {.size = 5};
    CLEANUP(buf_done) struct buf note = buf_new(AUDIT_NOTE_MAX);
    assert_int_equal(audit_sign_checkpoint(FIXTURE_ORIGIN, &head, &k.signer, &note, NULL),
                     ESIGN_E_HSM);
    assert_int_equal(note.len, 0);
    test_key_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audit_open_checkpoint__fixture__head_of_13),
        cmocka_unit_test(test_audit_open_checkpoint__each_flipped_bit__refused),
        cmocka_unit_test(test_audit_open_checkpoint__each_cut__refused),
        cmocka_unit_test(test_audit_open_checkpoint__other_notes__refused),
        cmocka_unit_test(test_audit_open_checkpoint__other_origin__refused),
        cmocka_unit_test(test_audit_sign_checkpoint__cosigned__strangers_signatures_ignored),
        cmocka_unit_test(test_audit_sign_checkpoint__token_signs_something_else__not_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
