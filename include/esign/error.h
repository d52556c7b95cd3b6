/* The error numbers of esignd: one number space for the daemon, libesign, the JSON replies and the
 * man page.  ESIGN_ERRORS is the only table; documents are generated from it or compared with it.
 *
 * Columns: name, number, HTTP status, retryable (1: the same request may succeed later without
 * being changed), text.  Classes: 1xx request, 2xx identity, 3xx authority, 4xx token, 5xx format,
 * 7xx store and audit, 9xx internal.  Numbers never change their meaning. */
#ifndef ESIGN_ERROR_H
#define ESIGN_ERROR_H

#define ESIGN_ERRORS(X)                                                                            \
    X(OK, 0, 200, 0, "done")                                                                       \
    X(E_PROTO, 101, 400, 0, "the request is malformed")                                            \
    X(E_TOO_LARGE, 102, 413, 0, "the request is larger than the limit")                            \
    X(E_NOT_FOUND, 103, 404, 0, "there is no such object")                                         \
    X(E_CONFLICT, 104, 409, 0, "the object changed or is in another state")                        \
    X(E_BUSY, 105, 503, 1, "the service is at its limit; try again")                               \
    X(E_DEADLINE, 106, 504, 1, "the time for this request ran out")                                \
    X(E_REPLAY, 107, 409, 0, "this authorisation was used before")                                 \
    X(E_UNSUPPORTED, 108, 400, 0, "this is not offered")                                           \
    X(E_RATE, 109, 429, 1, "too many tries; wait and try again")                                   \
    X(E_REASON_REQUIRED, 110, 400, 0, "a reason is required")                                      \
    X(E_RECORD_MISMATCH, 111, 409, 0, "the record is not the one that was presented")              \
    X(E_RECORD_SUPERSEDED, 112, 409, 0, "a newer version of the record exists")                    \
    X(E_NOT_PRESENTED, 113, 409, 0, "the record was not presented to the signer")                  \
    X(E_PEER_DENIED, 201, 403, 0, "the caller is not registered")                                  \
    X(E_AUTH_FAILED, 202, 401, 0, "wrong or unknown component")                                    \
    X(E_COMPONENTS_REQUIRED, 203, 401, 0, "signature components are required")                     \
    X(E_SIGNER_STATE, 204, 403, 0, "the signer's state does not allow this")                       \
    X(E_CRED_STATE, 205, 403, 0, "the credential's state does not allow this")                     \
    X(E_PASSWORD_POLICY, 206, 400, 0, "the password does not meet the policy")                     \
    X(E_SESSION, 207, 401, 0, "the session is not usable")                                         \
    X(E_ID_USED, 208, 409, 0, "this identification code was used before")                          \
    X(E_NOT_A_PERSON, 209, 403, 0, "only a person can sign")                                       \
    X(E_AUTHZ, 301, 403, 0, "the right for this is missing")                                       \
    X(E_MEANING, 302, 403, 0, "the meaning is not usable here")                                    \
    X(E_SEQUENCE, 303, 409, 0, "the plan does not allow this step now")                            \
    X(E_SAME_PERSON, 304, 409, 0, "the plan demands a different person")                           \
    X(E_ALREADY_SIGNED, 305, 409, 0, "this step is signed already")                                \
    X(E_TERMINAL, 306, 403, 0, "the terminal is not registered for this")                          \
    X(E_DUAL_REQUIRED, 307, 403, 0, "a second person must approve this")                           \
    X(E_DUAL_SELF, 308, 403, 0, "the second person must be a different person")                    \
    X(E_STOPPED, 309, 503, 0, "signing is stopped")                                                \
    X(E_POLICY, 310, 400, 0, "the configuration or policy refuses this")                           \
    X(E_NOT_CERTIFIED, 311, 403, 0, "the certification to the agency is not registered")           \
    X(E_RETENTION, 312, 403, 0, "the retention period is not over")                                \
    X(E_HSM, 401, 503, 1, "the token can't do this now")                                           \
    X(E_FORMAT, 501, 400, 0, "the signed object is malformed")                                     \
    X(E_AUDIT_UNAVAILABLE, 701, 503, 1, "the audit trail can't be written or is broken")           \
    X(E_CLOCK, 702, 503, 1, "the clock is not usable")                                             \
    X(E_INTERNAL, 901, 500, 0, "the service failed; see its log")

enum esign_rc {
#define ESIGN_ERROR_ENUM(name, number, http, retryable, text) ESIGN_##name = number,
    ESIGN_ERRORS(ESIGN_ERROR_ENUM)
#undef ESIGN_ERROR_ENUM
};

#endif
