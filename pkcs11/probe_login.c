/* The PIN: what the token's flags say, what is visible without it, and that it is accepted. */
#include "pkcs11/ckr.h"
#include "pkcs11/login.h"
#include "pkcs11/probe_internal.h"

static const struct {
    CK_FLAGS flag;
    const char *name;
} login_flags[] = {
    {CKF_LOGIN_REQUIRED, "LOGIN_REQUIRED"},
    {CKF_USER_PIN_INITIALIZED, "USER_PIN_INITIALIZED"},
    {CKF_PROTECTED_AUTHENTICATION_PATH, "PROTECTED_AUTHENTICATION_PATH"},
    {CKF_WRITE_PROTECTED, "WRITE_PROTECTED"},
    {CKF_USER_PIN_COUNT_LOW, "USER_PIN_COUNT_LOW"},
    {CKF_USER_PIN_FINAL_TRY, "USER_PIN_FINAL_TRY"},
    {CKF_USER_PIN_LOCKED, "USER_PIN_LOCKED"},
    {CKF_USER_PIN_TO_BE_CHANGED, "USER_PIN_TO_BE_CHANGED"},
};

PROBE_TRY(probe_try_login_rules)
{
    CK_FLAGS flags = p->s.info.flags;
    char names[200] = "";
    struct fault f = {0};

    (void)check;
    for (size_t i = 0; i < sizeof(login_flags) / sizeof(login_flags[0]); i++) {
        size_t len = strlen(names);
        if ((flags & login_flags[i].flag) != 0)
            (void)snprintf(names + len, sizeof(names) - len, "%s%s", len ? " " : "",
                           login_flags[i].name); /* all of them fit */
    }
    if ((flags & CKF_LOGIN_REQUIRED) == 0)
        probe_say(ret, PROBE_WARN, "the token asks for no PIN: who reaches it can use its keys");
    else if (pkcs11_login_allowed(flags, &f) != ESIGN_OK)
        probe_say(ret, PROBE_FAIL, "%s; no PIN is sent (%s)", f.detail, names);
    else if ((flags & CKF_USER_PIN_COUNT_LOW) != 0)
        probe_say(ret, PROBE_WARN, "a wrong PIN was sent since the last right one (%s)", names);
    else
        probe_say(ret, PROBE_PASS, "%s", names);
}

/* A private key that another process has made is looked for before the PIN is sent. */
PROBE_TRY(probe_try_before_login)
{
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG count = 0;

    (void)check;
    if ((p->s.info.flags & CKF_LOGIN_REQUIRED) == 0) {
        probe_say(ret, PROBE_WARN, "there is no login");
        return;
    }
    probe_new_id(p, p->early);
    p->has_early = probe_made_elsewhere(p, p->early);
    if (!p->has_early) {
        probe_say(ret, PROBE_UNTRIED, "another process could not make a key to look for");
        return;
    }
    CK_RV rv = probe_find(p, CKO_PRIVATE_KEY, p->early, &found, &count);
    if (rv == CKR_OK && count > 0)
        probe_say(ret, PROBE_WARN, "a private key is shown without a login");
    else
        probe_say(ret, PROBE_PASS, "a private key is not shown (%s)",
                  rv == CKR_OK ? "nothing is found" : pkcs11_ckr_name(rv));
}

PROBE_TRY(probe_try_login)
{
    CK_SESSION_INFO state = {0};
    struct fault f = {0};

    (void)check;
    if (probe_login(p, &f) != ESIGN_OK) {
        probe_say(ret, PROBE_FAIL, "%s%s", f.detail,
                  p->refused ? "; it is not sent again" : "; no PIN was sent");
        return;
    }
    if (!probe_worked(ret, p->s.calls->C_GetSessionInfo(p->s.handle, &state), "C_GetSessionInfo"))
        return;
    bool user = state.state == CKS_RO_USER_FUNCTIONS || state.state == CKS_RW_USER_FUNCTIONS;
    if ((p->s.info.flags & CKF_LOGIN_REQUIRED) == 0)
        probe_say(ret, PROBE_WARN, "no login is needed");
    else if (!user)
        probe_say(ret, PROBE_FAIL, "C_Login says CKR_OK, but the session is not logged in");
    else
        probe_say(ret, PROBE_PASS, "the PIN is accepted, sent once; the session is %s",
                  state.state == CKS_RW_USER_FUNCTIONS ? "read-write" : "read-only");
}

PROBE_TRY(probe_try_leftovers)
{
    size_t found = 0, left = 0;

    (void)check;
    CK_RV rv = probe_remove(p, true, &found, &left);
    if (!probe_worked(ret, rv, "C_FindObjects"))
        return;
    if (found == 0)
        probe_say(ret, PROBE_PASS, "none");
    else
        probe_say(ret, left ? PROBE_FAIL : PROBE_WARN,
                  "%zu objects of an earlier run that was broken off; %zu of them are removed now",
                  found, found - left);
}

PROBE_TRY(probe_try_info_after_login)
{
    CK_TOKEN_INFO info;
    CK_RV rv = p->s.calls->C_GetTokenInfo(p->s.slot, &info);

    (void)check;
    if (rv != CKR_OK)
        probe_say(ret, PROBE_WARN, "C_GetTokenInfo after the login: %s", pkcs11_ckr_name(rv));
    else
        probe_say(ret, PROBE_PASS, "C_GetTokenInfo works after the login");
}
