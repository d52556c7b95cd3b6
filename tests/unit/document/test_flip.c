/* Every single bit of a signature and of its record is flipped in turn, in one process.  The
 * sanitized build takes every 11th, other algorithms every 29th: the same code, at its price. */
#include "req.h"

#include "cms/soft_token.h"

#include "base/cleanup.h"
#include "document/document.h"

#include <time.h>

#ifdef ESIGN_SANITIZE
enum { STEP = 11, SAMPLE_STEP = 29 * 11 };
#else
enum { STEP = 1, SAMPLE_STEP = 29 };
#endif

enum { RECORD_LEN = 2048 };

static void fill_record(uint8_t record[RECORD_LEN])
{
    for (size_t i = 0; i < RECORD_LEN; i++)
        record[i] = (uint8_t)((size_t)(unsigned char)"batch record "[i % 13] + i / 256);
}

/* The verdict about a signature with all that can be known besides in its favour. */
static bool is_accepted(const struct soft_world *w, struct bytes cms, struct bytes record,
                        struct document_verdict *verdict)
{
    static const struct document_context context = {.record_type = "batch",
                                                    .record_id = "B-2026-0042",
                                                    .record_version = "1",
                                                    .audit = "member",
                                                    .signer_state = "active",
                                                    .production = true};
    CLEANUP(json_decref_p) json_t *facts = NULL;
    const struct bytes anchor = buf_bytes(&w->ca_cert);
    uint8_t digest[SHA256_LEN];
    bytes_sha256(record, (struct bytes){0}, digest);
    const struct document_signature s = {.cms = cms,
                                         .record_digest = bytes_of(digest, sizeof digest),
                                         .anchors = &anchor,
                                         .anchor_count = 1};
    struct fault f = {0};
    if (validate_signature(&s, &facts, &f))
        fail_msg("%s", f.detail);
    document_verdict(facts, &context, verdict);
    return strcmp(verdict->indication, "TOTAL_PASSED") == 0;
}

static double now_s(void)
{
    struct timespec at;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &at), 0);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* Flip each step-th bit of subject[0..len) and count what is accepted. */
static size_t flip_all(const struct soft_world *w, uint8_t *subject, size_t len, size_t step,
                       struct bytes cms, struct bytes record)
{
    size_t accepted = 0;
    struct document_verdict verdict;
    for (size_t bit = 0; bit < len * 8; bit += step) {
        subject[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (is_accepted(w, cms, record, &verdict)) {
            print_error("accepted with bit %zu flipped\n", bit);
            accepted++;
        }
        subject[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    return accepted;
}

static void check_bits(enum token_algorithm algorithm, size_t step)
{
    struct soft_world w;
    struct document_verdict verdict;
    uint8_t record[RECORD_LEN];
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    const struct soft_choice choice = {0};

    fill_record(record);
    soft_world_init(&w, algorithm);
    soft_sign(&w, bytes_of(record, sizeof record), &choice, &cms);
    if (!is_accepted(&w, buf_bytes(&cms), bytes_of(record, sizeof record), &verdict))
        fail_msg("refused unflipped: %s %s", verdict.reason, verdict.detail);
    double began = now_s();
    const struct bytes signature = buf_bytes(&cms), whole = bytes_of(record, sizeof record);
    assert_int_equal(flip_all(&w, cms.data, cms.len, step, signature, whole), 0);
    assert_int_equal(flip_all(&w, record, sizeof record, step, signature, whole), 0);
    print_message("1 of %zu of %zu bits of the signature and %zu of the record: %.1f s\n", step,
                  cms.len * 8, sizeof record * 8, now_s() - began);
    assert_true(is_accepted(&w, buf_bytes(&cms), bytes_of(record, sizeof record), &verdict));
    soft_world_done(&w);
}

static void test_validate_signature__bits_flipped_p256__refused(void **state)
{
    REQ("11.3(b)(5)", "11.70", "11.10(a)");
    (void)state;
    check_bits(TOKEN_P256, STEP);
}

static void test_validate_signature__bits_flipped_p384__refused(void **state)
{
    REQ("11.3(b)(5)", "11.70");
    (void)state;
    check_bits(TOKEN_P384, SAMPLE_STEP);
}

static void test_validate_signature__bits_flipped_rsa3072__refused(void **state)
{
    REQ("11.3(b)(5)", "11.70");
    (void)state;
    check_bits(TOKEN_RSA3072, SAMPLE_STEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validate_signature__bits_flipped_p256__refused),
        cmocka_unit_test(test_validate_signature__bits_flipped_p384__refused),
        cmocka_unit_test(test_validate_signature__bits_flipped_rsa3072__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
