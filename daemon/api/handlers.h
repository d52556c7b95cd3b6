/* The handlers of routes.c and what they share.  request->service is the struct site. */
#pragma once

#include "api/reply.h"
#include "api/route.h"
#include "register/register.h"
#include "sign/sign.h"

enum { HANDLER_LIST_MAX = 200, HANDLER_LIST_DEFAULT = 50 };

static inline struct site *handler_site(const struct api_request *request)
{
    return request->service;
}

/* Where the request comes from, as the register wants it. */
struct register_origin handler_origin(const struct api_request *request);
const char *handler_application(const struct api_request *request); /* NULL at a terminal */
const char *handler_terminal(const struct api_request *request);    /* NULL for an application */

/* Where components are entered: an application may name the terminal ("terminal" of the body), a
 * terminal is known.  ESIGN_E_PROTO: a terminal names one, or it is no identifier. */
enum esign_rc handler_place(const struct api_request *request, struct session_place *ret,
                            struct fault *f) MUST_CHECK;

/* Through an application components may only be entered with its right to take them.
 * ESIGN_E_AUTHZ.  Source: requirements 5.6. */
enum esign_rc handler_entry(const struct api_request *request, struct fault *f) MUST_CHECK;

/* A JSON value as the reply (owned by it from now on); NULL: ESIGN_E_INTERNAL. */
enum esign_rc handler_reply(struct api_reply *reply, int status, json_t *value,
                            struct fault *f) MUST_CHECK;

/* A request that may be repeated: take its Idempotency-Key and, if something was made under it,
 * give that as the reply, with the status of the first answer.  ret_key: sign_key_done() it, also
 * after a failure; held if reply->json stays NULL.  Without a key nothing happens.  As
 * sign_key_take(). */
enum esign_rc handler_repetition(const struct api_request *request, int status,
                                 struct sign_key *ret_key, struct api_reply *reply,
                                 struct fault *f) MUST_CHECK;

/* Prove the request's components for an officer's act. */
enum esign_rc handler_officer(const struct api_request *request, const char *role,
                              const char *role2, struct authn_person *ret,
                              struct fault *f) MUST_CHECK;

/* End of an officer's act: a refusal is entered (the components were right), success passes. */
enum esign_rc handler_settle(const struct api_request *request, const struct authn_person *person,
                             const char *action, const char *object, enum esign_rc rc,
                             struct fault *f) MUST_CHECK;

/* Rows of a kind as {"items": […], "next"?}. */
struct handler_list {
    const char *kind;
    const char *member, *value; /* rows whose member equals value; NULL: all */
    json_t *(*view)(struct site *s, const json_t *body); /* what is shown of one; NULL: all of it */
    /* Whether this caller may see it and wants it; NULL: yes. */
    bool (*keep)(const struct api_request *request, const json_t *body);
};
enum esign_rc handler_list(const struct api_request *request, const struct handler_list *list,
                           struct api_reply *reply, struct fault *f) MUST_CHECK;

/* A certificate as PEM text in a JSON string; NULL: no memory. */
json_t *handler_pem(struct bytes der);

/* The SHA-256 of a record given as {"content"} or {"sha256"}; ret stays empty without both. */
enum esign_rc handler_record_digest(const json_t *record, struct buf *ret,
                                    struct fault *f) MUST_CHECK;

/* What a secofficer (or one of role2, which may be NULL) does to the signer of the path, with the
 * body's reason; a refusal is entered as action.  The reply is the signer as it is then. */
typedef enum esign_rc (*handler_signer_change)(struct site *s, const struct register_origin *origin,
                                               const struct authn_person *officer,
                                               const char *user_id, const char *reason,
                                               struct fault *f);
enum esign_rc handler_signer_act(struct api_request *request, const char *role2, const char *action,
                                 handler_signer_change change, struct api_reply *reply,
                                 struct fault *f) MUST_CHECK;

/* The members receipt, secret and password of somebody who comes with a one-time secret. */
struct handler_secrets {
    struct secret *receipt, *half, *password; /* owned */
};
enum esign_rc handler_take_secrets(struct api_request *request, struct handler_secrets *ret,
                                   struct fault *f) MUST_CHECK;
void handler_secrets_done(struct handler_secrets *s);

#define HANDLER(name)                                                                              \
    enum esign_rc name(struct api_request *request, struct api_reply *reply, struct fault *f)

HANDLER(handle_status);
HANDLER(handle_health);
HANDLER(handle_live);
HANDLER(handle_metrics);
HANDLER(handle_init);
HANDLER(handle_ca);
HANDLER(handle_tokens);
HANDLER(handle_token_test);
HANDLER(handle_token_test_list);
HANDLER(handle_token_test_get);
HANDLER(handle_applications);
HANDLER(handle_terminals);
HANDLER(handle_meanings);
HANDLER(handle_plans);
HANDLER(handle_statements);
HANDLER(handle_approval_request);
HANDLER(handle_approval_list);
HANDLER(handle_approval_get);
HANDLER(handle_approval_approve);
HANDLER(handle_approval_decline);
HANDLER(handle_signer_list);
HANDLER(handle_signer_get);
HANDLER(handle_signer_activate);
HANDLER(handle_signer_revoke);
HANDLER(handle_signer_unlock);
HANDLER(handle_signer_unlock_officer);
HANDLER(handle_signer_history);
HANDLER(handle_password_change);
HANDLER(handle_password_set);
HANDLER(handle_must_change);
HANDLER(handle_card_test);
HANDLER(handle_card_revoke);
HANDLER(handle_session_open);
HANDLER(handle_session_close);
HANDLER(handle_backup);
HANDLER(handle_ticket_create);
HANDLER(handle_ticket_list);
HANDLER(handle_ticket_get);
HANDLER(handle_ticket_authorise);
HANDLER(handle_ticket_value);
HANDLER(handle_ticket_decline);
HANDLER(handle_ticket_cancel);
HANDLER(handle_sign);
HANDLER(handle_signature_list);
HANDLER(handle_signature_get);
HANDLER(handle_signature_proof);
HANDLER(handle_signature_manifestation);
HANDLER(handle_validation);
HANDLER(handle_audit_entries);
HANDLER(handle_audit_entry);
HANDLER(handle_audit_checkpoint);
HANDLER(handle_audit_proof);
HANDLER(handle_audit_verification);
HANDLER(handle_audit_export);
