/* The register: people who sign, officers, applications and terminals; who asked, who approved.
 *
 * Giving power needs two persons (an approval); taking it away needs one and works at once.
 * Source: 21 CFR 11.100, 11.200(a)(3), 11.300; requirements 1.6 and 3.2. */
#pragma once

#include "authn/components.h"
#include "site/site.h"

/* Where an act comes from and until when it must be done. */
struct register_origin {
    const char *application, *terminal; /* either may be NULL */
    int64_t deadline_at_ms;             /* monotonic */
};

/* Prove a person's components for an administrative action and that the person has one of the roles
 * (role2 may be NULL).  Every refusal is in the trail.  ret: authn_person_done() it.
 * ESIGN_E_AUTHZ and all of authn_components().  Source: 21 CFR 11.10(g). */
enum esign_rc register_officer(struct site *s, const struct register_origin *origin,
                               const char *user_id, const struct secret *password, const char *role,
                               const char *role2, struct authn_person *ret,
                               struct fault *f) MUST_CHECK;

/* Enter that a person's act was refused for *f (left as it is), and settle the counter of failures:
 * the components were right.  action: what was tried.  Returns f->rc, or why the entry can't be
 * written. */
enum esign_rc register_refused(struct site *s, const struct register_origin *origin,
                               const struct authn_person *person, const char *action,
                               const char *object, struct fault *f) MUST_CHECK;

/* Enter that a caller who is known by uid only was refused for *f, which stays as it is.  request:
 * what was asked for, or NULL.  Returns f->rc, or why the entry can't be written.
 * Source: 21 CFR 11.10(g). */
enum esign_rc register_peer_refused(struct site *s, const struct register_origin *origin,
                                    int64_t uid, const char *action, const char *object,
                                    const char *request, struct fault *f) MUST_CHECK;

/* ---- first start (init.c) */

/* Make keys and CA, enter policy, meanings, statement and plans from the policy directory, enrol
 * the officers, register the first terminal.  body: checked members organisation, ca_name,
 * officers, terminal.  ret: the reply.  ESIGN_E_CONFLICT: done before; ESIGN_E_POLICY: fewer than
 * two officers, unusable policy.  Source: requirements 5.10. */
enum esign_rc register_init(struct site *s, const json_t *body,
                            const struct register_origin *origin, json_t **ret,
                            struct fault *f) MUST_CHECK;

/* ---- actions of two persons (approval.c) */

/* Ask for an action ("signer.enroll", "application.add", "terminal.add", "credential.reset",
 * "card.register", "restore.accept").  ESIGN_E_STOPPED: the store was put back, only the last one
 * is possible. officer: has proved the components.  ret: {"approval", "state", "action", "object",
 * "receipt"?}.
 */
enum esign_rc register_request(struct site *s, const struct register_origin *origin,
                               const struct authn_person *officer, const char *action,
                               const json_t *params, const char *reason, json_t **ret,
                               struct fault *f) MUST_CHECK;

/* Approve or decline it as another person.  ret: {"approval", "state", "object", "secret"?}.
 * ESIGN_E_DUAL_SELF; ESIGN_E_CONFLICT: decided before, or (approving) the requester or what was
 * asked for has lost its standing since.  Source: 21 CFR 11.200(a)(3). */
enum esign_rc register_decide(struct site *s, const struct register_origin *origin,
                              const struct authn_person *officer, const char *approval_id,
                              bool approve, const char *reason, json_t **ret,
                              struct fault *f) MUST_CHECK;

/* ---- signers (activate.c, state.c) */

/* The new signer, in person: both halves of the one-time secret, the password, the statement
 * accepted; makes key and certificate.  ret: what register_signer_view() gives.
 * ESIGN_E_AUTH_FAILED: the codes are not right, nothing else is told; ESIGN_E_SIGNER_STATE (draft,
 * …), ESIGN_E_CRED_STATE (expired, …), ESIGN_E_CONFLICT (using: another call makes the key),
 * ESIGN_E_PASSWORD_POLICY, ESIGN_E_POLICY, ESIGN_E_HSM.  Every refusal is in the trail.
 * Source: 21 CFR 11.10(j), 11.100(b), 11.300(c). */
struct register_activation {
    const char *user_id;
    const struct secret *receipt, *half, *password;
    const char *statement_code;
    int64_t statement_version;
    const char *algorithm; /* NULL: the token's */
};
enum esign_rc register_activate(struct site *s, const struct register_origin *origin,
                                const struct register_activation *a, json_t **ret,
                                struct fault *f) MUST_CHECK;

/* Revoke at once, by one officer.  Writes the row revocation/ID beside the signer's: it is never
 * written again, so that its generation is the place of the revocation in the trail.
 * ESIGN_E_REASON_REQUIRED; ESIGN_E_CONFLICT: revoked already, or moved since the officer was
 * proved; ESIGN_E_DUAL_REQUIRED (reason "last-officers"): too few officers would remain. */
enum esign_rc register_revoke(struct site *s, const struct register_origin *origin,
                              const struct authn_person *officer, const char *user_id,
                              const char *reason, struct fault *f) MUST_CHECK;

/* Reset the failure counter of a locked signer.  ESIGN_E_DUAL_SELF: an officer can't unlock
 * himself; ESIGN_E_SIGNER_STATE: revoked; ESIGN_E_CONFLICT: not locked. */
enum esign_rc register_unlock(struct site *s, const struct register_origin *origin,
                              const struct authn_person *officer, const char *user_id,
                              const char *reason, struct fault *f) MUST_CHECK;

/* Reset an officer's counter as root of this machine, when no officer is left who could.  uid: of
 * the peer.  ESIGN_E_AUTHZ: no officer; ESIGN_E_CONFLICT: not locked; ESIGN_E_POLICY
 * (officer-left): another officer can.  Source: requirements 5.10, 5.26. */
enum esign_rc register_unlock_officer(struct site *s, const struct register_origin *origin,
                                      int64_t uid, const char *user_id, const char *reason,
                                      struct fault *f) MUST_CHECK;

/* What may be shown of a signer: no hash of a secret, no evidence number.  NULL: no memory. */
json_t *register_signer_view(struct site *s, const json_t *signer);

/* ---- passwords (credential.c) */

/* The owner, who has proved the components with authn_components_to_change(), sets a new password.
 * ESIGN_E_PASSWORD_POLICY: also "reused", one of the newest password.history ones.
 * Source: 21 CFR 11.300(b); requirements 3.3. */
enum esign_rc register_change_password(struct site *s, const struct register_origin *origin,
                                       const struct authn_person *owner,
                                       const struct secret *password, struct fault *f) MUST_CHECK;

/* Prove components for a change of the own password; every refusal is in the trail.
 * As authn_components_to_change(). */
enum esign_rc register_owner(struct site *s, const struct register_origin *origin,
                             const char *user_id, const struct secret *password,
                             struct authn_person *ret, struct fault *f) MUST_CHECK;

/* Demand that a signer changes the password before anything else, by one officer.
 * ESIGN_E_REASON_REQUIRED; ESIGN_E_SIGNER_STATE, ESIGN_E_CRED_STATE "revoked": there is none that
 * could be changed. */
enum esign_rc register_must_change(struct site *s, const struct register_origin *origin,
                                   const struct authn_person *officer, const char *user_id,
                                   const char *reason, struct fault *f) MUST_CHECK;

/* The signer, in person, sets a new password after two officers have ended the old one (the action
 * credential.reset): both halves of the one-time secret, which is used up; ends a lock.  Key and
 * certificate stay.  ret: what register_signer_view() gives.
 * ESIGN_E_AUTH_FAILED: the code or a half is wrong, nothing else is told; ESIGN_E_SIGNER_STATE,
 * ESIGN_E_CRED_STATE (expired, used), ESIGN_E_PASSWORD_POLICY, ESIGN_E_CONFLICT: another call was
 * faster.  Every refusal is in the trail.  Source: 21 CFR 11.300(c); requirements 1.6 A1, 3.3. */
struct register_setting {
    const char *user_id;
    const struct secret *receipt, *half, *password;
};
enum esign_rc register_set_password(struct site *s, const struct register_origin *origin,
                                    const struct register_setting *given, json_t **ret,
                                    struct fault *f) MUST_CHECK;

/* ---- tests of devices (device.c) */

/* Enter the report of a test of a token (token.test), with its hash, and keep it; a checkpoint is
 * signed at once.  report: as esign-token --test made it.  reason: may be NULL.  Where the token
 * can be asked it must be the one that was tested.  ret: {"test", "token", "verdict", "seen",
 * "sha256", "recorded", "by", "by_user", "reason"?, "report"}.  ESIGN_E_PROTO: no report;
 * ESIGN_E_NOT_FOUND: no token of that name; ESIGN_E_CONFLICT: another token was tested. Source: 21
 * CFR 11.10(a), 11.300(e). */
enum esign_rc register_token_test(struct site *s, const struct register_origin *origin,
                                  const struct authn_person *officer, json_t *report,
                                  const char *reason, json_t **ret, struct fault *f) MUST_CHECK;

/* ---- backups (backup.c) */

/* Make a copy of the store in backup.directory and enter it (backup.made) with its hash and the
 * head of the tree that it holds.  Takes as long as the copy, while everything else goes on.  ret:
 * {"backup", "file", "sha256", "bytes", "mark", "head": {"size", "root"}, "version"}.
 * ESIGN_E_POLICY, field backup.directory: it can't be used or has no room.
 * Source: 21 CFR 11.10(c); EU GMP Annex 11, 7.2. */
enum esign_rc register_backup(struct site *s, const struct register_origin *origin,
                              const struct authn_person *officer, const char *reason, json_t **ret,
                              struct fault *f) MUST_CHECK;

/* ---- cards (card_test.c) */

/* Begin a test of the signer's own card, by the signer, who has proved the components.  ret:
 * {"state": "value-wanted", "challenge", "digest", "algorithm", "spki", "certificate",
 * "expires_at"}.
 * ESIGN_E_CRED_STATE "no_card".  Source: 21 CFR 11.300(e). */
enum esign_rc register_card_challenge(struct site *s, const struct register_origin *origin,
                                      const struct authn_person *person, json_t **ret,
                                      struct fault *f) MUST_CHECK;
/* The card's answer, a signature of the digest: the card is tested, and may sign.  ret: {"state":
 * "tested", "key", "tested"}.  ESIGN_E_REPLAY: not the open challenge; ESIGN_E_DEADLINE;
 * ESIGN_E_HSM "value": not by the card that is registered. */
enum esign_rc register_card_tested(struct site *s, const struct register_origin *origin,
                                   const struct authn_person *person, const char *challenge,
                                   struct bytes value, json_t **ret, struct fault *f) MUST_CHECK;

/* End the signer's card at once, by one officer: it is lost, or may have been used by others.  The
 * key is never registered again.  ESIGN_E_CONFLICT "no_card".  Source: 21 CFR 11.300(c). */
enum esign_rc register_revoke_card(struct site *s, const struct register_origin *origin,
                                   const struct authn_person *officer, const char *user_id,
                                   const char *reason, struct fault *f) MUST_CHECK;

/* ---- after a crash (recover.c) */

/* End every key that was announced, by an entry before that sequence (INT64_MAX: any), and not
 * finished as failed; its one-time secret can be used again.  ret_count: how many. */
enum esign_rc register_recover(struct site *s, int64_t before, size_t *ret_count,
                               struct fault *f) MUST_CHECK;
