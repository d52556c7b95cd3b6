/* The audit entry as bytes: made from a change, and checked when read.  audit/FORMAT.md tells the
 * same to strangers. */
#pragma once

#include "store/store.h"

/* A change made ready on the caller's thread, so that the writer has little left to do. */
struct store_prepared {
    json_t *entry; /* the caller's members, format and rows; a copy one level deep */
    char *bodies[STORE_ROWS_MAX];
    size_t row_count;
};

void store_prepared_done(struct store_prepared *p);

/* What the writer alone knows. */
struct store_stamp {
    int64_t seq;
    int64_t time_ms;
    const char *offset; /* "+01:00" */
    bool synchronised;
};

/* Check a change and make it ready.  ret: store_prepared_done, also after a failure.
 * ESIGN_E_INTERNAL: a member is missing, unknown or of the wrong type, a kind or id is not usable;
 * ESIGN_E_TOO_LARGE: the entry or a row is too long; ESIGN_E_PROTO: not canonical JSON. */
enum esign_rc store_prepare_change(const struct store_change *change, struct store_prepared *ret,
                                   struct fault *f) MUST_CHECK;

/* Add the writer's members and give the entry's bytes (appended to out) with its leaf hash.
 * ESIGN_E_TOO_LARGE, ESIGN_E_PROTO. */
enum esign_rc store_seal_entry(const struct store_prepared *p, const struct store_stamp *stamp,
                               struct buf *out, uint8_t ret_leaf[SHA256_LEN],
                               struct fault *f) MUST_CHECK;

/* SHA-256(0x00 || bytes).  Source: RFC 6962 section 2.1. */
void store_leaf_hash(struct bytes entry, uint8_t ret[SHA256_LEN]);

/* Check that bytes are entry seq with that leaf: canonical JSON with the members of FORMAT.md.
 * ret: the entry, owned by the caller, may be NULL.  ESIGN_E_AUDIT_UNAVAILABLE reason "tampered".
 */
enum esign_rc store_check_entry(struct bytes entry, struct bytes leaf, int64_t seq, json_t **ret,
                                struct fault *f) MUST_CHECK;

/* Check that body is the row kind/id as a checked entry tells of it.
 * ESIGN_E_CRED_STATE reason "tampered". */
enum esign_rc store_check_row(const json_t *entry, const char *kind, const char *id,
                              struct bytes body, struct fault *f) MUST_CHECK;

/* The refusal of a row that is older than the trail tells, or gone: ESIGN_E_CRED_STATE reason
 * "tampered". */
enum esign_rc store_row_is_old(const char *kind, const char *id, struct fault *f);

/* Whether kind is [a-z-]+ of at most STORE_KIND_MAX bytes. */
enum { STORE_KIND_MAX = 32, STORE_ID_MAX = 64, STORE_ROW_MAX = 1048576 };
bool store_is_kind(const char *kind);

/* "kind/id".  ret: STORE_KEY_SIZE bytes. */
enum { STORE_KEY_SIZE = STORE_KIND_MAX + 1 + STORE_ID_MAX + 1 };
void store_row_key(const char *kind, const char *id, char ret[STORE_KEY_SIZE]);
