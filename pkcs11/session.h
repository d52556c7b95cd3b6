/* One PKCS#11 session: from nothing to logged in. */
#pragma once

#include "base/secret.h"
#include "pkcs11/module.h"
#include "pkcs11/turn.h"

struct pkcs11_session {
    struct pkcs11_module *module;
    CK_FUNCTION_LIST *calls; /* borrowed from module */
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE handle;
    CK_TOKEN_INFO info;          /* as it was before the login; SoftHSM gives none afterwards */
    bool has_keys;               /* a private key has been seen */
    const struct config *config; /* borrowed; where the PIN is from */
    size_t index;
    struct secret *pin; /* for keys that want it each time; NULL until one has */
    bool pin_refused;   /* by such a key: it is not sent again */
};

/* Load the module, find the token, see that it is the one that was used before (pkcs11/known.h) or
 * that the uri names its serial number, open a session and, with may_login, log in.  As
 * pkcs11_module_load, pkcs11_module_find and pkcs11_login_user; without may_login ESIGN_E_HSM
 * reason "pin".  turn: of the workers of this token, NULL: there are none.  After an error ret is
 * empty.  *ret_refused as in pkcs11_login_user. */
enum esign_rc pkcs11_session_open(const struct config *config, size_t index,
                                  struct pkcs11_turn *turn, bool may_login,
                                  struct pkcs11_session *ret, bool *ret_refused,
                                  struct fault *f) MUST_CHECK;
void pkcs11_session_close(struct pkcs11_session *session); /* an empty one is allowed */

/* How many sessions like this one the token says that it can have; 0: it names no limit.
 * Source: PKCS #11 v2.40 base, section 3.2 (CK_TOKEN_INFO). */
unsigned pkcs11_session_most(const struct pkcs11_session *session);

/* Give the PIN for the operation that has begun, whose key wants it each time.  The PIN is kept
 * from the first time on, unless the caller has put one there.  ESIGN_E_HSM reason "pin": refused
 * now or before, or not sent, as pkcs11_login_allowed(); "unavailable". Source: PKCS #11 v2.40
 * base, section 4.9 (CKA_ALWAYS_AUTHENTICATE). */
enum esign_rc pkcs11_session_authenticate(struct pkcs11_session *session,
                                          struct fault *f) MUST_CHECK;

/* Take a new session in the place of this one, in which an operation may have been left active; the
 * login stays, since one session is open all the time.  ESIGN_E_HSM reason "unavailable": neither
 * is to be used.
 * Source: PKCS #11 v2.40 base, section 5.11: C_Sign ends its operation unless it says
 * CKR_BUFFER_TOO_SMALL, which not all modules do. */
enum esign_rc pkcs11_session_renew(struct pkcs11_session *session, struct fault *f) MUST_CHECK;

/* The objects that match a template, of which at most max are told.  ESIGN_E_HSM: as pkcs11_fail;
 * "unavailable" too where the search can't be ended. */
enum esign_rc pkcs11_session_find(const struct pkcs11_session *session, CK_ATTRIBUTE *template,
                                  CK_ULONG count, CK_OBJECT_HANDLE *ret, CK_ULONG max,
                                  CK_ULONG *ret_count, struct fault *f) MUST_CHECK;

/* Ask the token whether session and login are alive and whether keys that were there still are (a
 * token of SoftHSM that is taken away loses them without any error).  ESIGN_E_HSM reason
 * "unavailable". */
enum esign_rc pkcs11_session_check(struct pkcs11_session *session, struct fault *f) MUST_CHECK;
