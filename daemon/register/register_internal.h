/* Between the files of this folder. */
#pragma once

#include "authn/password.h"
#include "register/register.h"

/* What an action of two persons does; a row of the table in approval.c. */
struct register_action {
    const char *action;
    /* Check params and add to the request's change what exists from now on.  ret_object: what it is
     * about ("signer/S-…").  receipt: a code for the requester, may stay empty. */
    enum esign_rc (*request)(struct site *s, const struct authn_person *officer,
                             const json_t *params, struct store_change *change, json_t *approval,
                             struct fault *f);
    /* Add to the deciding change what the approval brings. */
    enum esign_rc (*approve)(struct site *s, const struct authn_person *officer, json_t *approval,
                             struct store_change *change, json_t *reply, struct fault *f);
    /* Add what a declined request leaves; may be NULL. */
    enum esign_rc (*decline)(struct site *s, json_t *approval, struct store_change *change,
                             struct fault *f);
    bool receipt; /* the requester gets the first half of a one-time secret */
};

extern const struct register_action register_enroll_action;
extern const struct register_action register_application_action;
extern const struct register_action register_terminal_action;
extern const struct register_action register_reset_action;
extern const struct register_action register_card_action;
extern const struct register_action register_restore_action;

/* Whether an action accepts a store that was put back; it is entered as "restore.accepted". */
bool register_is_restore(const char *action);

/* With a store that was put back nothing but its acceptance can be asked for or decided, and else
 * not that.  ESIGN_E_STOPPED, ESIGN_E_CONFLICT. */
enum esign_rc register_check_restored(struct site *s, const char *action,
                                      struct fault *f) MUST_CHECK;

/* Rows that a change borrows live until the change is done: json values kept here are released
 * then. */
enum { REGISTER_KEPT_MAX = 16 };

/* Check evidence of identity and make what is stored of it: number only as keyed hash and last
 * four. key: of the site.  ret: owned.  Source: 21 CFR 11.100(b). */
enum esign_rc register_evidence(const json_t *evidence, const char *field, struct bytes key,
                                const char *checked_by, json_t **ret, struct fault *f) MUST_CHECK;

/* HMAC over the document's type, issuer and number, all without regard to case, spaces, punctuation
 * and the encoding of characters: the same document is recognised but not readable.
 * ESIGN_E_PROTO: one of them has neither letter nor digit.  Source: 21 CFR 11.100(a). */
enum esign_rc register_evidence_hash(const json_t *evidence, struct bytes key,
                                     char ret[2 * SHA256_LEN + 1], struct fault *f) MUST_CHECK;

/* The site's key for evidence numbers, 32 bytes. */
enum esign_rc register_evidence_key(struct site *s, struct buf *ret, struct fault *f) MUST_CHECK;

/* Check the naming members of a signer: user_id, printed_name, title.
 * ESIGN_E_PROTO with the field.  Source: 21 CFR 11.50(a)(1). */
enum esign_rc register_check_names(const json_t *params, const char *prefix,
                                   struct fault *f) MUST_CHECK;

/* The rows of a new signer: signer, userid, evidence; guards that they are unused. Bodies are owned
 * by bag (a JSON array). */
enum esign_rc register_add_signer(const json_t *params, const char *signer_id, const json_t *roles,
                                  const json_t *evidence, const char *state,
                                  const char *enrolled_by, json_t *bag, struct store_change *change,
                                  struct fault *f) MUST_CHECK;

/* Rows of a terminal or application with its peer row.  ids: {"id", "location"|"name",
 * "uid"|"gid"}. */
enum esign_rc register_add_peer(const json_t *params, bool application, json_t *bag,
                                struct store_change *change, struct fault *f) MUST_CHECK;
/* An application must not be root, esignd or one of its helpers: they have other powers already. */
enum esign_rc register_check_peer(struct site *s, const json_t *params, bool application,
                                  const char *prefix, struct fault *f) MUST_CHECK;

/* A person's claim as it is checked; everything is borrowed. */
struct authn_claim register_claim(struct site *s, const struct register_origin *origin,
                                  const char *user_id, const struct secret *password,
                                  const json_t *policy);

/* The deadline (monotonic) of what is entered even if the request's own time is over: refusals. */
int64_t register_later(struct site *s);

/* What an officer did, for the trail.  reason: given by the officer, or NULL. */
struct audit_act register_act(const struct register_origin *origin,
                              const struct authn_person *officer, const char *action,
                              const char *object, const char *reason);

/* Two persons of each role of officers, with passwords, must remain when one is taken away.  Adds
 * guards of those who remain, so that of two officers taken away at once one stays; ret is borrowed
 * by them. ESIGN_E_DUAL_REQUIRED, reason "last-officers".  Source: requirements 5.10. */
enum { REGISTER_LAST_ROLES = 2, REGISTER_LAST_PERSONS = 2 };
struct register_last {
    struct register_remaining {
        size_t count;
        char signer_id[REGISTER_LAST_PERSONS][SITE_ID_MAX];
        int64_t seq[REGISTER_LAST_PERSONS];
    } roles[REGISTER_LAST_ROLES];
    int64_t lock_after; /* 0: who is locked remains, too: an officer can unlock */
};
enum esign_rc register_keep_officers(struct site *s, const json_t *leaver,
                                     struct register_last *ret, struct store_change *change,
                                     struct fault *f) MUST_CHECK;

/* Somebody with the role who can act must be there besides the requester and the subject (signer
 * ids), or nobody could approve.  ESIGN_E_DUAL_REQUIRED, reason "last-officers". */
enum esign_rc register_check_second(struct site *s, const char *role, const char *requester,
                                    const char *subject, struct fault *f) MUST_CHECK;

/* No officer but that one (a signer id) may be left who could unlock: active, with a password, and
 * with fewer than lock_after failures.  ESIGN_E_POLICY, reason "officer-left"; errors of the store.
 * Source: requirements 5.10. */
enum esign_rc register_check_nobody(struct site *s, const char *signer_id, int64_t lock_after,
                                    struct fault *f) MUST_CHECK;

/* Policy, block list, meanings, plans and statement of the policy directory, checked; version 1 of
 * each.  rets: owned by the caller.  ESIGN_E_POLICY with the member at fault. */
struct register_policy {
    json_t *policy, *meanings, *plans, *statement;
    json_t *blocklist; /* {"version", "sha256" (of the file), "words"} */
};
enum esign_rc register_policy_load(const char *directory, struct register_policy *ret,
                                   struct fault *f) MUST_CHECK;
void register_policy_done(struct register_policy *p);

/* ---- custody of keys (custody.c): "K1", "K2" or "K3", by the policy's default and groups. */

/* ESIGN_E_POLICY, field "custody.default" or "custody.groups".  Source: requirements 1.6. */
enum esign_rc register_custody_check(const json_t *policy, struct fault *f) MUST_CHECK;
/* NULL is a signer without a group.  ESIGN_E_POLICY: the policy names no such group. */
enum esign_rc register_custody_check_group(const json_t *policy, const char *group,
                                           struct fault *f) MUST_CHECK;
/* The word for a signer's row; borrowed from the policy or static. */
const char *register_custody(const json_t *policy, const json_t *signer);

/* Whether anybody can get a key in that custody. */
bool register_custody_is_used(const json_t *policy, const char *custody);

/* ---- a signer's key (key.c): announced in the trail before it exists, so that none is on a token
 * unknown; made and certified; entered with its owner. */
struct register_making {
    struct site *site;
    const struct register_origin *origin;
    const json_t *signer, *policy;  /* rows; borrowed */
    json_t *secret;                 /* row of the one-time secret that is taken for it; borrowed */
    int64_t signer_seq, secret_seq; /* their generations */
    const char *custody;            /* "K1" or "K2"; borrowed */
    struct secret *sealing;         /* K2: of the new password; owned */
    /* what is made */
    enum token_algorithm algorithm;
    uint8_t key_id[TOKEN_KEY_ID_LEN];
    char key_hex[2 * TOKEN_KEY_ID_LEN + 1];
    json_t *keygen, *row; /* owned; keygen NULL: nothing has been announced */
    int64_t announced_seq;
    struct buf spki, certificate;
};
void register_making_done(struct register_making *m);

/* The algorithm: asked for or the token's (NULL), and in policy.  ESIGN_E_POLICY. */
enum esign_rc register_making_check(struct register_making *m, const char *algorithm,
                                    struct fault *f) MUST_CHECK;
/* The hash of a new password by the custody of its owner's key; *ret_sealing is set for "K2" only,
 * and is owned by the caller.  Errors of hash_make(). */
enum esign_rc register_hash_password(struct site *s, const char *custody,
                                     const struct secret *password, int64_t deadline_at_ms,
                                     char ret[HASH_PHC_MAX], struct secret **ret_sealing,
                                     struct fault *f) MUST_CHECK;
/* Announce it and take the one-time secret, so that this makes one key only. */
enum esign_rc register_making_announce(struct register_making *m, struct fault *f) MUST_CHECK;
/* Make, certify, and in custody K2 seal what was announced. */
enum esign_rc register_making_make(struct register_making *m, struct fault *f) MUST_CHECK;
/* Add it to the change that makes it the signer's; both rows belong to that change. */
enum esign_rc register_making_into(struct register_making *m, json_t *signer, json_t *credential,
                                   struct store_change *change, struct fault *f) MUST_CHECK;
/* Nothing came of an announced key: say so, and give the secret back.  *f stays as it is, and is
 * returned. */
enum esign_rc register_making_failed(struct register_making *m, struct fault *f) MUST_CHECK;

/* ---- a sealed key and its owner's password (sealed.c) */

/* Whether a signer's key is in custody K2. */
bool register_is_sealed(const json_t *signer);
/* A new password: the blob opened under the present one (owner->sealing) and sealed under next, in
 * the change that writes the credential; its member "seal" counts up.  Errors of seal_open(). */
enum esign_rc register_seal_again(struct site *s, const struct authn_person *owner,
                                  const struct secret *next, json_t *credential, json_t *bag,
                                  struct store_change *change, struct fault *f) MUST_CHECK;
/* The password or the signer was revoked: nobody may open the blob any more, so it leaves the row
 * and the key has ended.  Source: requirements 5.9. */
enum esign_rc register_end_sealed(struct site *s, const json_t *signer, json_t *bag,
                                  struct store_change *change, struct fault *f) MUST_CHECK;

/* The policy's member "card".  ESIGN_E_POLICY with the member at fault. */
enum esign_rc register_card_check_policy(const json_t *policy, struct fault *f) MUST_CHECK;

/* ---- one-time secrets (secret.c).  Row "secret", id of the signer: state ("issued", "using" while
 * a key is made, "used"), receipt_hash and half_hash, expires_ms. */

/* A one-time code for people: five groups of four characters (100 bits), and its hash as stored. */
enum { REGISTER_CODE_MAX = 32 };
void register_code_new(char ret_code[REGISTER_CODE_MAX], char ret_hash[2 * SHA256_LEN + 1]);
void register_code_wipe(char (*code)[REGISTER_CODE_MAX]); /* for CLEANUP */
void register_code_hash(struct bytes code, char ret_hash[2 * SHA256_LEN + 1]);
/* Whether the code's hash is that member of a row. */
bool register_code_is(const json_t *row, const char *member, const struct secret *code);

/* Whether both halves are right, each in its place. */
bool register_secret_is(const json_t *secret, const struct secret *receipt,
                        const struct secret *half);

/* ESIGN_E_AUTH_FAILED: tells how halves are typed and nothing of the signer. */
enum esign_rc register_secret_wrong(struct fault *f);

/* Enter a refusal of somebody who comes with a one-time secret; *f stays as it is.  signer: NULL if
 * the code is unknown, which is not written then; proved: the halves were right, so that it was the
 * signer.  Returns f->rc, or why the entry can't be written. */
enum esign_rc register_secret_refused(struct site *s, const struct register_origin *origin,
                                      const char *action, const json_t *signer, bool proved,
                                      struct fault *f) MUST_CHECK;

/* Whether a secret may still be used; for those who have proved it.  ESIGN_E_CRED_STATE: "expired",
 * "used"; ESIGN_E_CONFLICT: "using".  Source: 21 CFR 11.300(c). */
enum esign_rc register_check_secret(const json_t *secret, int64_t now_ms,
                                    struct fault *f) MUST_CHECK;

/* Add to the change the one-time secret of the approval's signer_id: its halves are the requester's
 * receipt and one for the approver, so that no officer alone can act as the signer.  The second
 * becomes the reply's member "secret".  Bodies are kept in the approval's bag.
 * Source: 21 CFR 11.200(a)(3), 11.300(c); policy enrol.secret_ttl_h. */
enum esign_rc register_issue_secret(struct site *s, json_t *approval, struct store_change *change,
                                    json_t *reply, struct fault *f) MUST_CHECK;

/* Check a new password by the rules in force: policy, block list and names of the site, which
 * init has entered; without a block list (a site of an early version) the other rules count, and a
 * warning is logged.  Errors of authn_password_check() and store_get().
 * Source: 21 CFR 11.300(b). */
enum esign_rc register_check_password(struct site *s, const struct secret *password,
                                      const char *user_id, struct fault *f) MUST_CHECK;

/* Check a new password by the rules and the history of the row and put it there, as active; nothing
 * is written.  signer: whose it is.  ret_sealing: as register_hash_password().  As
 * register_change_password(). */
enum esign_rc register_renew_password(struct site *s, json_t *credential, const json_t *signer,
                                      const struct secret *password, int64_t deadline_at_ms,
                                      struct secret **ret_sealing, struct fault *f) MUST_CHECK;

/* An active signer and the credential's row, owned.  ESIGN_E_NOT_FOUND, ESIGN_E_SIGNER_STATE. */
struct register_credential {
    json_t *signer, *row;
    int64_t signer_seq, seq;
    const char *signer_id; /* borrowed from signer */
};
enum esign_rc register_find_credential(struct site *s, const char *user_id,
                                       struct register_credential *ret, struct fault *f) MUST_CHECK;
void register_credential_done(struct register_credential *c);

/* Set the member "credential" of a signer's view: state, changed, expires, days_left, and what was
 * done to it last; nothing without a credential.  ESIGN_E_INTERNAL: no memory. */
enum esign_rc register_view_credential(struct site *s, const char *signer_id, json_t *view,
                                       struct fault *f) MUST_CHECK;

/* End an announced key (row keygen, of that generation) as failed and give the one-time secret back
 * that was taken for it, if it still is.  act: its object is filled in here. */
enum esign_rc register_end_keygen(struct site *s, struct audit_act *act, json_t *keygen,
                                  int64_t keygen_seq, struct fault *f) MUST_CHECK;

/* Keep value in bag and return it borrowed; NULL stays NULL. */
json_t *register_keep(json_t *bag, json_t *value);

/* The fault for a guard that must have been unused: E_ID_USED with the member, else unchanged. */
enum esign_rc register_used(enum esign_rc rc, struct fault *f);
