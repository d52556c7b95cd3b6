/* The signer's blob: opened by its key for what it was sealed for, refused by name otherwise. */
#include "authn/seal.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "req.h"

static const char wrapped_text[] = "what C_WrapKey gave";

DEFINE_CLEANUP(struct secret *, secret_free)

static const struct seal_about about_jana = {.signer_id = "S-jana",
                                             .key = "0a",
                                             .kek = "0b",
                                             .wrap = "aes-kwp",
                                             .spki = {(const uint8_t *)"spki", 4},
                                             .generation = 1};

static struct secret *key_of(uint8_t first)
{
    uint8_t key[32] = {first};

    return secret_new(bytes_of(key, sizeof(key)));
}

static json_t *seal(uint8_t key, const struct seal_about *about)
{
    CLEANUP(secret_free_p) struct secret *sealing = key_of(key);
    json_t *sealed = NULL;

    assert_int_equal(seal_close(sealing, about, bytes_of_str(wrapped_text), &sealed, NULL),
                     ESIGN_OK);
    return sealed;
}

/* The reason of the refusal; "": opened, and the content is right. */
static const char *open_as(uint8_t key, const struct seal_about *about, const json_t *sealed)
{
    static struct fault f;
    CLEANUP(secret_free_p) struct secret *sealing = key_of(key);
    CLEANUP(buf_done) struct buf out = buf_new_locked(4096);

    f = (struct fault){0};
    enum esign_rc rc = seal_open(sealing, about, sealed, &out, &f);
    if (rc == ESIGN_OK) {
        assert_true(bytes_equal(buf_bytes(&out), bytes_of_str(wrapped_text)));
        return "";
    }
    assert_int_equal(rc, ESIGN_E_CRED_STATE);
    assert_int_equal(out.len, 0);
    return f.reason;
}

static void test_seal_open__its_key_and_purpose__what_was_sealed(void **state)
{
    REQ("design 8");
    (void)state;
    CLEANUP(json_decref_p) json_t *one = seal(1, &about_jana);
    CLEANUP(json_decref_p) json_t *two = seal(1, &about_jana);

    assert_string_equal(open_as(1, &about_jana, one), "");
    assert_false(json_equal(one, two)); /* a fresh nonce each */
}

static void test_seal_open__other_signers_or_older_blob__named(void **state)
{
    REQ("design 8", "A5");
    (void)state;
    struct seal_about other = about_jana, key = about_jana, newer = about_jana;

    other.signer_id = "S-other";
    key.key = "0c";
    newer.generation = 2;
    CLEANUP(json_decref_p) json_t *sealed = seal(1, &about_jana);
    assert_string_equal(open_as(1, &other, sealed), "blob-other");
    assert_string_equal(open_as(1, &key, sealed), "blob-other");
    assert_string_equal(open_as(1, &newer, sealed), "blob-old");
    /* and with what it says of itself changed to fit */
    assert_int_equal(json_object_set_new(sealed, "generation", json_integer(2)), 0);
    assert_string_equal(open_as(1, &newer, sealed), "blob-edited");
    assert_string_equal(open_as(2, &newer, sealed), "blob-edited");
    assert_int_equal(json_object_set_new(sealed, "signer_id", json_string("S-other")), 0);
    other.generation = 2;
    assert_string_equal(open_as(1, &other, sealed), "blob-edited");
}

static void test_seal_open__each_bound_fact_changed__refused(void **state)
{
    REQ("design 8", "A5");
    (void)state;
    struct seal_about rows[3] = {about_jana, about_jana, about_jana};

    rows[0].kek = "0c";
    rows[1].wrap = "aes-cbc-pad";
    rows[2].spki = bytes_of_str("spkj");
    CLEANUP(json_decref_p) json_t *sealed = seal(1, &about_jana);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(open_as(1, &rows[i], sealed), "blob-edited");
}

static void test_seal_open__any_bit_of_the_box_changed__refused(void **state)
{
    REQ("design 8", "A5");
    (void)state;
    CLEANUP(json_decref_p) json_t *sealed = seal(1, &about_jana);
    CLEANUP(buf_done) struct buf box = buf_new(4096);
    const char *text = json_str(sealed, "box");

    assert_int_equal(decode_base64(text, strlen(text), &box), ESIGN_OK);
    for (size_t i = 0; i < box.len * 8; i++) {
        CLEANUP(buf_done) struct buf again = buf_new(4096);
        box.data[i / 8] ^= (uint8_t)(1 << i % 8);
        encode_base64(buf_bytes(&box), &again);
        box.data[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(json_object_set_new(sealed, "box", json_string(buf_str(&again))), 0);
        assert_string_equal(open_as(1, &about_jana, sealed), "blob-edited");
    }
    static const char *const rows[] = {"", "AAAA", "no base64"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(json_object_set_new(sealed, "box", json_string(rows[i])), 0);
        assert_string_equal(open_as(1, &about_jana, sealed), "blob-edited");
    }
}

static int setup(void **state)
{
    (void)state;
    return secret_start(NULL) == ESIGN_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal_open__its_key_and_purpose__what_was_sealed),
        cmocka_unit_test(test_seal_open__other_signers_or_older_blob__named),
        cmocka_unit_test(test_seal_open__each_bound_fact_changed__refused),
        cmocka_unit_test(test_seal_open__any_bit_of_the_box_changed__refused),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
