/* A signer's blob: the wrapped key of custody K2, sealed under a key that only the signer's
 * password gives.  Source: design section 8; requirements 1.6; daemon/authn/FORMAT.md. */
#pragma once

#include "base/buf.h"
#include "base/json.h"
#include "base/secret.h"

/* What a blob belongs to; all borrowed, and bound to it as associated data. */
struct seal_about {
    const char *signer_id;
    const char *key;        /* id of the signer's key, hex */
    const char *kek, *wrap; /* the wrapping key's id, and how it wraps */
    struct bytes spki;      /* SubjectPublicKeyInfo of the signer's key */
    int64_t generation;     /* counts the passwords under which this key was sealed, from 1 */
};

/* What the row of a key says that its blob must belong to.  signer_id: of the person, and key: as
 * that person's row names it, so that another's row is not believed.  spki: filled, and borrowed by
 * ret.  ESIGN_E_INTERNAL: the row is not of custody K2. */
enum esign_rc seal_about_row(const json_t *row, const char *signer_id, const char *key,
                             int64_t generation, struct buf *spki, struct seal_about *ret,
                             struct fault *f) MUST_CHECK;

/* Seal wrapped under sealing (HASH_KEY_LEN bytes, of hash_make_key).  ret: the row's member
 * "sealed", owned by the caller.  ESIGN_E_INTERNAL. */
enum esign_rc seal_close(const struct secret *sealing, const struct seal_about *about,
                         struct bytes wrapped, json_t **ret, struct fault *f) MUST_CHECK;

/* Open it again.  ret_wrapped: buf_new_locked() of TOKEN_WRAPPED_MAX, appended to.
 * ESIGN_E_CRED_STATE, reason "blob-other": of another signer or key; "blob-old": sealed under an
 * earlier password; "blob-edited": not what was sealed.  Source: 21 CFR
 * 11.300(d); requirements 1.6, A5. */
enum esign_rc seal_open(const struct secret *sealing, const struct seal_about *about,
                        const json_t *sealed, struct buf *ret_wrapped, struct fault *f) MUST_CHECK;
