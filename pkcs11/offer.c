#include "pkcs11/offer.h"

#include "pkcs11/ckr.h"
#include "pkcs11/wrap.h"

#include <stdio.h>

enum {
    OFFER_BITS_MIN = 1024, /* a largest RSA key below this is told in bytes, as some do */
    OFFER_LIST_MAX = 64,
};

/* What a token lacks for an algorithm; NULL: nothing. */
struct offer_lack {
    const char *mechanism;
    CK_ULONG largest; /* key size in bits; 0: the mechanism is not there at all */
};

static const char *offer_mechanism_name(CK_MECHANISM_TYPE type)
{
    switch (type) {
    case CKM_EC_KEY_PAIR_GEN:
        return "CKM_EC_KEY_PAIR_GEN";
    case CKM_ECDSA:
        return "CKM_ECDSA";
    case CKM_RSA_PKCS_KEY_PAIR_GEN:
        return "CKM_RSA_PKCS_KEY_PAIR_GEN";
    case CKM_RSA_PKCS:
        return "CKM_RSA_PKCS";
    case CKM_AES_KEY_GEN:
        return "CKM_AES_KEY_GEN";
    default:
        return "a mechanism";
    }
}

/* Look at one mechanism.  wanted: the flag of what it must be able to do; bits: of the key, 0 where
 * the token's sizes say nothing (those of curves are told in many ways). */
static enum esign_rc offer_look(const struct pkcs11_session *s, CK_MECHANISM_TYPE type,
                                CK_FLAGS wanted, CK_ULONG bits, struct offer_lack *ret,
                                struct fault *f)
{
    CK_MECHANISM_INFO info = {0};

    CK_RV rv = s->calls->C_GetMechanismInfo(s->slot, type, &info);
    if (rv != CKR_OK && rv != CKR_MECHANISM_INVALID)
        return pkcs11_fail(f, rv, "C_GetMechanismInfo");
    CK_ULONG largest =
        info.ulMaxKeySize < OFFER_BITS_MIN ? info.ulMaxKeySize * 8 : info.ulMaxKeySize;
    if (rv == CKR_MECHANISM_INVALID || (info.flags & wanted) == 0)
        *ret = (struct offer_lack){offer_mechanism_name(type), 0};
    else if (largest > 0 && largest < bits)
        *ret = (struct offer_lack){offer_mechanism_name(type), largest};
    return ESIGN_OK;
}

static enum esign_rc offer_find_lack(const struct pkcs11_session *s,
                                     const struct pkcs11_mechanism *m, struct offer_lack *ret,
                                     struct fault *f)
{
    *ret = (struct offer_lack){0};
    enum esign_rc rc = offer_look(s, m->generate, CKF_GENERATE_KEY_PAIR, m->modulus_bits, ret, f);
    if (rc == ESIGN_OK && !ret->mechanism)
        rc = offer_look(s, m->sign, CKF_SIGN, m->modulus_bits, ret, f);
    return rc;
}

/* "rsa3072, rsa4096"; "no keys of ours" */
static enum esign_rc offer_list(const struct pkcs11_session *s, char ret[OFFER_LIST_MAX],
                                struct fault *f)
{
    size_t len = 0;

    (void)snprintf(ret, OFFER_LIST_MAX, "none of ours");
    for (int a = TOKEN_P256; token_algorithm_name((enum token_algorithm)a); a++) {
        const struct pkcs11_mechanism *m = pkcs11_mechanism_by_algorithm((enum token_algorithm)a);
        struct offer_lack lack;
        enum esign_rc rc = offer_find_lack(s, m, &lack, f);
        if (rc != ESIGN_OK)
            return rc;
        if (!lack.mechanism && len < OFFER_LIST_MAX)
            len += (size_t)snprintf(ret + len, OFFER_LIST_MAX - len, "%s%s", len ? ", " : "",
                                    token_algorithm_name((enum token_algorithm)a));
    }
    return ESIGN_OK;
}

enum esign_rc pkcs11_offer_check(const struct pkcs11_session *session,
                                 const struct pkcs11_mechanism *mechanism, struct fault *f)
{
    struct offer_lack lack;
    char list[OFFER_LIST_MAX], label[PKCS11_LABEL_LEN + 1], size[40] = "";

    enum esign_rc rc = offer_find_lack(session, mechanism, &lack, f);
    if (rc != ESIGN_OK || !lack.mechanism)
        return rc;
    rc = offer_list(session, list, f);
    if (rc != ESIGN_OK)
        return rc;
    pkcs11_unpad(session->info.label, PKCS11_LABEL_LEN, label);
    if (lack.largest > 0)
        (void)snprintf(size, sizeof(size), " beyond %lu bits", lack.largest); /* it fits */
    return fault_reason(f, ESIGN_E_UNSUPPORTED, "mechanism",
                        "the token '%s' can't make %s keys: no %s%s; it can make: %s", label,
                        token_algorithm_name(mechanism->algorithm), lack.mechanism, size, list);
}

enum esign_rc pkcs11_offer_check_wrap(const struct pkcs11_session *session, struct fault *f)
{
    static const CK_FLAGS both[] = {CKF_WRAP, CKF_UNWRAP};
    struct offer_lack lack = {0};
    bool found = false;
    char label[PKCS11_LABEL_LEN + 1];
    enum esign_rc rc = offer_look(session, CKM_AES_KEY_GEN, CKF_GENERATE, 0, &lack, f);

    for (int w = TOKEN_WRAP_KWP; rc == ESIGN_OK && !found && w <= TOKEN_WRAP_CBC; w++) {
        struct offer_lack way = {0};
        for (size_t i = 0; rc == ESIGN_OK && i < sizeof(both) / sizeof(both[0]); i++)
            rc =
                offer_look(session, pkcs11_wrap_mechanism((enum token_wrap)w), both[i], 0, &way, f);
        found = !way.mechanism;
    }
    if (rc != ESIGN_OK || (found && !lack.mechanism))
        return rc;
    pkcs11_unpad(session->info.label, PKCS11_LABEL_LEN, label);
    return fault_reason(
        f, ESIGN_E_UNSUPPORTED, "mechanism",
        "the token '%s' can't wrap keys: no %s; custody K1 needs no such key", label,
        lack.mechanism ? lack.mechanism : "CKM_AES_KEY_WRAP_KWP, _WRAP_PAD, _WRAP or AES_CBC_PAD");
}
