#include "pkcs11/kek.h"

#include "base/cleanup.h"
#include "pkcs11/ckr.h"
#include "pkcs11/offer.h"
#include "pkcs11/sign.h"

static CK_ATTRIBUTE kek_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    return (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, len}; /* read only, by the interface */
}

static CK_ATTRIBUTE kek_flag(CK_ATTRIBUTE_TYPE type, bool on)
{
    static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

    return kek_attribute(type, on ? &yes : &no, sizeof(CK_BBOOL));
}

/* What a token may not know, from the end of the template: CKA_COPYABLE, CKA_UNWRAP_TEMPLATE. */
enum { KEK_OPTIONAL = 2 };

/* C_GenerateKey, without the last so many attributes. */
static CK_RV kek_generate(const struct pkcs11_session *s, const struct pkcs11_kek_order *order,
                          CK_ULONG without, CK_OBJECT_HANDLE *ret)
{
    static const CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    static const CK_KEY_TYPE type = CKK_AES;
    static const CK_ULONG len = 32;
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ATTRIBUTE inner[] = {kek_flag(CKA_SENSITIVE, true), kek_flag(CKA_EXTRACTABLE, false)};
    CK_ATTRIBUTE template[] = {
        kek_attribute(CKA_CLASS, &class, sizeof(class)),
        kek_attribute(CKA_KEY_TYPE, &type, sizeof(type)),
        kek_attribute(CKA_VALUE_LEN, &len, sizeof(len)),
        kek_flag(CKA_TOKEN, true),
        kek_flag(CKA_PRIVATE, true),
        kek_flag(CKA_SENSITIVE, true),
        kek_flag(CKA_EXTRACTABLE, false),
        kek_flag(CKA_WRAP, true),
        kek_flag(CKA_UNWRAP, true),
        kek_flag(CKA_ENCRYPT, false),
        kek_flag(CKA_DECRYPT, false),
        kek_flag(CKA_SIGN, false),
        kek_flag(CKA_VERIFY, false),
        kek_attribute(CKA_ID, order->id, TOKEN_KEY_ID_LEN),
        kek_attribute(CKA_LABEL, order->label, strlen(order->label)),
        kek_flag(CKA_MODIFIABLE, false), /* or its holder could let it decrypt */
        kek_attribute(CKA_UNWRAP_TEMPLATE, inner, sizeof(inner)),
        kek_flag(CKA_COPYABLE, false), /* the same by a copy */
    };
    CK_ULONG count = sizeof(template) / sizeof(template[0]) - without;

    return s->calls->C_GenerateKey(s->handle, &mechanism, template, count, ret);
}

/* A token that does not know the template says so in one of several ways. */
static bool kek_is_unknown(CK_RV rv)
{
    return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ||
           rv == CKR_TEMPLATE_INCONSISTENT || rv == CKR_ATTRIBUTE_READ_ONLY ||
           rv == CKR_ARGUMENTS_BAD || rv == CKR_FUNCTION_FAILED ||
           rv == CKR_GENERAL_ERROR || /* NSS */
           rv == CKR_DEVICE_ERROR;    /* p11-kit */
}

static enum esign_rc kek_check_attributes(const struct pkcs11_session *s, CK_OBJECT_HANDLE kek,
                                          struct fault *f)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        CK_BBOOL wanted;
        const char *name;
    } demands[] = {
        {CKA_TOKEN, CK_TRUE, "CKA_TOKEN"},      {CKA_SENSITIVE, CK_TRUE, "CKA_SENSITIVE"},
        {CKA_WRAP, CK_TRUE, "CKA_WRAP"},        {CKA_EXTRACTABLE, CK_FALSE, "CKA_EXTRACTABLE"},
        {CKA_UNWRAP, CK_TRUE, "CKA_UNWRAP"},    {CKA_ENCRYPT, CK_FALSE, "CKA_ENCRYPT"},
        {CKA_DECRYPT, CK_FALSE, "CKA_DECRYPT"}, {CKA_MODIFIABLE, CK_FALSE, "CKA_MODIFIABLE"},
    };

    for (size_t i = 0; i < sizeof(demands) / sizeof(demands[0]); i++) {
        CK_BBOOL value = 0xff;
        CK_ATTRIBUTE asked = {demands[i].type, &value, sizeof(value)};
        CK_RV rv = s->calls->C_GetAttributeValue(s->handle, kek, &asked, 1);
        if (rv != CKR_OK)
            return pkcs11_fail(f, rv, "C_GetAttributeValue of a wrapping key");
        if (value != demands[i].wanted)
            return fault_reason(f, ESIGN_E_HSM, "key",
                                "the token made a wrapping key with the wrong %s", demands[i].name);
    }
    return ESIGN_OK;
}

/* Who can decrypt with the key that wraps can read what it wrapped. */
static enum esign_rc kek_check_decrypt(const struct pkcs11_session *s, CK_OBJECT_HANDLE kek,
                                       struct fault *f)
{
    uint8_t iv[16] = {0};
    CK_MECHANISM mechanisms[] = {{CKM_AES_ECB, NULL, 0}, {CKM_AES_CBC, iv, sizeof(iv)}};

    for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
        if (s->calls->C_DecryptInit(s->handle, &mechanisms[i], kek) == CKR_OK)
            return fault_reason(f, ESIGN_E_HSM, "key", "the token decrypts with a wrapping key");
    return ESIGN_OK;
}

/* Whether its holder is kept from letting the key decrypt: in place, or in a copy. */
static enum esign_rc kek_is_fixed(const struct pkcs11_session *s, CK_OBJECT_HANDLE kek, bool *ret,
                                  struct fault *f)
{
    CK_ATTRIBUTE on = kek_flag(CKA_DECRYPT, true), off = kek_flag(CKA_DECRYPT, false);
    CK_OBJECT_HANDLE copy;
    bool set = s->calls->C_SetAttributeValue(s->handle, kek, &on, 1) == CKR_OK;

    if (set && s->calls->C_SetAttributeValue(s->handle, kek, &off, 1) != CKR_OK)
        return fault_reason(f, ESIGN_E_HSM, "key", "a wrapping key was changed and stays so");
    bool copied = s->calls->C_CopyObject(s->handle, kek, &on, 1, &copy) == CKR_OK;
    if (copied && s->calls->C_DestroyObject(s->handle, copy) != CKR_OK)
        return fault_reason(f, ESIGN_E_HSM, "key", "a copied wrapping key can't be destroyed");
    *ret = !set && !copied;
    return ESIGN_OK;
}

/* Whether the token itself refuses all ways to make a readable key of a blob. */
static enum esign_rc kek_is_guarded(const struct pkcs11_session *s,
                                    const struct pkcs11_wrapper *wrapper,
                                    const struct pkcs11_mechanism *mechanism, struct bytes spki,
                                    struct bytes blob, bool *ret, struct fault *f)
{
    const struct pkcs11_wrapped wrapped = {mechanism, blob, spki, true};
    struct fault refused;
    CK_OBJECT_HANDLE key;

    *ret = pkcs11_wrap_in(s, wrapper, &wrapped, &key, &refused) != ESIGN_OK;
    if (!*ret && s->calls->C_DestroyObject(s->handle, key) != CKR_OK)
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "a readable key can't be destroyed");
    return *ret ? kek_is_fixed(s, wrapper->kek, ret, f) : ESIGN_OK;
}

enum esign_rc pkcs11_kek_try(struct pkcs11_session *session, const struct pkcs11_wrapper *wrapper,
                             const struct pkcs11_mechanism *mechanism, bool *ret_guarded,
                             struct fault *f)
{
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf blob = buf_new_locked(TOKEN_WRAPPED_MAX);
    enum esign_rc rc = pkcs11_wrap_generate(session, wrapper, mechanism, &spki, &blob, f);

    return rc == ESIGN_OK ? kek_is_guarded(session, wrapper, mechanism, buf_bytes(&spki),
                                           buf_bytes(&blob), ret_guarded, f)
                          : rc;
}

/* The first way by which a pair comes back and signs.  *f: why the last one did not. */
static enum esign_rc kek_try_all(struct pkcs11_session *s, const struct pkcs11_kek_order *order,
                                 CK_OBJECT_HANDLE kek, struct token_kek *ret, struct fault *f)
{
    enum esign_rc rc = ESIGN_E_UNSUPPORTED;

    for (int wrap = TOKEN_WRAP_KWP; wrap <= TOKEN_WRAP_CBC; wrap++) {
        const struct pkcs11_wrapper wrapper = {kek, (enum token_wrap)wrap};
        struct token_kek found = {.wrap = wrapper.wrap};
        rc = pkcs11_kek_try(s, &wrapper, order->mechanism, &found.guarded, f);
        if (rc == ESIGN_OK)
            *ret = found;
        if (rc == ESIGN_OK || rc == ESIGN_E_UNSUPPORTED)
            return rc;
    }
    struct fault last = *f;
    return fault_reason(f, ESIGN_E_UNSUPPORTED, "mechanism",
                        "the token can't wrap %s keys and unwrap them (%.100s)",
                        token_algorithm_name(order->mechanism->algorithm), last.detail);
}

static enum esign_rc kek_check_unused(const struct pkcs11_session *s,
                                      const uint8_t id[TOKEN_KEY_ID_LEN], struct fault *f)
{
    CK_OBJECT_HANDLE found;
    enum esign_rc rc = pkcs11_key_search(s, CKO_SECRET_KEY, id, &found, f);

    if (rc == ESIGN_E_NOT_FOUND)
        return ESIGN_OK;
    return rc == ESIGN_OK
               ? fault_set(f, ESIGN_E_CONFLICT, "the token has an object with this key id")
               : rc;
}

enum esign_rc pkcs11_kek_make(struct pkcs11_session *session, const struct pkcs11_kek_order *order,
                              struct token_kek *ret, struct fault *f)
{
    CK_OBJECT_HANDLE kek;
    struct token_kek found = {0};
    enum esign_rc rc = pkcs11_offer_check_wrap(session, f);

    if (rc == ESIGN_OK)
        rc = kek_check_unused(session, order->id, f);
    if (rc != ESIGN_OK)
        return rc;
    CK_RV rv = kek_generate(session, order, 0, &kek);
    for (CK_ULONG i = 1; kek_is_unknown(rv) && i <= KEK_OPTIONAL; i++)
        rv = kek_generate(session, order, i, &kek);
    if (rv == CKR_MECHANISM_INVALID || rv == CKR_FUNCTION_NOT_SUPPORTED)
        return fault_reason(f, ESIGN_E_UNSUPPORTED, "mechanism",
                            "the token can't make AES keys (%s)", pkcs11_ckr_name(rv));
    if (rv != CKR_OK)
        return pkcs11_fail(f, rv, "C_GenerateKey");
    rc = kek_check_attributes(session, kek, f);
    if (rc == ESIGN_OK)
        rc = kek_check_decrypt(session, kek, f);
    if (rc == ESIGN_OK)
        rc = kek_try_all(session, order, kek, &found, f);
    if (rc == ESIGN_OK)
        *ret = found;
    else
        (void)session->calls->C_DestroyObject(session->handle, kek); /* if not, an unused key */
    return rc;
}
