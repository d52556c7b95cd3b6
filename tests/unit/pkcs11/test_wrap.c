/* Keys that leave the token wrapped, by esign-token as it runs on a real SoftHSM. */
#include "service.h"

#include "base/cleanup.h"

static const uint8_t kek_id[TOKEN_KEY_ID_LEN] = {0x77};

static int64_t soon(void)
{
    return service_now() + SERVICE_CALL_MS;
}

static int setup(void **state)
{
    static struct service s;

    s = (struct service){0};
    *state = &s;
    service_new(&s, 1);
    assert_int_equal(service_run_init(&s), 0);
    service_start(&s);
    service_wait_for(&s, NULL);
    return 0;
}

static int teardown(void **state)
{
    struct service *s = *state;

    if (s->supervisor > 0)
        assert_int_equal(service_end(s), 0);
    service_remove(s);
    return 0;
}

static struct token_wrapper make_kek(struct service *s)
{
    struct token_kek kek = {0};
    struct fault f = {0};
    struct token_wrapper wrapper;

    if (token_make_kek(s->token, kek_id, "kek", TOKEN_P256, soon(), &kek, &f) != ESIGN_OK)
        fail_msg("%s", f.detail);
    assert_true(kek.guarded);
    memcpy(wrapper.kek_id, kek_id, sizeof(wrapper.kek_id));
    wrapper.wrap = kek.wrap;
    return wrapper;
}

static bool verifies(const struct buf *spki, struct bytes digest, const struct buf *value)
{
    const uint8_t *at = spki->data;
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki->len);
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);

    assert_int_equal(EVP_PKEY_verify_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()), 1);
    return EVP_PKEY_verify(context, value->data, value->len, digest.data, digest.len) == 1;
}

static void check_round_trip(struct service *s, enum token_algorithm algorithm)
{
    const struct token_wrapper wrapper = make_kek(s);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf blob = buf_new_locked(TOKEN_WRAPPED_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    uint8_t text[SHA256_LEN] = {1, 2, 3};
    const struct bytes digest = bytes_of(text, sizeof(text));
    struct fault f = {0};

    if (token_generate_wrapped(s->token, &wrapper, algorithm, soon(), &spki, &blob, &f))
        fail_msg("%s", f.detail);
    for (int i = 0; i < 3; i++) {
        if (token_try_wrapped(s->token, &wrapper, algorithm, buf_bytes(&blob), buf_bytes(&spki),
                              digest, soon(), &value, &f))
            fail_msg("%s", f.detail);
        assert_true(verifies(&spki, digest, &value));
    }
    blob.data[blob.len / 2] ^= 1; /* what a bit on its way would do */
    assert_int_equal(token_try_wrapped(s->token, &wrapper, algorithm, buf_bytes(&blob),
                                       buf_bytes(&spki), digest, soon(), &value, &f),
                     ESIGN_E_HSM);
}

static void test_token_sign_wrapped__p256__verifies_and_a_changed_blob_does_not(void **state)
{
    REQ("design 8", "11.70");
    check_round_trip(*state, TOKEN_P256);
}

static void test_token_sign_wrapped__rsa3072__verifies_and_a_changed_blob_does_not(void **state)
{
    REQ("design 8", "11.70");
    check_round_trip(*state, TOKEN_RSA3072);
}

static void test_token_make_kek__used_id_or_lost_key__told(void **state)
{
    REQ("design 8");
    struct service *s = *state;
    struct token_wrapper wrapper = make_kek(s);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf blob = buf_new_locked(TOKEN_WRAPPED_MAX);
    struct token_kek again;
    struct fault f = {0};

    assert_int_equal(token_make_kek(s->token, kek_id, "kek", TOKEN_P256, soon(), &again, &f),
                     ESIGN_E_CONFLICT);
    wrapper.kek_id[0] ^= 1;
    assert_int_equal(
        token_generate_wrapped(s->token, &wrapper, TOKEN_P256, soon(), &spki, &blob, &f),
        ESIGN_E_HSM);
    assert_string_equal(f.reason, "key");
    wrapper.kek_id[0] ^= 1;
    wrapper.wrap = TOKEN_WRAP_KWP; /* which this token does not have */
    assert_int_equal(
        token_generate_wrapped(s->token, &wrapper, TOKEN_P256, soon(), &spki, &blob, &f),
        ESIGN_E_HSM);
    assert_string_equal(f.reason, "key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_token_sign_wrapped__p256__verifies_and_a_changed_blob_does_not, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_token_sign_wrapped__rsa3072__verifies_and_a_changed_blob_does_not, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_token_make_kek__used_id_or_lost_key__told, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
