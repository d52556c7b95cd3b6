#include "pkcs11/key.h"

#include "pkcs11/ckr.h"
#include "pkcs11/public.h"

#include <string.h>

static const CK_BBOOL generate_yes = CK_TRUE, generate_no = CK_FALSE;
static const uint8_t generate_exponent[] = {1, 0, 1};

enum { GENERATE_SHARED_COUNT = 2 }; /* uses of the public key that some tokens take for others */

static CK_ATTRIBUTE generate_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    return (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, len}; /* read only, by the interface */
}

static CK_ATTRIBUTE generate_flag(CK_ATTRIBUTE_TYPE type, bool on)
{
    return generate_attribute(type, on ? &generate_yes : &generate_no, sizeof(CK_BBOOL));
}

/* Whether a key of the token signs by decrypting, and must be allowed to. */
static bool generate_decrypts(const struct pkcs11_session *s, const struct pkcs11_mechanism *m)
{
    return pkcs11_module_quirk(s->module)->shares_usage && !m->ec_group;
}

/* wrapped: a pair of this session, whose private half can leave the token wrapped. */
static CK_RV generate_call(const struct pkcs11_session *s, const struct pkcs11_key_order *order,
                           bool wrapped, struct pkcs11_pair *ret)
{
    const struct pkcs11_mechanism *m = order->mechanism;
    CK_MECHANISM mechanism = {m->generate, NULL, 0};
    CK_ATTRIBUTE public_key[] = {
        generate_flag(CKA_VERIFY, true), /* these two first: GENERATE_SHARED_COUNT */
        generate_flag(CKA_ENCRYPT, false),
        generate_flag(CKA_TOKEN, !wrapped),
        generate_flag(CKA_PRIVATE, false),
        generate_flag(CKA_WRAP, false),
        generate_attribute(CKA_ID, order->id, TOKEN_KEY_ID_LEN),
        generate_attribute(CKA_LABEL, order->label, strlen(order->label)),
        m->ec_group
            ? generate_attribute(CKA_EC_PARAMS, m->ec_params.data, m->ec_params.len)
            : generate_attribute(CKA_MODULUS_BITS, &m->modulus_bits, sizeof(m->modulus_bits)),
        generate_attribute(CKA_PUBLIC_EXPONENT, generate_exponent, sizeof(generate_exponent)),
    };
    CK_ATTRIBUTE private_key[] = {
        generate_flag(CKA_TOKEN, !wrapped),
        generate_flag(CKA_PRIVATE, true),
        generate_flag(CKA_SENSITIVE, true),
        generate_flag(CKA_EXTRACTABLE, wrapped),
        generate_flag(CKA_SIGN, true),
        generate_flag(CKA_DECRYPT, generate_decrypts(s, m)),
        generate_flag(CKA_UNWRAP, false),
        generate_flag(CKA_DERIVE, false),
        generate_attribute(CKA_ID, order->id, TOKEN_KEY_ID_LEN),
        generate_attribute(CKA_LABEL, order->label, strlen(order->label)),
    };
    size_t left_out = pkcs11_module_quirk(s->module)->shares_usage ? GENERATE_SHARED_COUNT : 0;
    size_t public_count = sizeof(public_key) / sizeof(public_key[0]) - left_out;

    return s->calls->C_GenerateKeyPair(s->handle, &mechanism, public_key + left_out,
                                       m->ec_group ? public_count - 1 : public_count, private_key,
                                       sizeof(private_key) / sizeof(private_key[0]),
                                       &ret->public_key, &ret->private_key);
}

/* What the token must say of the private key that it made.  optional: a token of an older version
 * may not know the attribute.  stays: not of a key that is made to be wrapped. */
static const struct {
    CK_ATTRIBUTE_TYPE type;
    CK_BBOOL wanted;
    bool optional;
    const char *name;
    bool stays;
} generate_demands[] = {
    {CKA_TOKEN, CK_TRUE, false, "CKA_TOKEN", true},
    {CKA_PRIVATE, CK_TRUE, false, "CKA_PRIVATE", false},
    {CKA_SENSITIVE, CK_TRUE, false, "CKA_SENSITIVE", false},
    {CKA_EXTRACTABLE, CK_FALSE, false, "CKA_EXTRACTABLE", true},
    {CKA_SIGN, CK_TRUE, false, "CKA_SIGN", false},
    {CKA_DECRYPT, CK_FALSE, true, "CKA_DECRYPT", false},
    {CKA_UNWRAP, CK_FALSE, true, "CKA_UNWRAP", false},
    {CKA_DERIVE, CK_FALSE, true, "CKA_DERIVE", false},
    {CKA_LOCAL, CK_TRUE, true, "CKA_LOCAL", false},
    {CKA_ALWAYS_SENSITIVE, CK_TRUE, true, "CKA_ALWAYS_SENSITIVE", false},
    {CKA_NEVER_EXTRACTABLE, CK_TRUE, true, "CKA_NEVER_EXTRACTABLE", true},
};

/* Whether an attribute of a new key may be anything. */
static bool generate_is_free(const struct pkcs11_session *s, const struct pkcs11_mechanism *m,
                             CK_ATTRIBUTE_TYPE type)
{
    return (type == CKA_LOCAL && pkcs11_module_quirk(s->module)->denies_local) ||
           (type == CKA_DECRYPT && generate_decrypts(s, m));
}

static enum esign_rc generate_check(const struct pkcs11_session *s,
                                    const struct pkcs11_mechanism *m, CK_OBJECT_HANDLE object,
                                    bool wrapped, struct fault *f)
{
    for (size_t i = 0; i < sizeof(generate_demands) / sizeof(generate_demands[0]); i++) {
        CK_BBOOL value = 0xff;
        CK_ATTRIBUTE asked = {generate_demands[i].type, &value, sizeof(value)};
        if ((wrapped && generate_demands[i].stays) || generate_is_free(s, m, asked.type))
            continue;
        CK_RV rv = s->calls->C_GetAttributeValue(s->handle, object, &asked, 1);
        if (rv == CKR_ATTRIBUTE_TYPE_INVALID && generate_demands[i].optional)
            continue;
        if (rv != CKR_OK)
            return pkcs11_fail(f, rv, "C_GetAttributeValue of a new key");
        if (value != generate_demands[i].wanted)
            return fault_reason(f, ESIGN_E_HSM, "key", "the token made a key with the wrong %s",
                                generate_demands[i].name);
    }
    return ESIGN_OK;
}

static enum esign_rc generate_check_unused(const struct pkcs11_session *s,
                                           const uint8_t id[TOKEN_KEY_ID_LEN], struct fault *f)
{
    CK_ATTRIBUTE same = generate_attribute(CKA_ID, id, TOKEN_KEY_ID_LEN);
    CK_OBJECT_HANDLE found;
    CK_ULONG count = 0;

    enum esign_rc rc = pkcs11_session_find(s, &same, 1, &found, 1, &count, f);
    if (rc != ESIGN_OK)
        return rc;
    return count == 0 ? ESIGN_OK
                      : fault_set(f, ESIGN_E_CONFLICT, "the token has an object with this key id");
}

bool pkcs11_key_destroy(const struct pkcs11_session *session, const struct pkcs11_pair *pair)
{
    CK_RV rv = session->calls->C_DestroyObject(session->handle, pair->private_key);
    CK_RV other = session->calls->C_DestroyObject(session->handle, pair->public_key);

    return rv == CKR_OK && other == CKR_OK;
}

/* A pair that has been made and checked; one that can't be delivered does not stay.  What can't be
 * removed is an unused key. */
static enum esign_rc generate_pair(const struct pkcs11_session *session,
                                   const struct pkcs11_key_order *order, bool wrapped,
                                   struct pkcs11_pair *ret, struct buf *ret_spki, struct fault *f)
{
    CK_RV rv = generate_call(session, order, wrapped, ret);

    if (rv == CKR_MECHANISM_INVALID || rv == CKR_KEY_SIZE_RANGE || rv == CKR_CURVE_NOT_SUPPORTED ||
        rv == CKR_DOMAIN_PARAMS_INVALID)
        return fault_set(f, ESIGN_E_UNSUPPORTED, "the token can't make %s keys (%s)",
                         token_algorithm_name(order->mechanism->algorithm), pkcs11_ckr_name(rv));
    if (rv != CKR_OK)
        return pkcs11_fail(f, rv, "C_GenerateKeyPair");
    enum esign_rc rc = generate_check(session, order->mechanism, ret->private_key, wrapped, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_public_read(session, ret->public_key, order->mechanism, ret_spki, f);
    if (rc != ESIGN_OK)
        (void)pkcs11_key_destroy(session, ret);
    return rc;
}

enum esign_rc pkcs11_key_generate(const struct pkcs11_session *session,
                                  const struct pkcs11_key_order *order, struct buf *ret_spki,
                                  struct fault *f)
{
    struct pkcs11_pair pair = {0};

    enum esign_rc rc = generate_check_unused(session, order->id, f);
    return rc == ESIGN_OK ? generate_pair(session, order, false, &pair, ret_spki, f) : rc;
}

enum esign_rc pkcs11_key_generate_session(const struct pkcs11_session *session,
                                          const struct pkcs11_key_order *order,
                                          struct pkcs11_pair *ret, struct buf *ret_spki,
                                          struct fault *f)
{
    return generate_pair(session, order, true, ret, ret_spki, f);
}
