/* Return values of PKCS#11: their names, and what each means for the worker. */
#pragma once

#include "base/fault.h"

#include <p11-kit/pkcs11.h>

enum pkcs11_ckr_class {
    PKCS11_CKR_REQUEST, /* this request can't be done; the session is as good as before */
    PKCS11_CKR_STALE,   /* an object handle is no longer valid: find the object again */
    PKCS11_CKR_PIN,     /* the PIN was refused, or can't be used */
    PKCS11_CKR_GONE,    /* session, login or device is lost: a new process starts over */
};

/* "CKR_DEVICE_ERROR"; "CKR_?" for a value that is not in the table.  Never NULL. */
const char *pkcs11_ckr_name(CK_RV rv);

/* A value that is not in the table counts as PKCS11_CKR_GONE. */
enum pkcs11_ckr_class pkcs11_ckr_class(CK_RV rv);

/* Set f for a failed call and return ESIGN_E_HSM.  Reason: "key", "pin" or "unavailable" by class;
 * cause: rv.  call: "C_Sign". */
enum esign_rc pkcs11_fail(struct fault *f, CK_RV rv, const char *call);
