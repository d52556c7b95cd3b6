#include "base/reader.h"

#include "req.h"

static void test_reader__short_input__fails_once_and_stays(void **state)
{
    REQ("design 2");
    (void)state;
    static const uint8_t data[] = {0, 0, 0, 3, 'a', 'b'};
    struct reader r = reader_of(bytes_of(data, sizeof(data)));
    struct bytes blob = reader_blob(&r, 10);

    assert_int_equal(blob.len, 0);
    assert_false(reader_done(&r));
    assert_int_equal(reader_u8(&r), 0);
}

static void test_reader_str__nul_inside_or_too_long__fails(void **state)
{
    REQ("design 2");
    (void)state;
    static const uint8_t nul[] = {0, 0, 0, 2, 'a', 0}, text[] = {0, 0, 0, 3, 'a', 'b', 'c'};
    char out[4], small[3];
    struct reader r = reader_of(bytes_of(nul, sizeof(nul)));

    reader_str(&r, out, sizeof(out));
    assert_false(reader_done(&r));
    r = reader_of(bytes_of(text, sizeof(text)));
    reader_str(&r, small, sizeof(small));
    assert_false(reader_done(&r));
    r = reader_of(bytes_of(text, sizeof(text)));
    reader_str(&r, out, sizeof(out));
    assert_true(reader_done(&r));
    assert_string_equal(out, "abc");
}

static void test_reader_done__something_left__false(void **state)
{
    REQ("design 2");
    (void)state;
    static const uint8_t data[] = {1, 2, 3};
    struct reader r = reader_of(bytes_of(data, sizeof(data)));

    assert_int_equal(reader_u16(&r), 0x0102);
    assert_false(reader_done(&r));
    assert_int_equal(reader_u8(&r), 3);
    assert_true(reader_done(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader__short_input__fails_once_and_stays),
        cmocka_unit_test(test_reader_str__nul_inside_or_too_long__fails),
        cmocka_unit_test(test_reader_done__something_left__false),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
