/* What a token says of itself without a PIN. */
#include "pkcs11/ckr.h"
#include "pkcs11/library.h"
#include "pkcs11/probe_internal.h"

#include "base/cleanup.h"
#include "base/encode.h"

#include <fcntl.h>

enum { BASIC_MECHANISMS_MAX = 512 };

PROBE_TRY(probe_try_module)
{
    const char *path = config_token_str(p->config, p->index, "module");
    char maker[33], library[33], hash[PKCS11_HASH_TEXT];
    struct fault f = {0};
    CK_INFO info = {0};

    (void)check;
    if (pkcs11_module_load(p->config, p->index, &p->s.module, &f) != ESIGN_OK) {
        probe_say(ret, PROBE_FAIL, "%s", f.detail);
        return;
    }
    p->s.calls = pkcs11_module_calls(p->s.module);
    if (!probe_worked(ret, p->s.calls->C_GetInfo(&info), "C_GetInfo"))
        return;
    pkcs11_unpad(info.manufacturerID, sizeof(info.manufacturerID), maker);
    pkcs11_unpad(info.libraryDescription, sizeof(info.libraryDescription), library);
    if (pkcs11_module_quirk(p->s.module)->rewrites_token)
        probe_fact(p, "rewrites_token", "yes");
    if (pkcs11_module_quirk(p->s.module)->shares_usage)
        probe_fact(p, "shares_usage", "yes");
    probe_fact(p, "library_manufacturer", "%s", maker);
    probe_fact(p, "cryptoki", "%u.%u", info.cryptokiVersion.major, info.cryptokiVersion.minor);
    probe_fact(p, "library", "%s %s %u.%u", maker, library, info.libraryVersion.major,
               info.libraryVersion.minor);
    if (pkcs11_library_hash(path, hash, NULL) == ESIGN_OK)
        probe_fact(p, "module_sha256", "%s", hash);
    bool old = info.cryptokiVersion.major < 2 ||
               (info.cryptokiVersion.major == 2 && info.cryptokiVersion.minor < 20);
    probe_say(ret, old ? PROBE_WARN : PROBE_PASS, "Cryptoki %u.%u, %s, %s %u.%u",
              info.cryptokiVersion.major, info.cryptokiVersion.minor, maker, library,
              info.libraryVersion.major, info.libraryVersion.minor);
}

void probe_token_facts(struct probe *p)
{
    const CK_TOKEN_INFO *info = &p->s.info;
    char label[33], serial[17], maker[33], model[17];

    pkcs11_unpad(info->label, sizeof(info->label), label);
    pkcs11_unpad(info->serialNumber, sizeof(info->serialNumber), serial);
    pkcs11_unpad(info->manufacturerID, sizeof(info->manufacturerID), maker);
    pkcs11_unpad(info->model, sizeof(info->model), model);
    probe_fact(p, "label", "%s", label);
    probe_fact(p, "serial", "%s", serial);
    probe_fact(p, "manufacturer", "%s", maker);
    probe_fact(p, "model", "%s", model);
    probe_fact(p, "firmware", "%u.%u", info->firmwareVersion.major, info->firmwareVersion.minor);
}

PROBE_TRY(probe_try_token)
{
    const char *uri = config_token_str(p->config, p->index, "uri");
    struct fault f = {0};
    char label[33], serial[17];

    (void)check;
    if (probe_open(p, &f) != ESIGN_OK) {
        probe_say(ret, PROBE_FAIL, "%s", f.detail);
        return;
    }
    probe_token_facts(p);
    pkcs11_unpad(p->s.info.label, sizeof(p->s.info.label), label);
    pkcs11_unpad(p->s.info.serialNumber, sizeof(p->s.info.serialNumber), serial);
    if (!strstr(uri, "serial="))
        probe_say(ret, PROBE_WARN, "one token, \"%s\", but the uri has no serial=: add ;serial=%s",
                  label, serial);
    else
        probe_say(ret, PROBE_PASS, "exactly one: \"%s\", serial %s", label, serial);
}

/* The mechanisms that esignd uses, by what needs them. */
static const struct basic_mechanism {
    CK_MECHANISM_TYPE type;
    const char *name;
    CK_ULONG bits; /* a size that must lie between what the token tells; 0: not looked at */
    CK_FLAGS flag;
} basic_mechanisms[] = {
    {CKM_EC_KEY_PAIR_GEN, "EC_KEY_PAIR_GEN", 256, CKF_GENERATE_KEY_PAIR},
    {CKM_ECDSA, "ECDSA", 256, CKF_SIGN},
    {CKM_RSA_PKCS_KEY_PAIR_GEN, "RSA_PKCS_KEY_PAIR_GEN", 3072, CKF_GENERATE_KEY_PAIR},
    {CKM_RSA_PKCS, "RSA_PKCS", 3072, CKF_SIGN},
    {CKM_RSA_PKCS_PSS, "RSA_PKCS_PSS", 3072, CKF_SIGN},
    {CKM_AES_KEY_GEN, "AES_KEY_GEN", 0, CKF_GENERATE},
    {CKM_AES_KEY_WRAP, "AES_KEY_WRAP 0x2109", 0, CKF_WRAP},
    {CKM_AES_KEY_WRAP_PAD, "AES_KEY_WRAP_PAD 0x210A", 0, CKF_WRAP},
    {0x210b, "AES_KEY_WRAP_KWP 0x210B", 0, CKF_WRAP},
    {CKM_AES_CBC_PAD, "AES_CBC_PAD", 0, CKF_WRAP},
};

enum { BASIC_MECHANISM_COUNT = sizeof(basic_mechanisms) / sizeof(basic_mechanisms[0]) };

static void basic_append(char *text, size_t size, const char *word)
{
    size_t len = strlen(text);

    (void)snprintf(text + len, size - len, "%s%s", len ? ", " : "", word); /* cut: it is a text */
}

PROBE_TRY(probe_try_mechanisms)
{
    char there[PROBE_DETAIL_MAX / 2] = "", missing[PROBE_DETAIL_MAX / 2] = "";
    CK_ULONG count = 0;

    (void)check;
    if (!probe_worked(ret, p->s.calls->C_GetMechanismList(p->s.slot, NULL, &count),
                      "C_GetMechanismList"))
        return;
    for (size_t i = 0; i < BASIC_MECHANISM_COUNT; i++) {
        CK_MECHANISM_INFO info;
        CK_RV rv = p->s.calls->C_GetMechanismInfo(p->s.slot, basic_mechanisms[i].type, &info);
        bool good = rv == CKR_OK && (info.flags & basic_mechanisms[i].flag) != 0;
        basic_append(good ? there : missing, sizeof(there), basic_mechanisms[i].name);
    }
    bool signs = strstr(there, "ECDSA") || strstr(there, "RSA_PKCS");
    probe_say(ret, signs ? PROBE_PASS : PROBE_FAIL, "%lu listed; of ours: %s; not listed: %s",
              count < BASIC_MECHANISMS_MAX ? count : BASIC_MECHANISMS_MAX, *there ? there : "none",
              *missing ? missing : "none");
}

PROBE_TRY(probe_try_sizes)
{
    char text[PROBE_DETAIL_MAX - 40] = "";
    bool small = false;

    (void)check;
    for (size_t i = 0; i < BASIC_MECHANISM_COUNT; i++) {
        const struct basic_mechanism *row = &basic_mechanisms[i];
        CK_MECHANISM_INFO info = {0};
        char one[80];
        if (row->bits == 0 || p->s.calls->C_GetMechanismInfo(p->s.slot, row->type, &info) != CKR_OK)
            continue;
        (void)snprintf(one, sizeof(one), "%s %lu to %lu bits", row->name, info.ulMinKeySize,
                       info.ulMaxKeySize); /* fits */
        basic_append(text, sizeof(text), one);
        small |= row->bits < info.ulMinKeySize || row->bits > info.ulMaxKeySize;
    }
    if (*text)
        probe_say(ret, small ? PROBE_WARN : PROBE_PASS, "%s", text);
    else
        probe_say(ret, PROBE_ABSENT, "no mechanism of ours tells its sizes");
}

/* "64", or what the special values mean. */
static const char *basic_sessions_text(CK_ULONG most, char text[32])
{
    if (most == CK_EFFECTIVELY_INFINITE || most == CK_UNAVAILABLE_INFORMATION - 1)
        return "without a limit";
    if (most == CK_UNAVAILABLE_INFORMATION)
        return "not told";
    (void)snprintf(text, 32, "%lu", most); /* a number fits */
    return text;
}

PROBE_TRY(probe_try_sessions)
{
    CK_SESSION_HANDLE handles[PROBE_SESSIONS_MAX];
    CK_ULONG workers = (CK_ULONG)config_token_int(p->config, p->index, "workers");
    CK_FLAGS flags =
        CKF_SERIAL_SESSION | (p->s.info.flags & CKF_WRITE_PROTECTED ? 0 : CKF_RW_SESSION);
    char text[32];
    CK_RV rv = CKR_OK;
    CK_ULONG count = 0;

    (void)check;
    while (count < PROBE_SESSIONS_MAX &&
           (rv = p->s.calls->C_OpenSession(p->s.slot, flags, NULL, NULL, &handles[count])) ==
               CKR_OK)
        count++;
    for (CK_ULONG i = 0; i < count; i++)
        (void)p->s.calls->C_CloseSession(handles[i]); /* one that stays costs only this process */
    const char *most = basic_sessions_text(p->s.info.ulMaxSessionCount, text);
    count++; /* the one that was open before */
    if (rv == CKR_OK)
        probe_say(ret, PROBE_PASS, "%lu opened at once without an end; declared maximum: %s", count,
                  most);
    else
        probe_say(ret, count < workers ? PROBE_FAIL : PROBE_PASS,
                  "%lu opened at once, then %s; declared maximum: %s; configured workers: %lu",
                  count, pkcs11_ckr_name(rv), most, workers);
}
