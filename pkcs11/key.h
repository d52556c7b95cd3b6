/* Keys on the token: made, found by CKA_ID, and their public halves. */
#pragma once

#include "pkcs11/mechanism.h"
#include "pkcs11/session.h"

enum { PKCS11_KEYS_MAX = 256 }; /* handles kept; the search itself is linear on some tokens */

struct pkcs11_key {
    uint8_t id[TOKEN_KEY_ID_LEN];
    CK_OBJECT_HANDLE handle;
    const struct pkcs11_mechanism *mechanism;
    bool wants_pin; /* for each signature */
};

/* Found private keys, the oldest replaced first. */
struct pkcs11_keys {
    struct pkcs11_key rows[PKCS11_KEYS_MAX];
    size_t count, next;
    struct pkcs11_key kek; /* the wrapping key found last; handle 0: none */
};

/* The one object of a class with that id on the token.  ESIGN_E_NOT_FOUND; ESIGN_E_HSM reason
 * "key": there are two. */
enum esign_rc pkcs11_key_search(const struct pkcs11_session *session, CK_OBJECT_CLASS class,
                                const uint8_t id[TOKEN_KEY_ID_LEN], CK_OBJECT_HANDLE *ret,
                                struct fault *f) MUST_CHECK;

/* Read what a private key is: of which algorithm, and whether it wants the PIN each time.  ret: its
 * id is left as it is.  ESIGN_E_HSM reason "key": not of an algorithm that we use;
 * "unavailable". */
enum esign_rc pkcs11_key_read(const struct pkcs11_session *session, CK_OBJECT_HANDLE handle,
                              struct pkcs11_key *ret, struct fault *f) MUST_CHECK;

/* The private key of id, from the cache or the token.  ret: a copy.  ESIGN_E_NOT_FOUND: the token
 * doesn't show it; ESIGN_E_HSM reason "key": two have this id, or it is not of an algorithm that we
 * use. */
enum esign_rc pkcs11_key_find(const struct pkcs11_session *session, struct pkcs11_keys *keys,
                              const uint8_t id[TOKEN_KEY_ID_LEN], struct pkcs11_key *ret,
                              struct fault *f) MUST_CHECK;

/* Forget a handle that the token no longer knows. */
void pkcs11_key_forget(struct pkcs11_keys *keys, const uint8_t id[TOKEN_KEY_ID_LEN]);

/* The SubjectPublicKeyInfo of id, whose private half must be there too.  ESIGN_E_NOT_FOUND. */
enum esign_rc pkcs11_key_public(const struct pkcs11_session *session,
                                const uint8_t id[TOKEN_KEY_ID_LEN], struct buf *ret_spki,
                                struct fault *f) MUST_CHECK;

struct pkcs11_key_order {
    const struct pkcs11_mechanism *mechanism;
    uint8_t id[TOKEN_KEY_ID_LEN];
    const char *label;
};

/* Make a key pair: private half on the token, SENSITIVE, not EXTRACTABLE, to sign only; then read
 * these attributes back, and destroy the pair if the token did otherwise (ESIGN_E_HSM reason
 * "key").  ESIGN_E_CONFLICT: the id is in use; ESIGN_E_UNSUPPORTED: not an algorithm of this token.
 */
enum esign_rc pkcs11_key_generate(const struct pkcs11_session *session,
                                  const struct pkcs11_key_order *order, struct buf *ret_spki,
                                  struct fault *f) MUST_CHECK;

struct pkcs11_pair {
    CK_OBJECT_HANDLE public_key, private_key;
};

/* Make a key pair of session objects to be wrapped: SENSITIVE, EXTRACTABLE, to sign only; checked
 * and refused as pkcs11_key_generate() does.  ret: destroyed by the caller with
 * pkcs11_key_destroy(). */
enum esign_rc pkcs11_key_generate_session(const struct pkcs11_session *session,
                                          const struct pkcs11_key_order *order,
                                          struct pkcs11_pair *ret, struct buf *ret_spki,
                                          struct fault *f) MUST_CHECK;

/* Destroy both halves.  False: one may still be there; it ends with the session. */
bool pkcs11_key_destroy(const struct pkcs11_session *session, const struct pkcs11_pair *pair);
