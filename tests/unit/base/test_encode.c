#include "base/encode.h"

#include "req.h"

static void test_decode_base64__round_trip__same(void **state)
{
    REQ("design 5");
    (void)state;
    uint8_t data[70];

    for (size_t len = 0; len < sizeof(data); len++) {
        struct buf text = buf_new(256), back = buf_new(256);
        bytes_random(data, sizeof(data));
        encode_base64(bytes_of(data, len), &text);
        assert_int_equal(decode_base64(buf_str(&text), text.len, &back), ESIGN_OK);
        assert_true(bytes_equal(buf_bytes(&back), bytes_of(data, len)));
        buf_done(&text);
        buf_done(&back);
    }
}

static void test_decode_base64__not_strict__refused(void **state)
{
    REQ("design 5");
    (void)state;
    static const char *const rows[] = {
        "QQ", "QQ=", "QR==", "QUE\n", "Q===", "=QQQ", "QU=E", "QUF=", "QQ==QQ==", "QQ-_"};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf back = buf_new(256);
        assert_int_equal(decode_base64(rows[i], strlen(rows[i]), &back), ESIGN_E_PROTO);
        buf_done(&back);
    }
}

static void test_decode_hex__other_than_lower_case_of_that_length__refused(void **state)
{
    REQ("design 5");
    (void)state;
    uint8_t out[2];

    assert_int_equal(decode_hex("00ff", out, 2), ESIGN_OK);
    assert_int_equal(out[1], 0xff);
    assert_int_equal(decode_hex("00FF", out, 2), ESIGN_E_PROTO);
    assert_int_equal(decode_hex("00f", out, 2), ESIGN_E_PROTO);
    assert_int_equal(decode_hex("00ffaa", out, 2), ESIGN_E_PROTO);
}

static void test_text_is_line__names_of_people__accepted(void **state)
{
    REQ("11.50(a)(1)", "5.38");
    (void)state;
    static const char *const rows[] = {"Jane Doe", "Zoë Müller", "李小龍", "محمد",
                                       "O'Brien-Łukasz"};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(text_is_line(rows[i], 64));
}

static void test_text_is_line__control_override_or_not_nfc__refused(void **state)
{
    REQ("11.50(a)(1)", "5.38");
    (void)state;
    static const char *const rows[] = {"",
                                       " lead",
                                       "trail ",
                                       "two\nlines",
                                       "a\x7f",
                                       "a\xe2\x80\xaez" /* override */,
                                       "\xff\xfe",
                                       "Zoe\xcc\x88" /* not NFC */,
                                       "a\xe2\x80\xa8z",
                                       "\xed\xa0\x80" /* surrogate */};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_false(text_is_line(rows[i], 64));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_base64__round_trip__same),
        cmocka_unit_test(test_decode_base64__not_strict__refused),
        cmocka_unit_test(test_decode_hex__other_than_lower_case_of_that_length__refused),
        cmocka_unit_test(test_text_is_line__names_of_people__accepted),
        cmocka_unit_test(test_text_is_line__control_override_or_not_nfc__refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
