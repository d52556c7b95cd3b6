/* The face of esign-token for esignd: keys and signatures on one named token. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

#include <stdint.h>

struct token;

enum token_algorithm {
    TOKEN_P256 = 1,
    TOKEN_P384 = 2,
    TOKEN_RSA3072 = 3,
    TOKEN_RSA4096 = 4,
    TOKEN_RSA2048 = 5, /* for signers only, and where the policy names it */
};

enum { TOKEN_KEY_ID_LEN = 16, TOKEN_SPKI_MAX = 1024, TOKEN_SIGNATURE_MAX = 1024 };

struct token_info {
    char label[33], serial[17], manufacturer[33], model[17], firmware[16]; /* without padding */
    unsigned room; /* for how many workers the token has room; 0: no limit is known */
};

/* name: as in the configuration; path: the service's socket; lanes: as worker_pool_new. */
enum esign_rc token_open(const char *name, const char *path, unsigned lanes, struct token **ret,
                         struct fault *f) MUST_CHECK;
void token_close(struct token *t);
const char *token_name(const struct token *t); /* borrowed */

/* Words of configuration and rows: "p256", "p384", "rsa2048", "rsa3072", "rsa4096"; 0 if unknown.
 */
enum token_algorithm token_algorithm_by_name(const char *name);
const char *token_algorithm_name(enum token_algorithm a);

/* How a token wraps keys: PKCS#11 mechanisms, of which a token has one or another, and means one
 * thing or another.  Words of rows: "aes-kwp", "aes-key-wrap-pad", "aes-key-wrap", "aes-cbc-pad".
 */
enum token_wrap {
    TOKEN_WRAP_KWP = 1,   /* CKM_AES_KEY_WRAP_KWP, RFC 5649 */
    TOKEN_WRAP_PAD = 2,   /* CKM_AES_KEY_WRAP_PAD: SoftHSM2 means RFC 5649 */
    TOKEN_WRAP_PLAIN = 3, /* CKM_AES_KEY_WRAP, RFC 3394 */
    TOKEN_WRAP_CBC = 4,   /* CKM_AES_CBC_PAD; the IV stands before the wrapped key */
};
enum token_wrap token_wrap_by_name(const char *name); /* 0: unknown */
const char *token_wrap_name(enum token_wrap w);       /* NULL: unknown */

enum { TOKEN_WRAPPED_MAX = 4096 }; /* bytes of a wrapped private key */

/* All calls below block at most until deadline_at_ms (monotonic).  ESIGN_E_HSM (retryable; reason
 * "worker", "unavailable", "module", "pin", "key" or "value"), ESIGN_E_DEADLINE. */
enum esign_rc token_info(struct token *t, int64_t deadline_at_ms, struct token_info *ret,
                         struct fault *f) MUST_CHECK;

/* Whether the token can make keys of this algorithm and sign with them, by what it says of itself.
 * ESIGN_E_UNSUPPORTED reason "mechanism": it can't; the detail says what it lacks and offers. */
enum esign_rc token_offers(struct token *t, enum token_algorithm algorithm, int64_t deadline_at_ms,
                           struct fault *f) MUST_CHECK;

/* Make a key pair on the token: CKA_TOKEN, SENSITIVE, never EXTRACTABLE, SIGN only.  As
 * token_offers.  key_id: chosen by the caller, must be unused (ESIGN_E_CONFLICT).  label:
 * CKA_LABEL.  ret_spki: SubjectPublicKeyInfo. */
enum esign_rc token_generate(struct token *t, enum token_algorithm algorithm,
                             const uint8_t key_id[TOKEN_KEY_ID_LEN], const char *label,
                             int64_t deadline_at_ms, struct buf *ret_spki,
                             struct fault *f) MUST_CHECK;

/* The public key of key_id.  ESIGN_E_NOT_FOUND: the token does not show it. */
enum esign_rc token_public_key(struct token *t, const uint8_t key_id[TOKEN_KEY_ID_LEN],
                               int64_t deadline_at_ms, struct buf *ret_spki,
                               struct fault *f) MUST_CHECK;

/* Sign a SHA-256 digest (SHA-384 for P-384: 48 bytes).  RSA: PKCS#1 v1.5.  ret_value: as CMS and
 * X.509 want it (ECDSA-Sig-Value in DER, or the RSA value).  The value is NOT checked here. */
enum esign_rc token_sign(struct token *t, const uint8_t key_id[TOKEN_KEY_ID_LEN],
                         struct bytes digest, int64_t deadline_at_ms, struct buf *ret_value,
                         struct fault *f) MUST_CHECK;

/* As token_sign, for a caller that may try again: the reason "lost" too, which token_sign tells as
 * "unavailable".  A ready worker lost session, login or device in this call, and no value has left
 * it; "unavailable" here: no worker has the token, a second try now is of no use. */
enum esign_rc token_try(struct token *t, const uint8_t key_id[TOKEN_KEY_ID_LEN],
                        struct bytes digest, int64_t deadline_at_ms, struct buf *ret_value,
                        struct fault *f) MUST_CHECK;

/* Have every worker open the token anew before its next operation unless it did so within the last
 * age_ms: after a lost session, a hanging one, or a wrong value, of a try that began then.  Errors
 * as the calls above. */
enum esign_rc token_renew(struct token *t, uint32_t age_ms, int64_t deadline_at_ms,
                          struct fault *f) MUST_CHECK;

/* A wrapping key on the token, as it was made and tried. */
struct token_kek {
    enum token_wrap wrap;
    bool guarded; /* the token itself refuses to unwrap with it into a readable key
                     (CKA_UNWRAP_TEMPLATE), and to change or copy it so that it decrypts */
};

/* Make the key that wraps signers' keys: AES-256, CKA_TOKEN, SENSITIVE, not EXTRACTABLE, WRAP and
 * UNWRAP only.  Tried before it is kept: a pair of that algorithm is wrapped, unwrapped and signs,
 * by the first mechanism that does it, and the wrapping key must not decrypt.  key_id: unused
 * (ESIGN_E_CONFLICT).  ESIGN_E_UNSUPPORTED: the token can't do it.
 * Source: design section 8; dependencies.md spike f. */
enum esign_rc token_make_kek(struct token *t, const uint8_t key_id[TOKEN_KEY_ID_LEN],
                             const char *label, enum token_algorithm algorithm,
                             int64_t deadline_at_ms, struct token_kek *ret,
                             struct fault *f) MUST_CHECK;

/* A wrapping key and how it wraps. */
struct token_wrapper {
    uint8_t kek_id[TOKEN_KEY_ID_LEN];
    enum token_wrap wrap;
};

/* Make a pair that lives no longer than this call and give it wrapped; it has been unwrapped and
 * has signed once.  ret_wrapped: buf_new_locked() of TOKEN_WRAPPED_MAX; who has it and the token
 * can sign.  ESIGN_E_UNSUPPORTED: not an algorithm of this token. */
enum esign_rc token_generate_wrapped(struct token *t, const struct token_wrapper *wrapper,
                                     enum token_algorithm algorithm, int64_t deadline_at_ms,
                                     struct buf *ret_spki, struct buf *ret_wrapped,
                                     struct fault *f) MUST_CHECK;

/* Unwrap a key of token_generate_wrapped() for one signature and destroy it again.  spki: its
 * public half.  Digest, value and errors as in token_try().  ESIGN_E_HSM reason "key": it can't be
 * unwrapped. */
enum esign_rc token_try_wrapped(struct token *t, const struct token_wrapper *wrapper,
                                enum token_algorithm algorithm, struct bytes wrapped,
                                struct bytes spki, struct bytes digest, int64_t deadline_at_ms,
                                struct buf *ret_value, struct fault *f) MUST_CHECK;
