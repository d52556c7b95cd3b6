/* Keys as the token makes them: attributes as read back, and that they can't be read or changed. */
#include "pkcs11/ckr.h"
#include "pkcs11/probe_internal.h"

#include "base/secret.h"

enum {
    KEY_VALUE_MAX = 1024,
    KEY_MECHANISMS_MAX = 256,
    KEY_KNOWN_TO_ALL = 4 /* the first rows below are of attributes that every version has */
};

static bool key_is_rsa(enum token_algorithm algorithm)
{
    return algorithm != TOKEN_P256 && algorithm != TOKEN_P384;
}

/* What the row says where its key is not there. */
static void key_is_missing(const struct probe *p, const struct probe_check *check,
                           struct probe_result *ret)
{
    probe_say(ret, PROBE_UNTRIED, "the token made no %s key (%s)",
              token_algorithm_name(check->algorithm),
              pkcs11_ckr_name(p->pairs[check->algorithm].made));
}

PROBE_TRY(probe_try_key)
{
    const struct probe_pair *pair = probe_pair(p, check->algorithm);

    if (pair)
        probe_say(ret, PROBE_PASS, "made as a %s object", p->on_token ? "token" : "session");
    else
        (void)probe_worked(ret, p->pairs[check->algorithm].made, "C_GenerateKeyPair");
}

/* As esignd wants the private key.  strict: it refuses the key otherwise (generate.c). */
static const struct {
    CK_ATTRIBUTE_TYPE type;
    int wanted;
    bool strict;
    const char *name;
} key_wants[] = {
    {CKA_PRIVATE, 1, true, "PRIVATE"},
    {CKA_SENSITIVE, 1, true, "SENSITIVE"},
    {CKA_EXTRACTABLE, 0, true, "EXTRACTABLE"},
    {CKA_SIGN, 1, true, "SIGN"},
    {CKA_DECRYPT, 0, true, "DECRYPT"},
    {CKA_UNWRAP, 0, true, "UNWRAP"},
    {CKA_DERIVE, 0, true, "DERIVE"},
    {CKA_LOCAL, 1, true, "LOCAL"},
    {CKA_ALWAYS_SENSITIVE, 1, true, "ALWAYS_SENSITIVE"},
    {CKA_NEVER_EXTRACTABLE, 1, true, "NEVER_EXTRACTABLE"},
    {CKA_MODIFIABLE, 0, false, "MODIFIABLE"},
};

static void key_append(char *text, size_t size, const char *name, int value)
{
    size_t len = strlen(text);

    (void)snprintf(text + len, size - len, "%s%s=%s", len ? " " : "", name,
                   value < 0 ? "?" : (value ? "true" : "false")); /* all of them fit */
}

PROBE_TRY(probe_try_attributes)
{
    const struct pkcs11_quirk *quirk = pkcs11_module_quirk(p->s.module);
    const struct probe_pair *pair = probe_pair(p, check->algorithm);
    char all[300] = "";
    bool wrong = false, local = false;

    if (!pair) {
        key_is_missing(p, check, ret);
        return;
    }
    for (size_t i = 0; i < sizeof(key_wants) / sizeof(key_wants[0]); i++) {
        int value = probe_read_flag(p, pair->private_key, key_wants[i].type);
        key_append(all, sizeof(all), key_wants[i].name, value);
        bool differs = value >= 0 && value != key_wants[i].wanted && key_wants[i].strict;
        bool denied = differs && key_wants[i].type == CKA_LOCAL;
        local |= denied;
        wrong |= differs && !(denied && quirk->denies_local) &&
                 !(key_wants[i].type == CKA_DECRYPT && quirk->shares_usage &&
                   key_is_rsa(check->algorithm));
        wrong |= value < 0 && i < KEY_KNOWN_TO_ALL;
    }
    if (local)
        probe_fact(p, "denies_local", "yes");
    probe_say(ret, wrong ? PROBE_FAIL : (local ? PROBE_WARN : PROBE_PASS), "%s", all);
}

/* The secret parts of a key.  Source: PKCS #11 v2.40 base, section 4.9. */
static const struct {
    CK_ATTRIBUTE_TYPE type;
    const char *name;
    bool rsa;
} key_secrets[] = {
    {CKA_VALUE, "CKA_VALUE", false},
    {CKA_PRIVATE_EXPONENT, "CKA_PRIVATE_EXPONENT", true},
    {CKA_PRIME_1, "CKA_PRIME_1", true},
};

/* Ask for the secret parts; FAIL: one is given. */
static void key_ask_secrets(struct probe *p, CK_OBJECT_HANDLE key, bool rsa,
                            struct probe_result *ret)
{
    uint8_t value[KEY_VALUE_MAX];

    probe_say(ret, PROBE_PASS, "nothing given");
    for (size_t i = 0; i < sizeof(key_secrets) / sizeof(key_secrets[0]); i++) {
        CK_ATTRIBUTE asked = {key_secrets[i].type, value, sizeof(value)};
        if (key_secrets[i].rsa != rsa)
            continue;
        CK_RV rv = p->s.calls->C_GetAttributeValue(p->s.handle, key, &asked, 1);
        bool given =
            rv == CKR_OK && asked.ulValueLen != CK_UNAVAILABLE_INFORMATION && asked.ulValueLen > 0;
        secret_wipe(value, sizeof(value));
        if (given) {
            probe_say(ret, PROBE_FAIL, "%s is given", key_secrets[i].name);
            return;
        }
        if (rv != CKR_ATTRIBUTE_SENSITIVE)
            probe_say(ret, PROBE_PASS, "%s: %s", key_secrets[i].name, pkcs11_ckr_name(rv));
        else
            probe_say(ret, PROBE_PASS, "refused: CKR_ATTRIBUTE_SENSITIVE");
    }
}

PROBE_TRY(probe_try_unreadable)
{
    const struct probe_pair *pair = probe_pair(p, check->algorithm);

    if (pair)
        key_ask_secrets(p, pair->private_key, key_is_rsa(check->algorithm), ret);
    else
        key_is_missing(p, check, ret);
}

/* Whether a key that may leave the token could leave it wrapped.  Where that isn't told: yes. */
static bool key_can_leave(const struct probe *p)
{
    CK_MECHANISM_TYPE types[KEY_MECHANISMS_MAX];
    CK_ULONG count = KEY_MECHANISMS_MAX;

    if (p->s.calls->C_GetMechanismList(p->s.slot, types, &count) != CKR_OK)
        return true;
    for (CK_ULONG i = 0; i < count && i < KEY_MECHANISMS_MAX; i++) {
        CK_MECHANISM_INFO info;
        if (p->s.calls->C_GetMechanismInfo(p->s.slot, types[i], &info) != CKR_OK ||
            (info.flags & CKF_WRAP) != 0)
            return true;
    }
    return false;
}

PROBE_TRY(probe_try_unchangeable)
{
    CK_ATTRIBUTE changes[] = {probe_flag(CKA_SENSITIVE, false), probe_flag(CKA_EXTRACTABLE, true)};
    enum token_algorithm algorithm = TOKEN_P256;
    const struct probe_pair *pair = probe_any_pair(p, &algorithm);

    (void)check;
    if (!pair) {
        probe_say(ret, PROBE_UNTRIED, "the token made no key");
        return;
    }
    for (size_t i = 0; i < 2; i++)
        (void)p->s.calls->C_SetAttributeValue(p->s.handle, pair->private_key, &changes[i],
                                              1); /* what counts is what is read afterwards */
    bool changed = probe_read_flag(p, pair->private_key, CKA_SENSITIVE) == 0 ||
                   probe_read_flag(p, pair->private_key, CKA_EXTRACTABLE) == 1;
    if (!changed) {
        probe_say(ret, PROBE_PASS, "SENSITIVE stays true and EXTRACTABLE false");
        return;
    }
    key_ask_secrets(p, pair->private_key, key_is_rsa(algorithm), ret);
    if (ret->verdict == PROBE_FAIL || key_can_leave(p))
        probe_say(ret, PROBE_FAIL, "a key could be made readable afterwards");
    else
        probe_say(ret, PROBE_WARN, "the attributes change, but nothing is given or wrapped");
}
