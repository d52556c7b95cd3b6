/* libesign: the client side of esignd.
 *
 * One handle (esign_open), calls that each make one HTTP exchange on the daemon's Unix socket, and
 * results whose members are read by path.  Every call that can fail returns an error number of
 * esign/error.h, ESIGN_OK is 0; the same failure stands in the error object, if one was given
 * (error may always be NULL).  Return parameters are not touched by a call that fails.
 *
 * The library writes no log, never aborts, reads no environment variable, loads no module and keeps
 * no password: buffers that carried one are wiped before the call returns.
 *
 * Failures of the connection itself:
 *   ESIGN_E_BUSY        reason "no_socket": there is no such socket, the daemon is not running;
 *                       "refused": nothing listens there any more; "full": too many callers wait
 *                       already; "unreachable": any other cause
 *   ESIGN_E_PEER_DENIED reason "permission": this user may not open the socket
 *   ESIGN_E_DEADLINE    reason "no_answer": no reply in time; what became of the request is not
 *                       known: repeat it under its idempotency_key, or look at the ticket first
 *   ESIGN_E_PEER_DENIED reason "closed": the daemon closed without a reply, as it does with callers
 *                       that are not registered
 *   ESIGN_E_PROTO       reason "reply": the reply was not understood
 *   ESIGN_E_TOO_LARGE   reason "reply" or "request": larger than the library's limit
 *   ESIGN_E_INTERNAL    reason "memory"
 * These and all errors that the daemon names can come from every call that takes a handle. */
#ifndef ESIGN_CLIENT_H
#define ESIGN_CLIENT_H

#include "esign/types.h"

#include <stdbool.h>

#if defined(__GNUC__)
#define ESIGN_API        __attribute__((visibility("default")))
#define ESIGN_MUST_CHECK __attribute__((warn_unused_result))
#else
#define ESIGN_API
#define ESIGN_MUST_CHECK
#endif

/* Where the daemon listens unless its configuration says otherwise. */
#define ESIGN_SOCKET_DEFAULT "/run/esignd/esignd.sock"

#define ESIGN_REQUEST_MAX (8 * 1024 * 1024)  /* bytes of a request's body */
#define ESIGN_REPLY_MAX   (32 * 1024 * 1024) /* bytes of a reply's body */

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library, such as "0.1.0".  Never NULL. */
ESIGN_API const char *esign_version(void);

/* ---- the error object ---- */

/* An empty error object, owned by the caller.  NULL: no memory, which every call accepts. */
ESIGN_API struct esign_error *esign_error_new(void);

/* error: may be NULL. */
ESIGN_API void esign_error_free(struct esign_error *error);

/* The number; ESIGN_OK after a call that succeeded.  A code that this library does not know yet is
 * ESIGN_E_INTERNAL here and keeps its own name in esign_error_name().  Source: requirements 0.2. */
ESIGN_API enum esign_rc esign_error_code(const struct esign_error *error);

/* The stable name, such as "E_AUTHZ".  Borrowed until the error object is used again, as all
 * strings below; none is ever NULL. */
ESIGN_API const char *esign_error_name(const struct esign_error *error);

/* The word in brackets, such as "locked"; "" if there is none. */
ESIGN_API const char *esign_error_reason(const struct esign_error *error);

/* A sentence for people: what is wrong, what to do. */
ESIGN_API const char *esign_error_detail(const struct esign_error *error);

/* The member of the request that is at fault; "" if there is none. */
ESIGN_API const char *esign_error_field(const struct esign_error *error);

/* After ESIGN_E_RATE: how many seconds to wait before the same can be tried; 0: not told. */
ESIGN_API int esign_error_retry_after(const struct esign_error *error);

/* Whether the same request may succeed later without being changed. */
ESIGN_API bool esign_error_retryable(const struct esign_error *error);

/* The text of one number in the table of esign/error.h.  Never NULL. */
ESIGN_API const char *esign_code_text(enum esign_rc code);

/* The name of one number.  Never NULL. */
ESIGN_API const char *esign_code_name(enum esign_rc code);

/* ---- the handle ---- */

/* Make a handle; connects with the first call.  path: the daemon's socket, NULL:
 * ESIGN_SOCKET_DEFAULT.  ret: owned by the caller, ended with esign_close().
 * ESIGN_E_PROTO: the path is too long for a socket; ESIGN_E_INTERNAL: no memory. */
ESIGN_API enum esign_rc esign_open(const char *path, struct esign **ret,
                                   struct esign_error *error) ESIGN_MUST_CHECK;

/* Close the connection and free the handle; no call may be running.  handle: may be NULL. */
ESIGN_API void esign_close(struct esign *handle);

/* How long each call may take; 60000 ms unless set.  timeout_ms: from 1. */
ESIGN_API void esign_set_timeout(struct esign *handle, unsigned timeout_ms);

/* ---- any request ---- */

/* One exchange with the daemon, for whatever has no call of its own below.
 * method: "GET" or "POST"; path: begins with "/v1/", already percent-encoded; body: JSON text of
 * body_len bytes, borrowed, NULL for GET.  A POST is never sent twice.  ret: owned by the caller,
 * may be NULL if the reply is of no interest.  ESIGN_E_PROTO also: method or path are unusable. */
ESIGN_API enum esign_rc esign_call(struct esign *handle, const char *method, const char *path,
                                   const char *body, size_t body_len, struct esign_result **ret,
                                   struct esign_error *error) ESIGN_MUST_CHECK;

/* ---- results ---- */

/* Wipe and free.  result: may be NULL. */
ESIGN_API void esign_result_free(struct esign_result *result);

/* The reply's bytes exactly as they came, with a NUL after them that is not counted in ret_len
 * (ret_len may be NULL).  Borrowed from the result. */
ESIGN_API const char *esign_result_text(const struct esign_result *result, size_t *ret_len);

/* The string at a path of member names and array indices, such as "record.hash" or
 * "items.0.ticket".  Borrowed; NULL: not there, or no string. */
ESIGN_API const char *esign_result_string(const struct esign_result *result, const char *path);

/* The integer at a path, or fallback. */
ESIGN_API int64_t esign_result_integer(const struct esign_result *result, const char *path,
                                       int64_t fallback);

/* Whether the member at a path is there and true. */
ESIGN_API bool esign_result_flag(const struct esign_result *result, const char *path);

/* How many members the array or object at a path has; 0 if it is not there. */
ESIGN_API size_t esign_result_count(const struct esign_result *result, const char *path);

/* The bytes of the base64 string at a path, such as "value" of a signature.
 * ret: owned by the caller, freed with esign_free().  ESIGN_E_NOT_FOUND: no such string;
 * ESIGN_E_PROTO: not base64; ESIGN_E_INTERNAL: no memory. */
ESIGN_API enum esign_rc esign_result_bytes(const struct esign_result *result, const char *path,
                                           void **ret, size_t *ret_len) ESIGN_MUST_CHECK;

/* Free what esign_result_bytes() gave.  data: may be NULL. */
ESIGN_API void esign_free(void *data);

/* ---- the service ---- */

/* State, tokens, clock, audit trail and what the daemon takes the caller for ("peer.kind",
 * "peer.id").  Source: requirements 2.1. */
ESIGN_API enum esign_rc esign_status(struct esign *handle, struct esign_result **ret,
                                     struct esign_error *error) ESIGN_MUST_CHECK;

/* ---- tickets: requests that a person be asked to sign ---- */

/* Ask for a signature.  The result is the ticket: "ticket", "state", "nonce", "record.hash",
 * "meaning.text", "expires".  ESIGN_E_MEANING, ESIGN_E_AUTHZ, ESIGN_E_SEQUENCE,
 * ESIGN_E_RECORD_MISMATCH, ESIGN_E_RECORD_SUPERSEDED.  Source: requirements 3.6. */
ESIGN_API enum esign_rc esign_ticket_create(struct esign *handle,
                                            const struct esign_request *request,
                                            struct esign_result **ret,
                                            struct esign_error *error) ESIGN_MUST_CHECK;

/* The ticket as it stands.  Once "state" is "signed", "signature" is the signature's id.
 * ESIGN_E_NOT_FOUND. */
ESIGN_API enum esign_rc esign_ticket_show(struct esign *handle, const char *ticket,
                                          struct esign_result **ret,
                                          struct esign_error *error) ESIGN_MUST_CHECK;

/* Sign: the signer saw the record and gives all components, or in a session what it asks for.  The
 * result is the signature, as of esign_signature_get().  ESIGN_E_COMPONENTS_REQUIRED: the session
 * is over (reason "expired" or "noncontinuous"), or this signing needs all components ("first",
 * "policy"): ask for all and sign without the session, or open another.  ESIGN_E_AUTH_FAILED,
 * ESIGN_E_SIGNER_STATE, ESIGN_E_CONFLICT, ESIGN_E_NOT_PRESENTED, ESIGN_E_REPLAY, ESIGN_E_HSM,
 * ESIGN_E_AUDIT_UNAVAILABLE. Source: 21 CFR 11.200(a)(1)(ii); requirements 3.6. */
ESIGN_API enum esign_rc esign_ticket_authorise(struct esign *handle,
                                               const struct esign_authorisation *authorisation,
                                               struct esign_result **ret,
                                               struct esign_error *error) ESIGN_MUST_CHECK;

/* The second half for a signer with an own card (custody K3).  With authorisation->card set,
 * esign_ticket_authorise() gives for such a signer, instead of a signature, an object whose "state"
 * is "value-wanted": "signature_id", "digest" (hex, SHA-256: what the card must sign), "algorithm",
 * "spki" (base64, the public key of the card that must sign), "certificate", "expires_at".  The
 * library asks no card: the application does, and gives the value here, once, from where the
 * authorisation came.  The result is the signature.  A card that does not sign is told with
 * esign_ticket_cancel().  ESIGN_E_HSM (reason "value"): it is not this digest's signature by this
 * card, the request has ended; ESIGN_E_SESSION (reason "peer"), ESIGN_E_REPLAY; ESIGN_E_CONFLICT:
 * nothing waits for it any more.  Without card set such a signer is refused as
 * ESIGN_E_COMPONENTS_REQUIRED (reason "card").  Source: requirements 1.6. */
ESIGN_API enum esign_rc esign_ticket_value(struct esign *handle, const struct esign_value *value,
                                           struct esign_result **ret,
                                           struct esign_error *error) ESIGN_MUST_CHECK;

/* The signer refuses, with a reason (required) and all components.  The result is the ticket. */
ESIGN_API enum esign_rc esign_ticket_decline(struct esign *handle, const char *ticket,
                                             const struct esign_components *components,
                                             const char *reason, struct esign_result **ret,
                                             struct esign_error *error) ESIGN_MUST_CHECK;

/* The application takes its ticket back, with a reason (required).  The result is the ticket. */
ESIGN_API enum esign_rc esign_ticket_cancel(struct esign *handle, const char *ticket,
                                            const char *reason, struct esign_result **ret,
                                            struct esign_error *error) ESIGN_MUST_CHECK;

/* Tickets: "items", and "next" if there are more.  query: may be NULL. */
ESIGN_API enum esign_rc esign_ticket_list(struct esign *handle,
                                          const struct esign_ticket_query *query,
                                          struct esign_result **ret,
                                          struct esign_error *error) ESIGN_MUST_CHECK;

/* ---- sessions: several signings of one person ---- */

/* Open a session with all components.  Its first signing still needs all of them; from the second
 * on the password suffices, each time.  ret_opened (may be NULL): "idle_s", "absolute_s",
 * "signer.printed_name", "last_signing.time" with "last_signing.count", and "password_reset.time"
 * with "password_reset.by" if officers ended the password since; to be shown to the signer, who
 * alone can tell whether that was right.  The session's handle is not among it.  ret: owned by the
 * caller, ended with esign_session_close() before esign_close(handle).  ESIGN_E_AUTH_FAILED,
 * ESIGN_E_SIGNER_STATE, ESIGN_E_CRED_STATE, ESIGN_E_AUTHZ (reason "entry_app"); ESIGN_E_INTERNAL
 * (reason "memory"): memory can't be locked.
 * Source: 21 CFR 11.200(a)(1)(i), (a)(2); requirements 3.4. */
ESIGN_API enum esign_rc esign_session_open(struct esign *handle,
                                           const struct esign_opening *opening,
                                           struct esign_session **ret,
                                           struct esign_result **ret_opened,
                                           struct esign_error *error) ESIGN_MUST_CHECK;

/* Tell the daemon that the application is still there, while nothing else is asked: it ends a
 * session whose caller has had no connection for 30 s.  To be called every ten seconds or so; it
 * does not put off the idle limit, only what the signer does counts for that. */
ESIGN_API enum esign_rc esign_session_keep(struct esign_session *session,
                                           struct esign_error *error) ESIGN_MUST_CHECK;

/* Close the session, at the daemon too, and wipe and free it in any case.  session: may be NULL.
 * ESIGN_E_COMPONENTS_REQUIRED: it was over before, by one of the ends of requirements 3.4. */
ESIGN_API enum esign_rc esign_session_close(struct esign_session *session,
                                            struct esign_error *error);

/* ---- signatures ---- */

/* Ticket and authorisation in one, for applications that have the right "entry_app": the signer
 * has just entered the components there.  Where the record is too large to stand beside a password
 * in one request (the daemon's limit is 64 KiB) the library makes the ticket first.  The result is
 * the signature.  Errors as for both.  Source: 21 CFR 11.200(a)(1). */
ESIGN_API enum esign_rc esign_sign(struct esign *handle, const struct esign_request *request,
                                   const struct esign_components *components,
                                   struct esign_result **ret,
                                   struct esign_error *error) ESIGN_MUST_CHECK;

/* A signature: "signature" (id), "record.…", "signer.printed_name", "meaning.text", "time.utc",
 * "entry.seq", "value" (base64 of the CMS), "manifestation".  ESIGN_E_NOT_FOUND.
 * Source: 21 CFR 11.50(a). */
ESIGN_API enum esign_rc esign_signature_get(struct esign *handle, const char *signature,
                                            struct esign_result **ret,
                                            struct esign_error *error) ESIGN_MUST_CHECK;

/* Signatures: "items", and "next" if there are more.  query: may be NULL. */
ESIGN_API enum esign_rc esign_signature_list(struct esign *handle,
                                             const struct esign_signature_query *query,
                                             struct esign_result **ret,
                                             struct esign_error *error) ESIGN_MUST_CHECK;

/* The proof that the signature stands in the audit trail: "proof" (C2SP tlog-proof), "entry" (the
 * exact bytes of the entry), "seq".  Keep the reply: `esign verify --offline --proof` reads it.
 * Source: 21 CFR 11.10(e). */
ESIGN_API enum esign_rc esign_signature_proof(struct esign *handle, const char *signature,
                                              struct esign_result **ret,
                                              struct esign_error *error) ESIGN_MUST_CHECK;

/* The block that every human-readable form of the record must show: "text".
 * Source: 21 CFR 11.50(b). */
ESIGN_API enum esign_rc esign_signature_manifestation(struct esign *handle, const char *signature,
                                                      struct esign_result **ret,
                                                      struct esign_error *error) ESIGN_MUST_CHECK;

/* Judge a signature.  ESIGN_OK says only that a verdict was reached: look at "indication"
 * ("TOTAL_PASSED", "TOTAL_FAILED", "INDETERMINATE") and "reason".  Without type, id and version of
 * the record it is not passed.  Source: ETSI EN 319 102-1. */
ESIGN_API enum esign_rc esign_validate(struct esign *handle,
                                       const struct esign_validation *validation,
                                       struct esign_result **ret,
                                       struct esign_error *error) ESIGN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
