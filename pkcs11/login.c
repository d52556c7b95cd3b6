#include "pkcs11/login.h"

#include "base/cleanup.h"
#include "pkcs11/ckr.h"

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

enum esign_rc pkcs11_login_send(CK_FUNCTION_LIST *calls, CK_SESSION_HANDLE session,
                                CK_USER_TYPE user, const struct secret *pin, bool *ret_refused,
                                struct fault *f)
{
    struct bytes bytes = secret_bytes(pin); /* only read by C_Login, whose interface has no const */

    *ret_refused = false;
    CK_RV rv = calls->C_Login(session, user, (CK_UTF8CHAR *)(uintptr_t)bytes.data, bytes.len);
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ||
        (rv == CKR_USER_TYPE_INVALID && user == CKU_CONTEXT_SPECIFIC))
        return ESIGN_OK;
    *ret_refused = login_was_counted(rv);
    return fault_reason(f, ESIGN_E_HSM, *ret_refused ? "pin" : "unavailable", "C_Login: %s (0x%lx)",
                        pkcs11_ckr_name(rv), rv);
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

enum esign_rc pkcs11_login(CK_FUNCTION_LIST *calls, CK_SESSION_HANDLE session, CK_FLAGS flags,
                           const struct config *config, size_t index, bool *ret_refused,
                           struct fault *f)
{
    CLEANUP(secret_free_p) struct secret *pin = NULL;

    *ret_refused = false;
    if ((flags & CKF_LOGIN_REQUIRED) == 0)
        return ESIGN_OK;
    enum esign_rc rc = pkcs11_login_allowed(flags, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_login_pin(config, index, &pin, f);
    return rc == ESIGN_OK ? pkcs11_login_send(calls, session, CKU_USER, pin, ret_refused, f) : rc;
}
