#include "pkcs11/init.h"

#include "base/cleanup.h"
#include "base/secret.h"
#include "pkcs11/ckr.h"
#include "pkcs11/known.h"
#include "pkcs11/login.h"
#include "pkcs11/module.h"
#include "pkcs11/softhsm.h"

DEFINE_CLEANUP(struct secret *, secret_free)
DEFINE_CLEANUP(struct pkcs11_uri *, pkcs11_uri_free)
DEFINE_CLEANUP(struct pkcs11_module *, pkcs11_module_free)

/* The secret as the interface wants it, which has no const and only reads. */
static CK_UTF8CHAR *init_pin(const struct secret *s)
{
    return (CK_UTF8CHAR *)(uintptr_t)secret_bytes(s).data;
}

/* The first PIN of the user, set by the security officer. */
static enum esign_rc init_set_pin(CK_FUNCTION_LIST *calls, CK_SLOT_ID slot,
                                  const struct secret *so_pin, const struct secret *pin,
                                  struct fault *f)
{
    CK_SESSION_HANDLE session;

    CK_RV rv =
        calls->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (rv != CKR_OK)
        return pkcs11_fail(f, rv, "C_OpenSession");
    rv = calls->C_Login(session, CKU_SO, init_pin(so_pin), secret_bytes(so_pin).len);
    enum esign_rc rc = rv == CKR_OK ? ESIGN_OK : pkcs11_fail(f, rv, "C_Login of the SO");
    if (rc == ESIGN_OK) {
        rv = calls->C_InitPIN(session, init_pin(pin), secret_bytes(pin).len);
        rc = rv == CKR_OK ? ESIGN_OK : pkcs11_fail(f, rv, "C_InitPIN");
    }
    (void)calls->C_CloseSession(session); /* ends the login; the process ends soon */
    return rc;
}

/* Refuse a label that is in use, then make the token. */
static enum esign_rc init_make(const struct pkcs11_module *module,
                               const CK_UTF8CHAR label[PKCS11_LABEL_LEN],
                               const struct secret *so_pin, struct fault *f)
{
    CK_UTF8CHAR text[PKCS11_LABEL_LEN];
    CK_SLOT_ID slot = 0;
    bool taken = true;

    enum esign_rc rc = pkcs11_module_has_label(module, label, &taken, f);
    if (rc == ESIGN_OK && taken)
        return fault_set(f, ESIGN_E_CONFLICT, "there is a token with this label already");
    if (rc == ESIGN_OK)
        rc = pkcs11_module_find_blank(module, &slot, f);
    if (rc != ESIGN_OK)
        return rc;
    memcpy(text, label, sizeof(text));
    CK_RV rv = pkcs11_module_calls(module)->C_InitToken(slot, init_pin(so_pin),
                                                        secret_bytes(so_pin).len, text);
    return rv == CKR_OK ? ESIGN_OK : pkcs11_fail(f, rv, "C_InitToken");
}

/* The new token, found again: its slot may have another number now. */
static enum esign_rc init_finish(const struct pkcs11_module *module, const struct pkcs11_uri *uri,
                                 const struct secret *so_pin, const struct secret *pin,
                                 struct pkcs11_init_result *ret, struct fault *f)
{
    CK_SLOT_ID slot = 0;
    CK_TOKEN_INFO info;

    enum esign_rc rc = pkcs11_module_find(module, uri, &slot, &info, f);
    if (rc == ESIGN_OK)
        rc = init_set_pin(pkcs11_module_calls(module), slot, so_pin, pin, f);
    if (rc != ESIGN_OK)
        return rc;
    pkcs11_unpad(info.label, sizeof(info.label), ret->label);
    pkcs11_unpad(info.serialNumber, sizeof(info.serialNumber), ret->serial);
    pkcs11_known_forget_pins(); /* of another token, or of one that is no more */
    rc = pkcs11_known_set_serial(ret->serial, f);
    if (rc != ESIGN_OK)
        return rc;
    ret->read_only = pkcs11_module_quirk(module)->rewrites_token;
    return ret->read_only ? softhsm_protect_token(ret->serial, f) : ESIGN_OK;
}

enum esign_rc pkcs11_init_token(const struct config *config, size_t index,
                                struct pkcs11_init_result *ret, struct fault *f)
{
    CLEANUP(pkcs11_uri_free_p) struct pkcs11_uri *uri = NULL;
    CLEANUP(secret_free_p) struct secret *pin = NULL;
    CLEANUP(secret_free_p) struct secret *so_pin = NULL;
    CLEANUP(pkcs11_module_free_p) struct pkcs11_module *module = NULL;
    CK_UTF8CHAR label[PKCS11_LABEL_LEN];

    enum esign_rc rc = pkcs11_uri_parse(config_token_str(config, index, "uri"), &uri, f);
    if (rc == ESIGN_OK && !pkcs11_uri_label(uri, label))
        return fault_field(f, ESIGN_E_POLICY, "uri",
                           "to make a token the uri must have token= (its label) and no serial=");
    if (rc == ESIGN_OK)
        rc = pkcs11_login_credential("pin", config_token_str(config, index, "pin_file"), &pin, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_login_credential("so-pin", "", &so_pin, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_module_load(config, index, &module, f);
    if (rc == ESIGN_OK)
        rc = init_make(module, label, so_pin, f);
    if (rc == ESIGN_OK)
        rc = init_finish(module, uri, so_pin, pin, ret, f);
    return rc;
}
