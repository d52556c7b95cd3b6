/* Objects of the probe: made under a label and ids of their own, found, and removed. */
#include "pkcs11/probe_internal.h"

#include <assert.h>

enum {
    OBJECT_FOUND_MAX = 64,
    OBJECT_SHARED_COUNT = 2, /* as GENERATE_SHARED_COUNT of generate.c */
};

static const CK_BBOOL object_yes = CK_TRUE, object_no = CK_FALSE;
static const uint8_t object_exponent[] = {1, 0, 1};
/* What every id of the probe begins with; then four bytes of the run, then four of the object. */
static const uint8_t object_prefix[] = {'e', 's', 'p', 'r', 'o', 'b', 'e', 0};

CK_ATTRIBUTE probe_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    return (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, len}; /* read only, by the interface */
}

CK_ATTRIBUTE probe_flag(CK_ATTRIBUTE_TYPE type, bool on)
{
    return probe_attribute(type, on ? &object_yes : &object_no, sizeof(CK_BBOOL));
}

void probe_new_run(uint8_t ret[PROBE_RUN_LEN])
{
    memcpy(ret, object_prefix, sizeof(object_prefix));
    bytes_random(ret + sizeof(object_prefix), PROBE_RUN_LEN - sizeof(object_prefix));
}

void probe_new_id(const struct probe *p, uint8_t ret[TOKEN_KEY_ID_LEN])
{
    memcpy(ret, p->run, PROBE_RUN_LEN);
    bytes_random(ret + PROBE_RUN_LEN, TOKEN_KEY_ID_LEN - PROBE_RUN_LEN);
}

/* Whether the pair is made as for a token that can't tell verifying from decrypting. */
static bool object_shares(const struct probe *p, const struct probe_wanted *wanted)
{
    return wanted->shares_usage || pkcs11_module_quirk(p->s.module)->shares_usage;
}

static CK_RV object_generate(const struct probe *p, const struct pkcs11_mechanism *m,
                             CK_ATTRIBUTE *private_key, CK_ULONG private_count,
                             const struct probe_wanted *wanted, struct probe_pair *ret)
{
    CK_MECHANISM mechanism = {m->generate, NULL, 0};
    CK_ATTRIBUTE public_key[] = {
        probe_flag(CKA_VERIFY, true), /* these two first: OBJECT_SHARED_COUNT */
        probe_flag(CKA_ENCRYPT, false),
        probe_flag(CKA_TOKEN, wanted->on_token),
        probe_flag(CKA_PRIVATE, false),
        probe_flag(CKA_WRAP, false),
        probe_attribute(CKA_ID, ret->id, TOKEN_KEY_ID_LEN),
        probe_attribute(CKA_LABEL, PROBE_LABEL, sizeof(PROBE_LABEL) - 1),
        m->ec_group ? probe_attribute(CKA_EC_PARAMS, m->ec_params.data, m->ec_params.len)
                    : probe_attribute(CKA_MODULUS_BITS, &m->modulus_bits, sizeof(m->modulus_bits)),
        probe_attribute(CKA_PUBLIC_EXPONENT, object_exponent, sizeof(object_exponent)),
    };
    CK_ULONG left_out = object_shares(p, wanted) ? OBJECT_SHARED_COUNT : 0;
    CK_ULONG count = sizeof(public_key) / sizeof(public_key[0]) - (m->ec_group ? 1 : 0);

    return p->s.calls->C_GenerateKeyPair(p->s.handle, &mechanism, public_key + left_out,
                                         count - left_out, private_key, private_count,
                                         &ret->public_key, &ret->private_key);
}

/* The template is that of esignd (generate.c); what is asked for beyond it stands at its end. */
CK_RV probe_make_pair(const struct probe *p, enum token_algorithm algorithm,
                      const struct probe_wanted *wanted, struct probe_pair *ret)
{
    const struct pkcs11_mechanism *m = pkcs11_mechanism_by_algorithm(algorithm);
    CK_ATTRIBUTE private_key[12] = {
        probe_flag(CKA_TOKEN, wanted->on_token),
        probe_flag(CKA_PRIVATE, true),
        probe_flag(CKA_SENSITIVE, true),
        probe_flag(CKA_EXTRACTABLE, wanted->extractable),
        probe_flag(CKA_SIGN, true),
        probe_flag(CKA_DECRYPT, object_shares(p, wanted) && !m->ec_group),
        probe_flag(CKA_UNWRAP, false),
        probe_flag(CKA_DERIVE, false),
        probe_attribute(CKA_ID, ret->id, TOKEN_KEY_ID_LEN),
        probe_attribute(CKA_LABEL, PROBE_LABEL, sizeof(PROBE_LABEL) - 1),
    };
    CK_ULONG count = 10;

    if (wanted->always_authenticate)
        private_key[count++] = probe_flag(CKA_ALWAYS_AUTHENTICATE, true);
    if (wanted->wrap_with_trusted)
        private_key[count++] = probe_flag(CKA_WRAP_WITH_TRUSTED, true);
    return object_generate(p, m, private_key, count, wanted, ret);
}

void probe_destroy_pair(const struct probe *p, struct probe_pair *pair)
{
    (void)p->s.calls->C_DestroyObject(p->s.handle, pair->private_key); /* else: the clean-up */
    (void)p->s.calls->C_DestroyObject(p->s.handle, pair->public_key);
    *pair = (struct probe_pair){0};
}

/* A token that makes no key as esignd asks for it, but one as a TPM would: that is for quirk.c. */
static void object_try_shared(struct probe *p, enum token_algorithm algorithm,
                              const struct probe_pair *pair)
{
    const struct probe_wanted shared = {.on_token = p->on_token, .shares_usage = true};
    struct probe_pair trial = *pair;

    if (pkcs11_module_quirk(p->s.module)->shares_usage || pair->made == CKR_MECHANISM_INVALID ||
        probe_make_pair(p, algorithm, &shared, &trial) != CKR_OK)
        return;
    probe_fact(p, "shares_usage", "yes");
    probe_destroy_pair(p, &trial);
}

struct probe_pair *probe_pair(struct probe *p, enum token_algorithm algorithm)
{
    struct probe_pair *pair = &p->pairs[algorithm];
    const struct probe_wanted wanted = {.on_token = p->on_token};

    if (!pair->tried) {
        pair->tried = true;
        probe_new_id(p, pair->id);
        pair->made = probe_make_pair(p, algorithm, &wanted, pair);
        if (pair->made != CKR_OK)
            object_try_shared(p, algorithm, pair);
    }
    return pair->made == CKR_OK ? pair : NULL;
}

struct probe_pair *probe_any_pair(struct probe *p, enum token_algorithm *ret_algorithm)
{
    static const enum token_algorithm order[] = {TOKEN_P256, TOKEN_RSA3072, TOKEN_RSA2048};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        struct probe_pair *pair = probe_pair(p, order[i]);
        if (!pair)
            continue;
        *ret_algorithm = order[i];
        return pair;
    }
    return NULL;
}

static CK_RV object_search(const struct probe *p, CK_ATTRIBUTE *template, CK_ULONG count,
                           CK_OBJECT_HANDLE *ret, CK_ULONG room, CK_ULONG *ret_count)
{
    CK_RV rv = p->s.calls->C_FindObjectsInit(p->s.handle, template, count);

    *ret_count = 0;
    if (rv != CKR_OK)
        return rv;
    rv = p->s.calls->C_FindObjects(p->s.handle, ret, room, ret_count);
    CK_RV ended = p->s.calls->C_FindObjectsFinal(p->s.handle);
    return rv != CKR_OK ? rv : ended;
}

CK_RV probe_find(const struct probe *p, CK_OBJECT_CLASS class, const uint8_t id[TOKEN_KEY_ID_LEN],
                 CK_OBJECT_HANDLE *ret, CK_ULONG *ret_count)
{
    CK_ATTRIBUTE template[] = {probe_attribute(CKA_CLASS, &class, sizeof(class)),
                               probe_attribute(CKA_ID, id, TOKEN_KEY_ID_LEN)};

    return object_search(p, template, 2, ret, 1, ret_count);
}

int probe_read_flag(const struct probe *p, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = 0xff;
    CK_ATTRIBUTE asked = {type, &value, sizeof(value)};

    if (p->s.calls->C_GetAttributeValue(p->s.handle, object, &asked, 1) != CKR_OK ||
        asked.ulValueLen != sizeof(value) || value > CK_TRUE)
        return -1;
    return value;
}

/* Whether an object that bears our label is the probe's: keys by their id, data by class.  Somebody
 * else's key of this label stays. */
static bool object_is_ours(const struct probe *p, CK_OBJECT_HANDLE object, bool *ret_this_run)
{
    uint8_t id[TOKEN_KEY_ID_LEN] = {0};
    CK_OBJECT_CLASS class = 0;
    CK_ATTRIBUTE kind = {CKA_CLASS, &class, sizeof(class)};
    CK_ATTRIBUTE asked = {CKA_ID, id, sizeof(id)};

    *ret_this_run = false;
    if (p->s.calls->C_GetAttributeValue(p->s.handle, object, &kind, 1) != CKR_OK)
        return false;
    if (class == CKO_DATA)
        return true;
    if (p->s.calls->C_GetAttributeValue(p->s.handle, object, &asked, 1) != CKR_OK ||
        asked.ulValueLen != sizeof(id) ||
        !bytes_equal(bytes_of(id, sizeof(object_prefix)),
                     bytes_of(object_prefix, sizeof(object_prefix))))
        return false;
    *ret_this_run = bytes_equal(bytes_of(id, PROBE_RUN_LEN), bytes_of(p->run, PROBE_RUN_LEN));
    return true;
}

CK_RV probe_remove(const struct probe *p, bool spare_run, size_t *ret_found, size_t *ret_left)
{
    CK_ATTRIBUTE label = probe_attribute(CKA_LABEL, PROBE_LABEL, sizeof(PROBE_LABEL) - 1);
    CK_OBJECT_HANDLE found[OBJECT_FOUND_MAX];
    CK_ULONG count = 0;

    *ret_found = *ret_left = 0;
    CK_RV rv = object_search(p, &label, 1, found, OBJECT_FOUND_MAX, &count);
    assert(count <= OBJECT_FOUND_MAX); /* a module that says more has written over our stack */
    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++) {
        bool this_run = false;
        if (!object_is_ours(p, found[i], &this_run) || (spare_run && this_run))
            continue;
        (*ret_found)++;
        if (p->s.calls->C_DestroyObject(p->s.handle, found[i]) != CKR_OK)
            (*ret_left)++;
    }
    return rv;
}
