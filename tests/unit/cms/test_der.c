/* DER as X.690 wants it: each row is a value and its bytes. */
#include "req.h"

#include "cms/der.h"

#include "base/cleanup.h"
#include "base/encode.h"

static void assert_hex(struct buf *out, const char *expected)
{
    char hex[512];
    assert_true(buf_ok(out));
    assert_true(out->len < sizeof hex / 2);
    encode_hex(buf_bytes(out), hex);
    assert_string_equal(hex, expected);
    buf_clear(out);
}

static void test_der_put_oid__known__encoded(void **state)
{
    REQ("design 6");
    (void)state;
    static const struct {
        const char *name, *dotted, *hex;
    } rows[] = {
        {"two arcs", "2.5", "060155"},
        {"X.690 8.19.5", "2.999.3", "0603883703"},
        {"sha256WithRSAEncryption", "1.2.840.113549.1.1.11", "06092a864886f70d01010b"},
        {"largest arc", "1.3.4294967295", "06062b8fffffff7f"},
        {"zero arc", "0.4.0.19122.1.1", "060704008195320101"},
    };
    CLEANUP(buf_done) struct buf out = buf_new(64);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        der_put_oid(&out, rows[i].dotted);
        assert_hex(&out, rows[i].hex);
    }
}

static void test_der_put_oid__malformed__fails(void **state)
{
    REQ("design 6");
    (void)state;
    static const char *const rows[] = {
        "", "1", "1.", ".1", "3.1", "1.40", "1.2.x", "1..2", "1.02", "1.2.4294967296", " 1.2"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(buf_done) struct buf out = buf_new(64);
        der_put_oid(&out, rows[i]);
        assert_false(buf_ok(&out));
    }
}

static void test_der_put_uint__edges__minimal(void **state)
{
    REQ("design 6");
    (void)state;
    CLEANUP(buf_done) struct buf out = buf_new(64);
    der_put_small(&out, 0);
    assert_hex(&out, "020100");
    der_put_small(&out, 127);
    assert_hex(&out, "02017f");
    der_put_small(&out, 128);
    assert_hex(&out, "02020080");
    der_put_small(&out, 0xffffffff);
    assert_hex(&out, "020500ffffffff");
    der_put_uint(&out, bytes_of("\0\0\1", 3));
    assert_hex(&out, "020101");
    der_put_bool(&out, true);
    der_put_null(&out);
    assert_hex(&out, "0101ff0500");
}

static void test_der_end__lengths__definite_minimal(void **state)
{
    REQ("design 6");
    (void)state;
    static const struct {
        size_t len;
        const char *head;
    } rows[] = {{0, "0400"},       {127, "047f"},       {128, "048180"},      {255, "0481ff"},
                {256, "04820100"}, {65535, "0482ffff"}, {65536, "0483010000"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(buf_done) struct buf out = buf_new(70000);
        uint8_t head[8];
        size_t head_len = strlen(rows[i].head) / 2;
        size_t begun = der_begin(&out, DER_OCTET_STRING);
        uint8_t *room = buf_reserve(&out, rows[i].len);
        assert_non_null(room);
        memset(room, 0xa5, rows[i].len);
        der_end(&out, begun);
        assert_int_equal(decode_hex(rows[i].head, head, head_len), ESIGN_OK);
        assert_int_equal(out.len, head_len + rows[i].len);
        assert_memory_equal(out.data, head, head_len);
        for (size_t j = head_len; j < out.len; j++)
            assert_int_equal(out.data[j], 0xa5);
    }
}

static void test_der_put_time__around_2050__right_type(void **state)
{
    REQ("11.50(a)(2)");
    (void)state;
    CLEANUP(buf_done) struct buf out = buf_new(64);
    der_put_time(&out, 1795352587999); /* rounded down to the second */
    assert_hex(&out, "170d3236313132323133303330375a");
    der_put_time(&out, 2524607999000);
    assert_hex(&out, "170d3439313233313233353935395a");
    der_put_time(&out, 2524608000000);
    assert_hex(&out, "180f32303530303130313030303030305a");
    der_put_time(&out, -1);
    assert_false(buf_ok(&out));
}

static void test_der_put_set_of__unsorted__sorted(void **state)
{
    REQ("design 6");
    (void)state;
    CLEANUP(buf_done) struct buf out = buf_new(64);
    const struct bytes elements[] = {bytes_of("\x04\x02\x01\x01", 4), bytes_of("\x04\x01\x02", 3),
                                     bytes_of("\x02\x01\x09", 3), bytes_of("\x04\x01\x01", 3)};
    der_put_set_of(&out, DER_SET, elements, 4);
    assert_hex(&out, "310d02010904010104010204020101");
}

static void test_der_put__buffer_full__fails(void **state)
{
    REQ("design 6");
    (void)state;
    CLEANUP(buf_done) struct buf out = buf_new(9);
    der_put(&out, DER_OCTET_STRING, bytes_of("12345678", 8));
    assert_false(buf_ok(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_der_put_oid__known__encoded),
        cmocka_unit_test(test_der_put_oid__malformed__fails),
        cmocka_unit_test(test_der_put_uint__edges__minimal),
        cmocka_unit_test(test_der_end__lengths__definite_minimal),
        cmocka_unit_test(test_der_put_time__around_2050__right_type),
        cmocka_unit_test(test_der_put_set_of__unsorted__sorted),
        cmocka_unit_test(test_der_put__buffer_full__fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
