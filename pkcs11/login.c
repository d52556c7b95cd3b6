#include "pkcs11/login.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "pkcs11/ckr.h"
#include "pkcs11/known.h"
#include "pkcs11/uri.h"

#include <limits.h>
#include <stdio.h>

DEFINE_CLEANUP(struct secret *, secret_free)

enum esign_rc pkcs11_login_credential(const char *name, const char *fallback_path,
                                      struct secret **ret, struct fault *f)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_MAX];

    if (directory && directory[0] == '/') {
        int len = snprintf(path, sizeof(path), "%s/%s", directory, name);
        if (len > 0 && (size_t)len < sizeof(path) && access(path, F_OK) == 0)
            return secret_read_file(path, ret, f);
    }
    if (fallback_path[0] == '\0')
        return fault_set(f, ESIGN_E_POLICY, "there is no credential '%s' for this token", name);
    return secret_read_file(fallback_path, ret, f);
}

/* Flags that forbid to send a PIN.  Source: PKCS #11 v2.40 base, section 3.2 (CK_TOKEN_INFO). */
static const struct {
    CK_FLAGS flag;
    const char *text;
} login_refusals[] = {
    {CKF_USER_PIN_LOCKED, "the token's PIN is locked"},
    {CKF_USER_PIN_FINAL_TRY, "one try is left before the token locks its PIN; it is not used up"},
    {CKF_USER_PIN_TO_BE_CHANGED, "the token's PIN must be changed first"},
    {CKF_PROTECTED_AUTHENTICATION_PATH, "the PIN can only be entered on the token itself"},
};

enum esign_rc pkcs11_login_allowed(CK_FLAGS flags, struct fault *f)
{
    for (size_t i = 0; i < sizeof(login_refusals) / sizeof(login_refusals[0]); i++)
        if ((flags & login_refusals[i].flag) != 0)
            return fault_reason(f, ESIGN_E_HSM, "pin", "%s", login_refusals[i].text);
    if ((flags & CKF_USER_PIN_INITIALIZED) == 0)
        return fault_reason(f, ESIGN_E_HSM, "pin", "the token has no user PIN yet");
    return ESIGN_OK;
}

/* Whether a failed C_Login may have cost a try.  Some modules answer a wrong PIN with a general
 * error (OpenSC issue 871), so only values that clearly speak of session or device say no. */
static bool login_was_counted(CK_RV rv)
{
    return rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED ||
           pkcs11_ckr_class(rv) != PKCS11_CKR_GONE;
}

/* What the token says, after a refusal, of the tries that are left. */
static const char *login_tries_left(const struct pkcs11_login *login)
{
    CK_TOKEN_INFO info;

    if (login->calls->C_GetTokenInfo(login->slot, &info) != CKR_OK)
        return "";
    if ((info.flags & CKF_USER_PIN_LOCKED) != 0)
        return "; the PIN is locked now";
    if ((info.flags & CKF_USER_PIN_FINAL_TRY) != 0)
        return "; one try is left";
    if ((info.flags & CKF_USER_PIN_COUNT_LOW) != 0)
        return "; the token counts wrong tries";
    return "";
}

/* A PIN was refused: no process may send it again. */
static void login_remember(const struct pkcs11_login *login, struct bytes pin)
{
    char serial[sizeof(login->info->serialNumber) + 1];
    struct fault f = {0};

    pkcs11_unpad(login->info->serialNumber, sizeof(login->info->serialNumber), serial);
    if (pkcs11_known_refuse_pin(serial, pin, &f) != ESIGN_OK)
        log_error("a refused PIN is only remembered until the service ends: %s", f.detail);
}

enum esign_rc pkcs11_login_send(const struct pkcs11_login *login, CK_USER_TYPE user,
                                const struct secret *pin, bool *ret_refused, struct fault *f)
{
    struct bytes bytes = secret_bytes(pin); /* only read by C_Login, whose interface has no const */

    *ret_refused = false;
    CK_RV rv = login->calls->C_Login(login->session, user, (CK_UTF8CHAR *)(uintptr_t)bytes.data,
                                     bytes.len);
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ||
        (rv == CKR_USER_TYPE_INVALID && user == CKU_CONTEXT_SPECIFIC))
        return ESIGN_OK;
    *ret_refused = login_was_counted(rv);
    if (!*ret_refused)
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "C_Login: %s (0x%lx)",
                            pkcs11_ckr_name(rv), rv);
    login_remember(login, bytes);
    return fault_reason(f, ESIGN_E_HSM, "pin", "C_Login: %s (0x%lx)%s", pkcs11_ckr_name(rv), rv,
                        login_tries_left(login));
}

enum esign_rc pkcs11_login_pin(const struct config *config, size_t index, struct secret **ret,
                               struct fault *f)
{
    const char *path = config_token_str(config, index, "pin_file");
    struct fault why = {0};

    if (pkcs11_login_credential("pin", path, ret, &why) == ESIGN_OK)
        return ESIGN_OK;
    return fault_reason(f, ESIGN_E_HSM, "pin", "%.180s", why.detail);
}

enum esign_rc pkcs11_login_user(const struct pkcs11_login *login, const struct config *config,
                                size_t index, bool *ret_refused, struct fault *f)
{
    CLEANUP(secret_free_p) struct secret *pin = NULL;
    char serial[sizeof(login->info->serialNumber) + 1];

    *ret_refused = false;
    if ((login->info->flags & CKF_LOGIN_REQUIRED) == 0)
        return ESIGN_OK;
    enum esign_rc rc = pkcs11_login_allowed(login->info->flags, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_login_pin(config, index, &pin, f);
    if (rc != ESIGN_OK)
        return rc;
    pkcs11_unpad(login->info->serialNumber, sizeof(login->info->serialNumber), serial);
    rc = pkcs11_known_check_pin(serial, secret_bytes(pin), f);
    if (rc != ESIGN_OK)
        return rc;
    if ((login->info->flags & CKF_USER_PIN_COUNT_LOW) != 0)
        log_warn("the token says that a wrong PIN was entered since the last right one");
    rc = pkcs11_login_send(login, CKU_USER, pin, ret_refused, f);
    if (rc == ESIGN_OK)
        pkcs11_known_forget_pins();
    if (*ret_refused) /* does the next process know? */
        *ret_refused = pkcs11_known_check_pin(serial, secret_bytes(pin), NULL) == ESIGN_OK;
    return rc;
}
