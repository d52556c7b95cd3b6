#include "pkcs11/session.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "pkcs11/ckr.h"
#include "pkcs11/known.h"
#include "pkcs11/login.h"

#include <limits.h>

DEFINE_CLEANUP(struct pkcs11_uri *, pkcs11_uri_free)

/* A read-write session where the token allows it: keys are made in it. */
static enum esign_rc session_begin(struct pkcs11_session *s, struct fault *f)
{
    CK_FLAGS flags = CKF_SERIAL_SESSION;

    if ((s->info.flags & CKF_WRITE_PROTECTED) == 0)
        flags |= CKF_RW_SESSION;
    CK_RV rv = s->calls->C_OpenSession(s->slot, flags, NULL, NULL, &s->handle);
    if (rv == CKR_OK)
        return ESIGN_OK;
    enum esign_rc rc = fault_reason(f, ESIGN_E_HSM, "unavailable", "C_OpenSession: %s (0x%lx)",
                                    pkcs11_ckr_name(rv), rv);
    if (f)
        f->cause = rv;
    return rc;
}

/* A number that the token tells, or 0 for "unknown" and "without end". */
static unsigned session_number(CK_ULONG number)
{
    return number == CK_UNAVAILABLE_INFORMATION || number == CK_EFFECTIVELY_INFINITE ||
                   number > INT_MAX
               ? 0
               : (unsigned)number;
}

unsigned pkcs11_session_most(const struct pkcs11_session *session)
{
    unsigned all = session_number(session->info.ulMaxSessionCount);
    unsigned writing = session_number(session->info.ulMaxRwSessionCount);

    if ((session->info.flags & CKF_WRITE_PROTECTED) != 0 || writing == 0)
        return all;
    return all == 0 || writing < all ? writing : all;
}

/* Whether the token is the one that this site has used: of a uri without serial= another token of
 * the same label would match too, and it has none of the keys. */
static enum esign_rc session_check_token(const struct pkcs11_session *s,
                                         const struct pkcs11_uri *uri, struct fault *f)
{
    char serial[sizeof(s->info.serialNumber) + 1], label[sizeof(s->info.label) + 1];
    char known[PKCS11_SERIAL_LEN + 1] = "";

    if (pkcs11_uri_has_serial(uri))
        return ESIGN_OK;
    pkcs11_unpad(s->info.serialNumber, sizeof(s->info.serialNumber), serial);
    pkcs11_unpad(s->info.label, sizeof(s->info.label), label);
    if (pkcs11_known_serial(known, f) != ESIGN_OK)
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "%.180s", f ? f->detail : "");
    if (known[0] == '\0' || strcmp(known, serial) == 0)
        return ESIGN_OK;
    return fault_reason(f, ESIGN_E_HSM, "unavailable",
                        "the token '%s' has serial %s, but the keys are on the one with serial %s: "
                        "bring that back, or say serial=%s in the uri",
                        label, serial, known, serial);
}

static enum esign_rc session_log_in(struct pkcs11_session *s, struct pkcs11_turn *turn,
                                    bool may_login, bool *ret_refused, struct fault *f)
{
    const struct pkcs11_login login = {s->calls, s->handle, s->slot, &s->info, turn};

    if (!may_login)
        return fault_reason(f, ESIGN_E_HSM, "pin",
                            "the token refused the PIN, or its module failed to say so; it is not "
                            "sent again until the service is restarted");
    return pkcs11_login_user(&login, s->config, s->index, ret_refused, f);
}

/* A token that has accepted our PIN is the one that is known from now on. */
static void session_note_token(const struct pkcs11_session *s)
{
    char serial[sizeof(s->info.serialNumber) + 1];
    struct fault f = {0};

    pkcs11_unpad(s->info.serialNumber, sizeof(s->info.serialNumber), serial);
    if (pkcs11_known_set_serial(serial, &f) != ESIGN_OK)
        log_warn("another token of the same label would not be noticed: %s", f.detail);
}

enum esign_rc pkcs11_session_open(const struct config *config, size_t index,
                                  struct pkcs11_turn *turn, bool may_login,
                                  struct pkcs11_session *ret, bool *ret_refused, struct fault *f)
{
    CLEANUP(pkcs11_uri_free_p) struct pkcs11_uri *uri = NULL;
    struct pkcs11_session s = {.config = config, .index = index};

    *ret_refused = false;
    enum esign_rc rc = pkcs11_uri_parse(config_token_str(config, index, "uri"), &uri, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_module_load(config, index, &s.module, f);
    if (rc == ESIGN_OK) {
        s.calls = pkcs11_module_calls(s.module);
        rc = pkcs11_module_find(s.module, uri, &s.slot, &s.info, f);
    }
    if (rc == ESIGN_OK)
        rc = session_check_token(&s, uri, f);
    if (rc == ESIGN_OK)
        rc = session_begin(&s, f);
    if (rc == ESIGN_OK)
        rc = session_log_in(&s, turn, may_login, ret_refused, f);
    if (rc == ESIGN_OK) {
        session_note_token(&s);
        *ret = s;
    } else {
        pkcs11_session_close(&s);
    }
    return rc;
}

void pkcs11_session_close(struct pkcs11_session *session)
{
    secret_free(session->pin);
    pkcs11_module_free(session->module); /* C_Finalize ends session and login */
    *session = (struct pkcs11_session){0};
}

enum esign_rc pkcs11_session_authenticate(struct pkcs11_session *session, struct fault *f)
{
    const struct pkcs11_login login = {session->calls, session->handle, session->slot,
                                       &session->info, NULL};
    enum esign_rc rc = ESIGN_OK;
    CK_TOKEN_INFO info;

    if (session->pin_refused)
        return fault_reason(f, ESIGN_E_HSM, "pin", "the key refused the PIN; it isn't sent again");
    /* SoftHSM says nothing after a login; the PIN has been right once */
    if (session->calls->C_GetTokenInfo(session->slot, &info) == CKR_OK)
        rc = pkcs11_login_allowed(info.flags, f);
    if (rc == ESIGN_OK && !session->pin)
        rc = pkcs11_login_pin(session->config, session->index, &session->pin, f);
    return rc == ESIGN_OK ? pkcs11_login_context(&login, session->pin, &session->pin_refused, f)
                          : rc;
}

enum esign_rc pkcs11_session_renew(struct pkcs11_session *session, struct fault *f)
{
    CK_SESSION_HANDLE before = session->handle;

    enum esign_rc rc = session_begin(session, f);
    if (rc != ESIGN_OK)
        return rc;
    CK_RV rv = session->calls->C_CloseSession(before);
    return rv == CKR_OK ? ESIGN_OK
                        : fault_reason(f, ESIGN_E_HSM, "unavailable", "C_CloseSession: %s (0x%lx)",
                                       pkcs11_ckr_name(rv), rv);
}

enum esign_rc pkcs11_session_find(const struct pkcs11_session *session, CK_ATTRIBUTE *template,
                                  CK_ULONG count, CK_OBJECT_HANDLE *ret, CK_ULONG max,
                                  CK_ULONG *ret_count, struct fault *f)
{
    CK_RV rv = session->calls->C_FindObjectsInit(session->handle, template, count);

    *ret_count = 0;
    if (rv != CKR_OK) {
        (void)session->calls->C_FindObjectsFinal(
            session->handle); /* if it has begun all the same */
        return pkcs11_fail(f, rv, "C_FindObjectsInit");
    }
    rv = session->calls->C_FindObjects(session->handle, ret, max, ret_count);
    CK_RV ended = session->calls->C_FindObjectsFinal(session->handle);
    if (ended != CKR_OK) /* whatever it is: no other search can begin */
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "C_FindObjectsFinal: %s (0x%lx)",
                            pkcs11_ckr_name(ended), ended);
    if (rv != CKR_OK)
        return pkcs11_fail(f, rv, "C_FindObjects");
    if (*ret_count > max)
        return fault_reason(f, ESIGN_E_HSM, "unavailable",
                            "C_FindObjects told of %lu objects instead of at most %lu", *ret_count,
                            max);
    return ESIGN_OK;
}

/* Whatever the token answers to a question of its own state: it can't be used now. */
static enum esign_rc session_unusable(struct fault *f, const char *why)
{
    return fault_reason(f, ESIGN_E_HSM, "unavailable", "%.180s", why);
}

enum esign_rc pkcs11_session_check(struct pkcs11_session *session, struct fault *f)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template = {CKA_CLASS, &class, sizeof(class)};
    CK_OBJECT_HANDLE found;
    CK_ULONG count = 0;
    CK_SESSION_INFO state;
    struct fault why = {0};

    CK_RV rv = session->calls->C_GetSessionInfo(session->handle, &state);
    if (rv == CKR_OK && (session->info.flags & CKF_LOGIN_REQUIRED) != 0 &&
        state.state != CKS_RO_USER_FUNCTIONS && state.state != CKS_RW_USER_FUNCTIONS)
        rv = CKR_USER_NOT_LOGGED_IN;
    enum esign_rc rc = rv == CKR_OK
                           ? pkcs11_session_find(session, &template, 1, &found, 1, &count, &why)
                           : pkcs11_fail(&why, rv, "C_GetSessionInfo");
    if (rc != ESIGN_OK)
        return session_unusable(f, why.detail);
    if (session->has_keys && count == 0)
        return session_unusable(f, "the token's keys have vanished");
    session->has_keys = count > 0;
    return ESIGN_OK;
}
