/* The PIN: where it comes from, when it may be sent, and that a refused one is never sent again. */
#pragma once

#include "base/secret.h"
#include "config/config.h"

#include <p11-kit/pkcs11.h>

struct pkcs11_turn;

/* The service's credential of that name ("pin", "so-pin") from $CREDENTIALS_DIRECTORY, else the
 * file named fallback_path ("" for none).  ret: owned by the caller.  ESIGN_E_POLICY: there is
 * none, or others can read it. */
enum esign_rc pkcs11_login_credential(const char *name, const char *fallback_path,
                                      struct secret **ret, struct fault *f) MUST_CHECK;

/* Whether the token's flags, read before any login, allow a PIN to be sent.  ESIGN_E_HSM reason
 * "pin": locked, the last try is left (it is never used up), to be changed first, not set, or only
 * to be entered on the token itself. */
enum esign_rc pkcs11_login_allowed(CK_FLAGS flags, struct fault *f) MUST_CHECK;

/* A session that wants to log in. */
struct pkcs11_login {
    CK_FUNCTION_LIST *calls;
    CK_SESSION_HANDLE session;
    CK_SLOT_ID slot;
    const CK_TOKEN_INFO *info; /* read before the login */
    struct pkcs11_turn *turn;  /* of the workers that send the same PIN; NULL: there are none */
};

/* Give the PIN for the operation that has begun, whose key wants it each time
 * (CKU_CONTEXT_SPECIFIC).  A module that doesn't know that is taken to want none.
 * ESIGN_E_HSM reason "pin": refused, with what the token tells of tries left, or perhaps refused;
 * reason "unavailable": token or session lost.
 * *ret_refused: it may have been counted as wrong, so this process must not send it again; later
 * ones know of a clear refusal where that can be kept (pkcs11/known.h).
 * Source: PKCS #11 v2.40 base, section 5.6 (C_Login). */
enum esign_rc pkcs11_login_context(const struct pkcs11_login *login, const struct secret *pin,
                                   bool *ret_refused, struct fault *f) MUST_CHECK;

/* The PIN of the configuration's token: its credential, or its pin_file.  ret: owned by the caller.
 * ESIGN_E_HSM reason "pin": there is none, or others can read it. */
enum esign_rc pkcs11_login_pin(const struct config *config, size_t index, struct secret **ret,
                               struct fault *f) MUST_CHECK;

/* Log in once with the PIN of the configuration's token; it is wiped before this returns.  A token
 * that asks for no login is left alone.
 * ESIGN_E_HSM reason "pin": not sent (also where the token has refused it before, or workers died
 * or failed while they sent it: pkcs11_turn_begin_login), or refused;
 * reason "unavailable": token or session lost, or nobody knows what the module did with the PIN.
 * *ret_refused: it may have been counted as wrong and no later process knows, so that none may send
 * a PIN before a restart. */
enum esign_rc pkcs11_login_user(const struct pkcs11_login *login, const struct config *config,
                                size_t index, bool *ret_refused, struct fault *f) MUST_CHECK;
