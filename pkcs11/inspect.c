#include "pkcs11/inspect.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "pkcs11/ckr.h"
#include "pkcs11/session.h"

enum { INSPECT_BATCH = 64 };

static void inspect_close(struct pkcs11_session *session)
{
    if (session->module)
        pkcs11_session_close(session);
}

static enum esign_rc inspect_count(const struct pkcs11_session *s, CK_OBJECT_CLASS class,
                                   size_t *count, struct fault *f)
{
    CK_ATTRIBUTE template = {CKA_CLASS, &class, sizeof(class)};
    CK_OBJECT_HANDLE found[INSPECT_BATCH];
    CK_ULONG got = 0;

    CK_RV rv = s->calls->C_FindObjectsInit(s->handle, &template, 1);
    if (rv != CKR_OK)
        return pkcs11_fail(f, rv, "C_FindObjectsInit");
    while ((rv = s->calls->C_FindObjects(s->handle, found, INSPECT_BATCH, &got)) == CKR_OK &&
           got > 0)
        *count += got;
    CK_RV ended = s->calls->C_FindObjectsFinal(s->handle);
    if (rv != CKR_OK || ended != CKR_OK)
        return pkcs11_fail(f, rv != CKR_OK ? rv : ended, "C_FindObjects");
    return ESIGN_OK;
}

enum esign_rc pkcs11_inspect(const struct config *config, size_t index,
                             struct pkcs11_inspection *ret, struct fault *f)
{
    CLEANUP(inspect_close) struct pkcs11_session s = {0};
    struct pkcs11_inspection found = {0};
    bool refused = false;

    enum esign_rc rc = pkcs11_session_open(config, index, NULL, true, &s, &refused, f);
    if (rc == ESIGN_OK)
        rc = inspect_count(&s, CKO_PRIVATE_KEY, &found.keys, f);
    if (rc == ESIGN_OK)
        rc = inspect_count(&s, CKO_SECRET_KEY, &found.keys, f);
    if (rc != ESIGN_OK)
        return rc;
    found.softhsm = strcmp(pkcs11_module_quirk(s.module)->name, "SoftHSM2") == 0;
    pkcs11_unpad(s.info.label, sizeof(s.info.label), found.label);
    pkcs11_unpad(s.info.serialNumber, sizeof(s.info.serialNumber), found.serial);
    *ret = found;
    return ESIGN_OK;
}
