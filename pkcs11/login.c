#include "pkcs11/login.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "pkcs11/ckr.h"
#include "pkcs11/known.h"
#include "pkcs11/turn.h"
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

/* What a failed C_Login says of the PIN. */
enum login_verdict { LOGIN_NOT_JUDGED, LOGIN_IN_DOUBT, LOGIN_REFUSED };

/* Only values that clearly speak of session or device say that the PIN was not judged.  Some
 * modules answer a wrong one with a general error (OpenSC issue 871), and the same to a reader that
 * has gone: then the token's own flags decide, where it still tells them. */
static enum login_verdict login_judge(const struct pkcs11_login *login, CK_RV rv)
{
    if (rv != CKR_GENERAL_ERROR && rv != CKR_FUNCTION_FAILED)
        return pkcs11_ckr_class(rv) == PKCS11_CKR_GONE ? LOGIN_NOT_JUDGED : LOGIN_REFUSED;
    return *login_tries_left(login) ? LOGIN_REFUSED : LOGIN_IN_DOUBT;
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

/* Send the PIN.  ret: what is known of it after a failure. */
static enum esign_rc login_send(const struct pkcs11_login *login, CK_USER_TYPE user,
                                const struct secret *pin, enum login_verdict *ret, struct fault *f)
{
    struct bytes bytes = secret_bytes(pin); /* only read by C_Login, whose interface has no const */

    *ret = LOGIN_NOT_JUDGED;
    CK_RV rv = login->calls->C_Login(login->session, user, (CK_UTF8CHAR *)(uintptr_t)bytes.data,
                                     bytes.len);
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ||
        (rv == CKR_USER_TYPE_INVALID && user == CKU_CONTEXT_SPECIFIC))
        return ESIGN_OK;
    *ret = login_judge(login, rv);
    if (*ret != LOGIN_REFUSED)
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "C_Login: %s (0x%lx)",
                            pkcs11_ckr_name(rv), rv);
    login_remember(login, bytes);
    return fault_reason(f, ESIGN_E_HSM, "pin", "C_Login: %s (0x%lx)%s", pkcs11_ckr_name(rv), rv,
                        login_tries_left(login));
}

enum esign_rc pkcs11_login_context(const struct pkcs11_login *login, const struct secret *pin,
                                   bool *ret_refused, struct fault *f)
{
    enum login_verdict verdict = LOGIN_NOT_JUDGED;
    enum esign_rc rc = login_send(login, CKU_CONTEXT_SPECIFIC, pin, &verdict, f);

    *ret_refused = verdict != LOGIN_NOT_JUDGED;
    return verdict == LOGIN_IN_DOUBT ? fault_reason(f, ESIGN_E_HSM, "pin", "%.180s", f->detail)
                                     : rc;
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

/* Send the PIN unless that went wrong too often, and tell the other workers what came of it. */
static enum esign_rc login_in_turn(const struct pkcs11_login *login, const char *serial,
                                   const struct secret *pin, bool *ret_refused, struct fault *f)
{
    enum login_verdict verdict = LOGIN_NOT_JUDGED;

    if (login->turn && !pkcs11_turn_begin_login(login->turn)) {
        *ret_refused = true;
        return fault_reason(f, ESIGN_E_HSM, "pin",
                            "the module died or failed %d times while it was given the PIN, which "
                            "may be wrong: it is not sent again until the service is restarted",
                            PKCS11_TURN_LOGINS_MAX);
    }
    enum esign_rc rc = login_send(login, CKU_USER, pin, &verdict, f);
    if (login->turn && verdict != LOGIN_IN_DOUBT)
        pkcs11_turn_end_login(login->turn, rc == ESIGN_OK);
    if (rc == ESIGN_OK)
        pkcs11_known_forget_pins();
    if (verdict == LOGIN_REFUSED) /* does the next process know? */
        *ret_refused = pkcs11_known_check_pin(serial, secret_bytes(pin), NULL) == ESIGN_OK;
    return rc;
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
    return login_in_turn(login, serial, pin, ret_refused, f);
}
