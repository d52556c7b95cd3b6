/* Where a module does not do what PKCS#11 says: one row a module, and nowhere else. */
#pragma once

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

struct pkcs11_quirk {
    const char *name;         /* "SoftHSM2", for messages */
    const char *manufacturer; /* CK_INFO.manufacturerID without its padding */
    bool rewrites_token;      /* a login rewrites token.object unless it can't be written */
    bool denies_local;        /* CKA_LOCAL is false of keys that the token itself has made */
    bool shares_usage; /* one bit for CKA_VERIFY and CKA_DECRYPT, one for CKA_ENCRYPT and CKA_SIGN:
                          what the private half may do is said, of the public half nothing, and
                          an RSA key may decrypt, which is how it signs */
};

/* The row of a module by what it says of itself; one without any quirk where it is in no other.
 * Never NULL. */
const struct pkcs11_quirk *pkcs11_quirk_find(const CK_INFO *info);
