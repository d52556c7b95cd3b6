#include "pkcs11/initialise.h"

#include "base/cleanup.h"

#include "req.h"

#include <string.h>

/* A module that takes some arguments only, and keeps what it was given. */
static struct {
    CK_RV bare, unlocked, locked, info; /* answers to NULL, to no flag, to CKF_OS_LOCKING_OK */
    const char *manufacturer;
    unsigned calls, finalized;
    char text[64];
} fake;

static CK_RV fake_initialise(void *arguments)
{
    const CK_C_INITIALIZE_ARGS *given = arguments;

    fake.calls++;
    if (!given)
        return fake.bare;
    if (given->pReserved)
        (void)snprintf(fake.text, sizeof(fake.text), "%s", (const char *)given->pReserved);
    return (given->flags & CKF_OS_LOCKING_OK) != 0 ? fake.locked : fake.unlocked;
}

static CK_RV fake_finalise(void *reserved)
{
    (void)reserved;
    fake.finalized++;
    return CKR_OK;
}

static CK_RV fake_info(CK_INFO *info)
{
    *info = (CK_INFO){0};
    memset(info->manufacturerID, ' ', sizeof(info->manufacturerID));
    memcpy(info->manufacturerID, fake.manufacturer, strlen(fake.manufacturer));
    return fake.info;
}

static CK_FUNCTION_LIST fake_calls = {
    .C_Initialize = fake_initialise, .C_Finalize = fake_finalise, .C_GetInfo = fake_info};

static void test_pkcs11_initialise__module_of_any_kind__arguments_it_takes(void **state)
{
    REQ("design 6");
    (void)state;
    static const struct {
        CK_RV bare, unlocked, locked;
        const char *init_args;
        enum esign_rc rc;
        unsigned calls;
    } cases[] = {
        {CKR_OK, CKR_HOST_MEMORY, CKR_HOST_MEMORY, "", ESIGN_OK, 1}, /* never locks: OpenSC */
        {CKR_CANT_LOCK, CKR_CANT_LOCK, CKR_OK, "", ESIGN_OK, 2},
        {CKR_NEED_TO_CREATE_THREADS, CKR_CANT_LOCK, CKR_OK, "", ESIGN_OK, 2},
        {CKR_ARGUMENTS_BAD, CKR_OK, CKR_OK, "flags=", ESIGN_OK, 1}, /* NSS */
        {CKR_ARGUMENTS_BAD, CKR_CANT_LOCK, CKR_OK, "flags=", ESIGN_OK, 2},
        {CKR_ARGUMENTS_BAD, CKR_ARGUMENTS_BAD, CKR_ARGUMENTS_BAD, "", ESIGN_E_HSM, 2},
        {CKR_GENERAL_ERROR, CKR_OK, CKR_OK, "", ESIGN_E_HSM, 1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct pkcs11_quirk *quirk = NULL;
        struct fault f = {0};
        memset(&fake, 0, sizeof(fake));
        fake.bare = cases[i].bare;
        fake.unlocked = cases[i].unlocked;
        fake.locked = cases[i].locked;
        fake.manufacturer = "Nobody";
        assert_int_equal(pkcs11_initialise(&fake_calls, cases[i].init_args, &quirk, &f),
                         cases[i].rc);
        assert_int_equal(fake.calls, cases[i].calls);
        assert_string_equal(fake.text, cases[i].init_args);
        if (cases[i].rc == ESIGN_OK)
            assert_non_null(quirk);
        else
            assert_string_equal(f.reason, "unavailable");
    }
}

static void test_pkcs11_initialise__no_info__finalized(void **state)
{
    REQ("design 6");
    (void)state;
    const struct pkcs11_quirk *quirk = NULL;
    struct fault f = {0};

    memset(&fake, 0, sizeof(fake));
    fake.manufacturer = "Nobody";
    fake.info = CKR_GENERAL_ERROR;
    assert_int_equal(pkcs11_initialise(&fake_calls, "", &quirk, &f), ESIGN_E_HSM);
    assert_int_equal(fake.finalized, 1);
}

static void test_pkcs11_quirk__maker__its_row(void **state)
{
    REQ("design 6");
    (void)state;
    static const struct {
        const char *manufacturer, *name;
    } cases[] = {{"SoftHSM", "SoftHSM2"},
                 {"Mozilla Foundation", "NSS"},
                 {"SoftHSM project", "unknown"}, /* what a token says, not a module */
                 {"", "unknown"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CK_INFO info;
        fake.manufacturer = cases[i].manufacturer;
        (void)fake_info(&info);
        assert_string_equal(pkcs11_quirk_find(&info)->name, cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pkcs11_initialise__module_of_any_kind__arguments_it_takes),
        cmocka_unit_test(test_pkcs11_initialise__no_info__finalized),
        cmocka_unit_test(test_pkcs11_quirk__maker__its_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
