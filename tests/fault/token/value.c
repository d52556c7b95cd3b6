#include "value.h"

#include <string.h>

enum { VALUE_MAX = 1024, VALUE_KEYS_MAX = 256, VALUE_P256_LEN = 64 };

/* The order of P-256.  Source: FIPS 186-5, SP 800-186 section 3.2.1.3. */
static const CK_BYTE value_p256_order[] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

/* A private key of the same kind that is not this one. */
static CK_OBJECT_HANDLE value_other_key(const struct fault_signature *s)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = s->mechanism == CKM_RSA_PKCS ? CKK_RSA : CKK_EC;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)},
                               {CKA_KEY_TYPE, &type, sizeof(type)}};
    CK_OBJECT_HANDLE found[VALUE_KEYS_MAX];
    CK_ULONG count = 0;

    if (s->real->C_FindObjectsInit(s->session, template, 2) != CKR_OK ||
        s->real->C_FindObjects(s->session, found, VALUE_KEYS_MAX, &count) != CKR_OK ||
        s->real->C_FindObjectsFinal(s->session) != CKR_OK)
        fault_die("keys can't be listed", "");
    for (CK_ULONG i = 0; i < count; i++)
        if (found[i] != s->key)
            return found[i];
    fault_die("there is no second key", "");
}

/* Sign with another key: the operation that has begun is ended by its own signature. */
static CK_RV value_by_other(const struct fault_signature *s)
{
    CK_MECHANISM mechanism = {s->mechanism, NULL, 0};
    CK_BYTE unused[VALUE_MAX];
    CK_ULONG unused_len = sizeof(unused);

    CK_RV rv = s->real->C_Sign(s->session, s->data, s->len, unused, &unused_len);
    if (rv == CKR_OK)
        rv = s->real->C_SignInit(s->session, &mechanism, value_other_key(s));
    return rv == CKR_OK ? s->real->C_Sign(s->session, s->data, s->len, s->value, s->value_len) : rv;
}

/* Sign something else. */
static CK_RV value_of_other(const struct fault_signature *s)
{
    CK_BYTE data[VALUE_MAX];

    if (s->len == 0 || s->len > sizeof(data))
        fault_die("nothing to sign", "");
    memcpy(data, s->data, s->len);
    data[s->len - 1] ^= 1;
    return s->real->C_Sign(s->session, data, s->len, s->value, s->value_len);
}

/* s becomes n - s, in place. */
static void value_negate(CK_BYTE s[VALUE_P256_LEN / 2])
{
    int borrow = 0;

    for (int i = VALUE_P256_LEN / 2 - 1; i >= 0; i--) {
        int digit = value_p256_order[i] - s[i] - borrow;
        borrow = digit < 0;
        s[i] = (CK_BYTE)(digit & 0xff);
    }
}

/* s above half of the order, whichever it was. */
static void value_make_high(const struct fault_signature *s)
{
    if (*s->value_len != VALUE_P256_LEN)
        fault_die("high-s is for P-256", "");
    if (s->value[VALUE_P256_LEN / 2] < 0x7f) /* the top half of n/2 is 7fffffff80000000 */
        value_negate(s->value + VALUE_P256_LEN / 2);
}

static void value_spoil(const struct fault_signature *s, enum fault_value how, CK_ULONG room)
{
    CK_ULONG len = *s->value_len;

    if (how == FAULT_VALUE_FLIP)
        s->value[len / 2] ^= 1;
    else if (how == FAULT_VALUE_SHORT)
        *s->value_len = len - 1;
    else if (how == FAULT_VALUE_EMPTY)
        *s->value_len = 0;
    else if (how == FAULT_VALUE_ZERO)
        memset(s->value, 0, len);
    else if (how == FAULT_VALUE_ONES)
        memset(s->value, 0xff, len);
    else if (how == FAULT_VALUE_HIGH_S)
        value_make_high(s);
    if (how != FAULT_VALUE_LONG)
        return;
    if (len >= room)
        fault_die("no room for a byte more", "");
    s->value[(*s->value_len)++] = 0;
}

/* Keep this value, or give the one that was kept: while a rule says so it is the same each time. */
static void value_exchange(const struct fault_signature *s, enum fault_value how)
{
    static CK_BYTE kept[VALUE_MAX];
    static CK_ULONG kept_len;

    if (how == FAULT_VALUE_PREVIOUS) {
        if (kept_len == 0)
            fault_die("there is no value before", "");
        memcpy(s->value, kept, kept_len);
        *s->value_len = kept_len;
    } else if (*s->value_len <= sizeof(kept)) {
        kept_len = *s->value_len;
        memcpy(kept, s->value, kept_len);
    }
}

CK_RV fault_value_sign(const struct fault_signature *s, enum fault_value how)
{
    CK_ULONG room = *s->value_len;
    CK_RV rv;

    if (how == FAULT_VALUE_OTHER)
        rv = value_by_other(s);
    else if (how == FAULT_VALUE_DIGEST)
        rv = value_of_other(s);
    else
        rv = s->real->C_Sign(s->session, s->data, s->len, s->value, s->value_len);
    if (rv != CKR_OK || !s->value)
        return rv;
    value_exchange(s, how);
    value_spoil(s, how, room);
    return rv;
}
