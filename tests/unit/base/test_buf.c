#include "base/buf.h"

#include "base/cleanup.h"
#include "req.h"

static void test_buf_put__over_the_maximum__sticks(void **state)
{
    REQ("style 18");
    (void)state;
    struct buf b = buf_new(4);

    buf_put_str(&b, "abcd");
    assert_true(buf_ok(&b));
    buf_put_u8(&b, 'e');
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 4);
    buf_put_u8(&b, 'f'); /* nothing more is written, even if it would fit after a clear */
    assert_int_equal(b.len, 4);
    assert_null(buf_str(&b));
    buf_clear(&b);
    assert_true(buf_ok(&b));
    buf_done(&b);
}

static void test_buf_put__integers__are_big_endian(void **state)
{
    REQ("design 2");
    (void)state;
    struct buf b = buf_new(64);
    static const uint8_t expected[] = {0x12, 0x34, 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 0, 0, 0, 0, 7};

    buf_put_u16(&b, 0x1234);
    buf_put_blob(&b, bytes_of_str("hi"));
    buf_put_u64(&b, 7);
    assert_true(bytes_equal(buf_bytes(&b), bytes_of(expected, sizeof(expected))));
    buf_done(&b);
}

static void test_buf_put_fmt__grows__keeps_what_was_there(void **state)
{
    REQ("style 18");
    (void)state;
    struct buf b = buf_new(100000);

    for (int i = 0; i < 5000; i++)
        buf_put_fmt(&b, "%d,", i % 10);
    assert_int_equal(b.len, 10000);
    assert_int_equal(strncmp(buf_str(&b), "0,1,2,", 6), 0);
    buf_done(&b);
}

#if !defined ESIGN_SANITIZE && !defined __SANITIZE_THREAD__ /* which ignore mlock() */
static long locked_kib(void)
{
    CLEANUP(fclose_p) FILE *status = fopen("/proc/self/status", "re");
    char line[256];

    assert_non_null(status);
    while (fgets(line, sizeof(line), status))
        if (strncmp(line, "VmLck:", 6) == 0)
            return strtol(line + 6, NULL, 10);
    return -1;
}

static void test_buf_new_locked__grows__all_of_it_is_locked(void **state)
{
    REQ("11.200(a)(2)");
    (void)state;
    struct buf b = buf_new_locked(64 * 1024);
    char text[5000];
    long before = locked_kib();

    memset(text, 'x', sizeof(text));
    assert_true(before >= 0);
    buf_put_str(&b, "a secret");
    assert_int_equal(locked_kib() - before, 4);
    buf_put(&b, bytes_of(text, sizeof(text)));
    assert_true(buf_ok(&b));
    assert_memory_equal(b.data, "a secretx", 9);
    assert_int_equal(locked_kib() - before, 8);
    buf_done(&b);
    assert_int_equal(locked_kib(), before);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_put__over_the_maximum__sticks),
        cmocka_unit_test(test_buf_put__integers__are_big_endian),
        cmocka_unit_test(test_buf_put_fmt__grows__keeps_what_was_there),
#if !defined ESIGN_SANITIZE && !defined __SANITIZE_THREAD__
        cmocka_unit_test(test_buf_new_locked__grows__all_of_it_is_locked),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
