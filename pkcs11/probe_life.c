/* What stays valid when sessions, logins, other processes and the device itself come and go. */
#include "pkcs11/ckr.h"
#include "pkcs11/probe_internal.h"

#include "base/clock.h"

#include <poll.h>

enum { LIFE_POLL_MS = 200 };

static bool life_sees(const struct probe *p, const uint8_t id[TOKEN_KEY_ID_LEN])
{
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG count = 0;

    return probe_find(p, CKO_PRIVATE_KEY, id, &found, &count) == CKR_OK && count > 0;
}

/* Open the token anew in this process, with C_Finalize between.  The PIN that was accepted before
 * is sent once more, also after a failure of another kind, unless the token has counted a wrong
 * one. */
static bool life_start_over(struct probe *p)
{
    struct fault f = {0};

    probe_close(p);
    if (probe_open(p, &f) != ESIGN_OK || (p->s.info.flags & CKF_USER_PIN_COUNT_LOW) != 0)
        return false;
    p->refused = false;
    return probe_login(p, &f) == ESIGN_OK;
}

PROBE_TRY(probe_try_elsewhere)
{
    uint8_t late[TOKEN_KEY_ID_LEN];

    (void)check;
    bool early = p->has_early && life_sees(p, p->early);
    probe_new_id(p, late);
    if (!probe_made_elsewhere(p, late)) {
        probe_say(ret, PROBE_UNTRIED, "another process could not make a key");
        return;
    }
    if (life_sees(p, late)) {
        probe_say(ret, PROBE_PASS, "seen at once%s",
                  p->has_early && !early ? ", but not one that was made before the login" : "");
        return;
    }
    if (!life_start_over(p))
        probe_say(ret, PROBE_FAIL, "the token could not be opened a second time");
    else if (life_sees(p, late))
        probe_say(ret, PROBE_WARN, "seen only after C_Finalize and C_Initialize");
    else
        probe_say(ret, PROBE_FAIL, "never seen by another process");
}

/* The value of a data object that was stored. */
static CK_RV life_read_data(const struct probe *p, CK_OBJECT_HANDLE object, struct bytes wanted,
                            bool *ret_same)
{
    uint8_t value[64];
    CK_ATTRIBUTE asked = {CKA_VALUE, value, sizeof(value)};
    CK_RV rv = p->s.calls->C_GetAttributeValue(p->s.handle, object, &asked, 1);

    *ret_same = rv == CKR_OK && asked.ulValueLen <= sizeof(value) &&
                bytes_equal(bytes_of(value, asked.ulValueLen), wanted);
    return rv;
}

PROBE_TRY(probe_try_data)
{
    static const uint8_t anchor[] = "a size and a root";
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_OBJECT_HANDLE object = 0;
    bool same = false;
    CK_ATTRIBUTE template[] = {
        probe_attribute(CKA_CLASS, &class, sizeof(class)),
        probe_flag(CKA_TOKEN, true),
        probe_flag(CKA_PRIVATE, true),
        probe_attribute(CKA_LABEL, PROBE_LABEL, sizeof(PROBE_LABEL) - 1),
        probe_attribute(CKA_APPLICATION, PROBE_LABEL, sizeof(PROBE_LABEL) - 1),
        probe_attribute(CKA_VALUE, anchor, sizeof(anchor)),
    };

    (void)check;
    CK_RV rv = p->s.calls->C_CreateObject(p->s.handle, template, 6, &object);
    if (rv != CKR_OK) {
        probe_say(ret, PROBE_ABSENT, "C_CreateObject of CKO_DATA: %s", pkcs11_ckr_name(rv));
        return;
    }
    if (probe_worked(ret, life_read_data(p, object, bytes_of(anchor, sizeof(anchor)), &same),
                     "C_GetAttributeValue") &&
        probe_worked(ret, p->s.calls->C_DestroyObject(p->s.handle, object), "C_DestroyObject"))
        probe_say(ret, same ? PROBE_PASS : PROBE_FAIL, "%s",
                  same ? "stored, read back and removed" : "read back as something else");
}

/* Sign with a handle from before; what is said, and whether the value holds. */
static const char *life_sign(const struct probe *p, enum token_algorithm algorithm,
                             const struct probe_pair *pair, bool *ret_holds)
{
    CK_RV rv = probe_sign_checked(p, algorithm, pair, pair->private_key, ret_holds);

    return rv == CKR_OK && !*ret_holds ? "a wrong value" : pkcs11_ckr_name(rv);
}

/* Put another session in the place of ours, which is closed; the login stays. */
static CK_RV life_new_session(struct probe *p)
{
    CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    CK_SESSION_HANDLE other = 0;

    if ((p->s.info.flags & CKF_WRITE_PROTECTED) != 0)
        flags = CKF_SERIAL_SESSION;
    CK_RV rv = p->s.calls->C_OpenSession(p->s.slot, flags, NULL, NULL, &other);
    if (rv != CKR_OK)
        return rv;
    (void)p->s.calls->C_CloseSession(p->s.handle); /* one that stays costs only this process */
    p->s.handle = other;
    return CKR_OK;
}

PROBE_TRY(probe_try_session_end)
{
    enum token_algorithm algorithm = TOKEN_P256;
    const struct probe_pair *pair = probe_any_pair(p, &algorithm);
    bool holds = false;

    (void)check;
    if (!pair || !p->on_token) {
        probe_say(ret, PROBE_UNTRIED, "there is no key on the token");
        return;
    }
    if (!probe_worked(ret, life_new_session(p), "C_OpenSession of a second session"))
        return;
    const char *said = life_sign(p, algorithm, pair, &holds);
    probe_say(ret, holds ? PROBE_PASS : PROBE_WARN, "another session signs with the handle: %s",
              said);
}

/* After C_Logout: the key must not sign; after the next login it must be found again. */
static void life_try_relogin(struct probe *p, enum token_algorithm algorithm,
                             struct probe_pair *pair, struct probe_result *ret)
{
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG count = 0;
    bool signs = false, holds = false;
    struct fault f = {0};

    const char *out = life_sign(p, algorithm, pair, &signs);
    if (signs) {
        probe_say(ret, PROBE_FAIL, "a key still signs after C_Logout");
        return;
    }
    if (probe_login(p, &f) != ESIGN_OK) {
        bool mended = life_start_over(p);
        probe_say(ret, mended ? PROBE_WARN : PROBE_FAIL,
                  "after C_Logout no second login in this process (%.150s); %s", f.detail,
                  mended ? "after C_Finalize and C_Initialize it works"
                         : "nor after C_Finalize and C_Initialize");
        return;
    }
    const char *in = life_sign(p, algorithm, pair, &holds);
    if (probe_find(p, CKO_PRIVATE_KEY, pair->id, &found, &count) != CKR_OK || count != 1) {
        probe_say(ret, PROBE_FAIL, "after a second login the key is not found again");
        return;
    }
    pair->private_key = found;
    probe_say(ret, PROBE_PASS,
              "after C_Logout: %s; after the next login the old handle: %s; found again by id", out,
              in);
}

PROBE_TRY(probe_try_relogin)
{
    enum token_algorithm algorithm = TOKEN_P256;
    struct probe_pair *pair = probe_any_pair(p, &algorithm);

    (void)check;
    if (!pair || !p->on_token || (p->s.info.flags & CKF_LOGIN_REQUIRED) == 0)
        probe_say(ret, PROBE_UNTRIED, "there is no login, or no key on the token");
    else if (probe_worked(ret, p->s.calls->C_Logout(p->s.handle), "C_Logout"))
        life_try_relogin(p, algorithm, pair, ret);
}

/* Sign after the PIN was given for this one signature.  Whether that worked; *f says why not. */
static bool life_sign_authenticated(struct probe *p, enum token_algorithm algorithm,
                                    CK_OBJECT_HANDLE key, struct fault *f)
{
    const struct pkcs11_mechanism *row = pkcs11_mechanism_by_algorithm(algorithm);
    CK_MECHANISM mechanism = {row->sign, NULL, 0};
    uint8_t raw[TOKEN_SIGNATURE_MAX], digest[SHA256_LEN] = {1};
    CK_ULONG len = sizeof(raw);

    CK_RV rv = p->s.calls->C_SignInit(p->s.handle, &mechanism, key);
    enum esign_rc rc =
        rv == CKR_OK ? pkcs11_session_authenticate(&p->s, f) : pkcs11_fail(f, rv, "C_SignInit");
    p->refused |= p->s.pin_refused;
    if (rc == ESIGN_OK) {
        rv = p->s.calls->C_Sign(p->s.handle, digest, sizeof(digest), raw, &len);
        rc = rv == CKR_OK ? ESIGN_OK : pkcs11_fail(f, rv, "C_Sign");
    }
    return rc == ESIGN_OK;
}

static void life_try_always(struct probe *p, enum token_algorithm algorithm,
                            const struct probe_pair *pair, struct probe_result *ret)
{
    int stored = probe_read_flag(p, pair->private_key, CKA_ALWAYS_AUTHENTICATE);
    struct fault f = {0};
    bool holds = false;
    CK_RV rv = probe_sign_checked(p, algorithm, pair, pair->private_key, &holds);

    if (holds) {
        probe_say(ret, PROBE_WARN, "%s, not enforced: the key signs without a further PIN",
                  stored == 1 ? "stored" : "not even stored");
        return;
    }
    /* what was refused may have left its operation open in the session */
    if (!probe_worked(ret, life_new_session(p), "C_OpenSession"))
        return;
    bool with = life_sign_authenticated(p, algorithm, pair->private_key, &f);
    probe_say(ret, with ? PROBE_PASS : PROBE_WARN,
              "enforced: %s without a further PIN; with it: %s", pkcs11_ckr_name(rv),
              with ? "signs" : f.detail);
}

PROBE_TRY(probe_try_always)
{
    enum token_algorithm algorithm = TOKEN_P256;
    struct probe_wanted wanted = {.on_token = p->on_token, .always_authenticate = true};
    struct probe_pair pair = {0};

    (void)check;
    if (!probe_any_pair(p, &algorithm)) {
        probe_say(ret, PROBE_UNTRIED, "the token made no key");
        return;
    }
    probe_new_id(p, pair.id);
    CK_RV rv = probe_make_pair(p, algorithm, &wanted, &pair);
    if (rv == CKR_OK)
        life_try_always(p, algorithm, &pair, ret);
    else
        probe_say(ret, PROBE_ABSENT, "no key with CKA_ALWAYS_AUTHENTICATE: %s",
                  pkcs11_ckr_name(rv));
    if (rv == CKR_OK)
        probe_destroy_pair(p, &pair);
}

/* Wait until the slot has a token or none. */
static bool life_wait(const struct probe *p, bool present)
{
    int64_t until = clock_mono_ms(clock_system()) + (int64_t)PROBE_REMOVAL_S * 1000;

    while (clock_mono_ms(clock_system()) < until) {
        CK_SLOT_INFO info = {0};
        CK_ULONG count = 0;
        (void)p->s.calls->C_GetSlotList(CK_FALSE, NULL, &count); /* some look only then */
        CK_RV rv = p->s.calls->C_GetSlotInfo(p->s.slot, &info);
        if ((rv == CKR_OK && (info.flags & CKF_TOKEN_PRESENT) != 0) == present)
            return true;
        (void)poll(NULL, 0, LIFE_POLL_MS); /* shorter is harmless */
    }
    return false;
}

PROBE_TRY(probe_try_removal)
{
    enum token_algorithm algorithm = TOKEN_P256;
    const struct probe_pair *pair = probe_any_pair(p, &algorithm);
    const char *away = "no key to sign with";
    bool holds = false;

    (void)check;
    (void)fprintf(stderr, "Take the token away now (%d s).\n", PROBE_REMOVAL_S);
    if (!life_wait(p, false)) {
        probe_say(ret, PROBE_UNTRIED, "the slot still says that the token is there");
        return;
    }
    if (pair)
        away = life_sign(p, algorithm, pair, &holds);
    (void)fprintf(stderr, "It is away. Put it back (%d s).\n", PROBE_REMOVAL_S);
    if (!life_wait(p, true)) {
        probe_say(ret, PROBE_FAIL, "away: %s; this process does not see it return", away);
        return;
    }
    bool open = life_start_over(p);
    pair = open ? probe_any_pair(p, &algorithm) : NULL;
    if (pair)
        (void)life_sign(p, algorithm, pair, &holds);
    probe_say(ret, pair && holds ? PROBE_PASS : PROBE_FAIL,
              "away: %s; back: %s after C_Finalize and C_Initialize", away,
              pair && holds ? "signs again" : "does not sign");
}
