/* A PKCS#11 module that passes everything on to $SHIM_MODULE and, by files in $SHIM_DIR, counts
 * logins and does what real tokens do at their worst. */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A module's function list is the one thing that must be global here. */
static CK_FUNCTION_LIST shim_list;
static CK_FUNCTION_LIST *shim_real;
static bool shim_pin_wanted; /* by the signature that has begun */

static void shim_path(const char *name, char ret[PATH_MAX])
{
    (void)snprintf(ret, PATH_MAX, "%s/%s", getenv("SHIM_DIR"), name);
}

static bool shim_is_set(const char *name)
{
    char path[PATH_MAX];

    shim_path(name, path);
    return access(path, F_OK) == 0;
}

/* Whether it was set; it no longer is. */
static bool shim_take(const char *name)
{
    char path[PATH_MAX];

    shim_path(name, path);
    return unlink(path) == 0;
}

static void shim_count(const char *name)
{
    char path[PATH_MAX];

    shim_path(name, path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, "x", 1) != 1)
        abort();
    (void)close(fd);
}

/* The PIN for one signature of a key that wants it each time, which SoftHSM can't do while its
 * token.object is read-only. */
static CK_RV shim_authenticate(const CK_UTF8CHAR *pin, CK_ULONG len)
{
    static const char right[] = "user-pin-4711";

    shim_count("authentications");
    if (!shim_pin_wanted)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (shim_is_set("refuse") || len != sizeof(right) - 1 ||
        strncmp((const char *)pin, right, len) != 0)
        return CKR_PIN_INCORRECT;
    shim_pin_wanted = false;
    return CKR_OK;
}

static CK_RV shim_attributes(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                             CK_ATTRIBUTE *template, CK_ULONG count)
{
    static const CK_BBOOL yes = CK_TRUE;
    CK_RV rv = shim_real->C_GetAttributeValue(session, object, template, count);

    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++)
        if (template[i].type == CKA_ALWAYS_AUTHENTICATE && shim_is_set("always"))
            memcpy(template[i].pValue, &yes, sizeof(yes));
    return rv;
}

static __attribute__((constructor)) void shim_loaded(void)
{
    if (getenv("SHIM_DIR"))
        shim_count("loads");
}

static CK_RV shim_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin,
                        CK_ULONG len)
{
    if (user == CKU_CONTEXT_SPECIFIC)
        return shim_authenticate(pin, len);
    shim_count("logins");
    return shim_real->C_Login(session, user, pin, len);
}

static CK_RV shim_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV rv = shim_real->C_GetTokenInfo(slot, info);

    if (rv == CKR_OK && shim_is_set("final-try"))
        info->flags |= CKF_USER_PIN_FINAL_TRY;
    if (rv == CKR_OK && shim_is_set("twins"))
        memcpy(info->label, "esign test                      ", sizeof(info->label));
    if (rv == CKR_OK && shim_is_set("swapped"))
        memcpy(info->serialNumber, "swapped\0\0\0\0\0\0\0\0\0", sizeof(info->serialNumber));
    return rv;
}

static CK_RV shim_sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                            CK_OBJECT_HANDLE key)
{
    if (shim_take("stale"))
        return CKR_KEY_HANDLE_INVALID;
    shim_pin_wanted = shim_is_set("always");
    return shim_real->C_SignInit(session, mechanism, key);
}

static CK_RV shim_sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *value,
                       CK_ULONG *value_len)
{
    if (shim_is_set("hang")) {
        shim_count("hanging");
        for (;;)
            (void)pause();
    }
    if (shim_pin_wanted)
        return CKR_USER_NOT_LOGGED_IN;
    CK_RV rv = shim_real->C_Sign(session, data, len, value, value_len);
    if (shim_take("removed"))
        return CKR_DEVICE_REMOVED;
    if (rv == CKR_OK && shim_is_set("short"))
        *value_len -= 1;
    return rv;
}

/* A token that ignores CKA_EXTRACTABLE = false. */
static CK_RV shim_generate(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *pub,
                           CK_ULONG pub_count, CK_ATTRIBUTE *priv, CK_ULONG priv_count,
                           CK_OBJECT_HANDLE *ret_pub, CK_OBJECT_HANDLE *ret_priv)
{
    static CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE copy[32];

    if (priv_count > 32)
        return CKR_ARGUMENTS_BAD;
    memcpy(copy, priv, priv_count * sizeof(*copy));
    for (CK_ULONG i = 0; i < priv_count; i++)
        if (copy[i].type == CKA_EXTRACTABLE && shim_is_set("extractable"))
            copy[i].pValue = &yes;
    return shim_real->C_GenerateKeyPair(session, mechanism, pub, pub_count, copy, priv_count,
                                        ret_pub, ret_priv);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    CK_RV (*get)(CK_FUNCTION_LIST **);

    if (!shim_real) {
        void *library = dlopen(getenv("SHIM_MODULE"), RTLD_NOW | RTLD_LOCAL);
        void *symbol = library ? dlsym(library, "C_GetFunctionList") : NULL;
        if (!symbol)
            return CKR_GENERAL_ERROR;
        memcpy(&get, &symbol, sizeof(get));
        CK_RV rv = get(&shim_real);
        if (rv != CKR_OK)
            return rv;
        shim_list = *shim_real;
        shim_list.C_Login = shim_login;
        shim_list.C_GetTokenInfo = shim_token_info;
        shim_list.C_GetAttributeValue = shim_attributes;
        shim_list.C_SignInit = shim_sign_init;
        shim_list.C_Sign = shim_sign;
        shim_list.C_GenerateKeyPair = shim_generate;
    }
    *ret = &shim_list;
    return CKR_OK;
}
