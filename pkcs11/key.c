#include "pkcs11/key.h"

#include "pkcs11/ckr.h"
#include "pkcs11/public.h"

enum { KEY_EC_PARAMS_MAX = 64, KEY_MODULUS_MAX = 1024, KEY_FOUND_MAX = 2 };

/* A template's value: the interface has no const, and reads these only. */
static CK_ATTRIBUTE key_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    return (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, len};
}

/* Objects of a class with this id: at most KEY_FOUND_MAX are told. */
static enum esign_rc key_search(const struct pkcs11_session *s, CK_OBJECT_CLASS class,
                                const uint8_t id[TOKEN_KEY_ID_LEN],
                                CK_OBJECT_HANDLE ret[KEY_FOUND_MAX], CK_ULONG *ret_count,
                                struct fault *f)
{
    static const CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = {
        key_attribute(CKA_CLASS, &class, sizeof(class)),
        key_attribute(CKA_TOKEN, &yes, sizeof(yes)),
        key_attribute(CKA_ID, id, TOKEN_KEY_ID_LEN),
    };

    return pkcs11_session_find(s, template, 3, ret, KEY_FOUND_MAX, ret_count, f);
}

enum esign_rc pkcs11_key_search(const struct pkcs11_session *s, CK_OBJECT_CLASS class,
                                const uint8_t id[TOKEN_KEY_ID_LEN], CK_OBJECT_HANDLE *ret,
                                struct fault *f)
{
    CK_OBJECT_HANDLE found[KEY_FOUND_MAX] = {0};
    CK_ULONG count = 0;

    enum esign_rc rc = key_search(s, class, id, found, &count, f);
    if (rc != ESIGN_OK)
        return rc;
    if (count == 0)
        return fault_set(f, ESIGN_E_NOT_FOUND, "the token shows no such key");
    if (count > 1)
        return fault_reason(f, ESIGN_E_HSM, "key", "two keys on the token have the same id");
    *ret = found[0];
    return ESIGN_OK;
}

/* Which of our algorithms a private key is of. */
static enum esign_rc key_read_mechanism(const struct pkcs11_session *s, CK_OBJECT_HANDLE object,
                                        const struct pkcs11_mechanism **ret, struct fault *f)
{
    CK_KEY_TYPE type = 0;
    uint8_t params[KEY_EC_PARAMS_MAX], modulus[KEY_MODULUS_MAX];
    CK_ATTRIBUTE kind = {CKA_KEY_TYPE, &type, sizeof(type)};
    CK_ATTRIBUTE ec = {CKA_EC_PARAMS, params, sizeof(params)};
    CK_ATTRIBUTE rsa = {CKA_MODULUS, modulus, sizeof(modulus)};
    const struct pkcs11_mechanism *found = NULL;

    CK_RV rv = s->calls->C_GetAttributeValue(s->handle, object, &kind, 1);
    if (rv == CKR_OK && type == CKK_EC) {
        rv = s->calls->C_GetAttributeValue(s->handle, object, &ec, 1);
        if (rv == CKR_OK)
            found = pkcs11_mechanism_by_key(type, bytes_of(params, ec.ulValueLen), 0);
    } else if (rv == CKR_OK && type == CKK_RSA) {
        rv = s->calls->C_GetAttributeValue(s->handle, object, &rsa, 1);
        if (rv == CKR_OK)
            found = pkcs11_mechanism_by_key(type, (struct bytes){0}, rsa.ulValueLen);
    }
    if (rv != CKR_OK)
        return pkcs11_fail(f, rv, "C_GetAttributeValue of a private key");
    if (!found)
        return fault_reason(f, ESIGN_E_HSM, "key", "the key's algorithm is not offered");
    *ret = found;
    return ESIGN_OK;
}

/* An old token may not know the attribute: then it wants no PIN. */
static enum esign_rc key_read_wants_pin(const struct pkcs11_session *s, CK_OBJECT_HANDLE object,
                                        bool *ret, struct fault *f)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE asked = {CKA_ALWAYS_AUTHENTICATE, &value, sizeof(value)};

    CK_RV rv = s->calls->C_GetAttributeValue(s->handle, object, &asked, 1);
    if (rv != CKR_OK && rv != CKR_ATTRIBUTE_TYPE_INVALID)
        return pkcs11_fail(f, rv, "C_GetAttributeValue of CKA_ALWAYS_AUTHENTICATE");
    *ret = rv == CKR_OK && value != CK_FALSE;
    return ESIGN_OK;
}

enum esign_rc pkcs11_key_read(const struct pkcs11_session *session, CK_OBJECT_HANDLE handle,
                              struct pkcs11_key *ret, struct fault *f)
{
    const struct pkcs11_mechanism *mechanism = NULL;
    bool wants_pin = false;

    enum esign_rc rc = key_read_mechanism(session, handle, &mechanism, f);
    if (rc == ESIGN_OK)
        rc = key_read_wants_pin(session, handle, &wants_pin, f);
    if (rc != ESIGN_OK)
        return rc;
    ret->handle = handle;
    ret->mechanism = mechanism;
    ret->wants_pin = wants_pin;
    return ESIGN_OK;
}

static struct pkcs11_key *key_cached(struct pkcs11_keys *keys, const uint8_t id[TOKEN_KEY_ID_LEN])
{
    for (size_t i = 0; i < keys->count; i++)
        if (bytes_equal(bytes_of(keys->rows[i].id, TOKEN_KEY_ID_LEN),
                        bytes_of(id, TOKEN_KEY_ID_LEN)))
            return &keys->rows[i];
    return NULL;
}

static void key_remember(struct pkcs11_keys *keys, const struct pkcs11_key *key)
{
    keys->rows[keys->next] = *key;
    keys->next = (keys->next + 1) % PKCS11_KEYS_MAX;
    if (keys->count < PKCS11_KEYS_MAX)
        keys->count++;
}

enum esign_rc pkcs11_key_find(const struct pkcs11_session *session, struct pkcs11_keys *keys,
                              const uint8_t id[TOKEN_KEY_ID_LEN], struct pkcs11_key *ret,
                              struct fault *f)
{
    const struct pkcs11_key *cached = key_cached(keys, id);
    struct pkcs11_key key = {0};
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;

    if (cached) {
        *ret = *cached;
        return ESIGN_OK;
    }
    memcpy(key.id, id, TOKEN_KEY_ID_LEN);
    enum esign_rc rc = pkcs11_key_search(session, CKO_PRIVATE_KEY, id, &handle, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_key_read(session, handle, &key, f);
    if (rc != ESIGN_OK)
        return rc;
    key_remember(keys, &key);
    *ret = key;
    return ESIGN_OK;
}

void pkcs11_key_forget(struct pkcs11_keys *keys, const uint8_t id[TOKEN_KEY_ID_LEN])
{
    struct pkcs11_key *key = key_cached(keys, id);

    if (!key)
        return;
    *key = keys->rows[--keys->count];
    keys->next = keys->count; /* below the maximum: rows up to count are in use */
}

enum esign_rc pkcs11_key_public(const struct pkcs11_session *session,
                                const uint8_t id[TOKEN_KEY_ID_LEN], struct buf *ret_spki,
                                struct fault *f)
{
    CK_OBJECT_HANDLE private_key, public_key;
    const struct pkcs11_mechanism *mechanism;

    enum esign_rc rc = pkcs11_key_search(session, CKO_PRIVATE_KEY, id, &private_key, f);
    if (rc == ESIGN_OK)
        rc = key_read_mechanism(session, private_key, &mechanism, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_key_search(session, CKO_PUBLIC_KEY, id, &public_key, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_public_read(session, public_key, mechanism, ret_spki, f);
    return rc;
}
