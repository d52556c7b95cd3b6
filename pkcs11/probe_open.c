/* The probe's session: opened in steps, so that what a token shows before the login can be seen. */
#include "pkcs11/ckr.h"
#include "pkcs11/login.h"
#include "pkcs11/probe_internal.h"

#include "base/cleanup.h"

#include <stdlib.h>

DEFINE_CLEANUP(struct pkcs11_uri *, pkcs11_uri_free)

static enum esign_rc open_session(struct probe *p, struct fault *f)
{
    CK_FLAGS flags = CKF_SERIAL_SESSION;

    if ((p->s.info.flags & CKF_WRITE_PROTECTED) == 0)
        flags |= CKF_RW_SESSION;
    CK_RV rv = p->s.calls->C_OpenSession(p->s.slot, flags, NULL, NULL, &p->s.handle);
    return rv == CKR_OK ? ESIGN_OK : pkcs11_fail(f, rv, "C_OpenSession");
}

enum esign_rc probe_open(struct probe *p, struct fault *f)
{
    CLEANUP(pkcs11_uri_free_p) struct pkcs11_uri *uri = NULL;
    enum esign_rc rc = pkcs11_uri_parse(config_token_str(p->config, p->index, "uri"), &uri, f);

    if (rc == ESIGN_OK && !p->s.module)
        rc = pkcs11_module_load(p->config, p->index, &p->s.module, f);
    if (rc != ESIGN_OK)
        return rc;
    p->s.calls = pkcs11_module_calls(p->s.module);
    p->s.config = p->config;
    p->s.index = p->index;
    rc = pkcs11_module_find(p->s.module, uri, &p->s.slot, &p->s.info, f);
    return rc == ESIGN_OK ? open_session(p, f) : rc;
}

void probe_close(struct probe *p)
{
    pkcs11_session_close(&p->s);
    p->logged_in = false;
    p->wrapping_key = 0;
    memset(p->pairs, 0, sizeof(p->pairs)); /* handles of the session that has gone */
}

enum esign_rc probe_login(struct probe *p, struct fault *f)
{
    const struct pkcs11_login login = {p->s.calls, p->s.handle, p->s.slot, &p->s.info, NULL};
    bool refused = false;

    if (p->refused)
        return fault_reason(f, ESIGN_E_HSM, "pin", "the PIN was refused and is not sent again");
    enum esign_rc rc = pkcs11_login_user(&login, p->config, p->index, &refused, f);
    p->refused = refused;
    p->logged_in = rc == ESIGN_OK;
    /* A PIN that was right stays so, whatever a module says to what is tried from here on. */
    if (p->logged_in && unsetenv("STATE_DIRECTORY") != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "the environment can't be changed");
    return rc;
}
