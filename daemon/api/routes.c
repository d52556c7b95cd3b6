#include "api/routes.h"

#include "api/handlers.h"

enum {
    PEER_TERMINAL = API_PEER_TERMINAL,
    PEER_OWNER = API_PEER_TERMINAL | API_PEER_ROOT,
    PEER_BOTH = API_PEER_APPLICATION | API_PEER_TERMINAL,
    PEER_ANY = API_PEER_APPLICATION | API_PEER_TERMINAL | API_PEER_ROOT,
    BODY_RECORD = SIGN_RECORD_MAX / 3 * 4 + 64 * 1024, /* a record in base64 and its members */
    BODY_VALIDATION = BODY_RECORD + 128 * 1024,
};

#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define FIELDS(name) .fields = name, .field_count = COUNT(name)
#define QUERY(name)  .query = name, .query_count = COUNT(name)

static const struct json_field fields_init[] = {
    {"organisation", JSON_FIELD_STR, true, 64},
    {"ca_name", JSON_FIELD_STR, true, 64},
    {"officers", JSON_FIELD_ARRAY, true, 8},
    {"terminal", JSON_FIELD_OBJECT, true, 0},
};

static const struct json_field fields_approval[] = {
    {"action", JSON_FIELD_STR, true, 64},
    {"reason", JSON_FIELD_STR, true, 500},
    {"params", JSON_FIELD_OBJECT, true, 0},
};

static const struct json_field fields_reason[] = {{"reason", JSON_FIELD_STR, true, 500}};
static const struct json_field fields_reason_optional[] = {{"reason", JSON_FIELD_STR, false, 500}};

static const struct json_field fields_token_test[] = {
    {"report", JSON_FIELD_OBJECT, true, 0},
    {"reason", JSON_FIELD_STR, false, 500},
};

static const struct json_field fields_activate[] = {
    {"receipt", JSON_FIELD_STR, true, 64},
    {"secret", JSON_FIELD_STR, true, 64},
    {"password", JSON_FIELD_STR, true, SECRET_MAX},
    {"accept_statement", JSON_FIELD_OBJECT, true, 0},
    {"algorithm", JSON_FIELD_STR, false, 16},
};

static const struct json_field fields_password[] = {
    {"password", JSON_FIELD_STR, true, SECRET_MAX},
};

static const struct json_field fields_password_set[] = {
    {"receipt", JSON_FIELD_STR, true, 64},
    {"secret", JSON_FIELD_STR, true, 64},
    {"password", JSON_FIELD_STR, true, SECRET_MAX},
};

static const struct json_field fields_ticket[] = {
    {"record", JSON_FIELD_OBJECT, true, 0},  {"meaning", JSON_FIELD_STR, true, 64},
    {"plan", JSON_FIELD_STR, false, 64},     {"step", JSON_FIELD_STR, false, 64},
    {"signer", JSON_FIELD_STR, false, 64},   {"reason", JSON_FIELD_STR, false, 500},
    {"comment", JSON_FIELD_STR, false, 500},
};

static const struct json_field fields_authorise[] = {
    {"nonce", JSON_FIELD_STR, true, 64},
    {"presented_hash", JSON_FIELD_STR, true, 64},
    {"session", JSON_FIELD_STR, false, SESSION_HANDLE_LEN},
    {"terminal", JSON_FIELD_STR, false, SESSION_NAME_MAX},
    {"card", JSON_FIELD_BOOL, false, 0},
};

enum { VALUE_TEXT_MAX = TOKEN_SIGNATURE_MAX / 3 * 4 + 4 };

static const struct json_field fields_value[] = {
    {"signature_id", JSON_FIELD_STR, true, SITE_ID_MAX},
    {"value", JSON_FIELD_STR, true, VALUE_TEXT_MAX},
    {"session", JSON_FIELD_STR, false, SESSION_HANDLE_LEN},
    {"terminal", JSON_FIELD_STR, false, SESSION_NAME_MAX},
};

static const struct json_field fields_card_test[] = {
    {"challenge", JSON_FIELD_STR, false, 64},
    {"value", JSON_FIELD_STR, false, VALUE_TEXT_MAX},
};

/* As for a ticket, and for its authorisation. */
static const struct json_field fields_sign[] = {
    {"record", JSON_FIELD_OBJECT, true, 0},
    {"meaning", JSON_FIELD_STR, true, 64},
    {"plan", JSON_FIELD_STR, false, 64},
    {"step", JSON_FIELD_STR, false, 64},
    {"signer", JSON_FIELD_STR, false, 64},
    {"reason", JSON_FIELD_STR, false, 500},
    {"comment", JSON_FIELD_STR, false, 500},
    {"session", JSON_FIELD_STR, false, SESSION_HANDLE_LEN},
    {"terminal", JSON_FIELD_STR, false, SESSION_NAME_MAX},
};

static const struct json_field fields_session_open[] = {
    {"presence", JSON_FIELD_STR, false, 16},
    {"terminal", JSON_FIELD_STR, false, SESSION_NAME_MAX},
};

static const struct json_field fields_session_close[] = {
    {"session", JSON_FIELD_STR, true, SESSION_HANDLE_LEN},
    {"terminal", JSON_FIELD_STR, false, SESSION_NAME_MAX},
};

static const struct json_field fields_validation[] = {
    {"signature", JSON_FIELD_STR, true, 128 * 1024},
    {"record", JSON_FIELD_OBJECT, true, 0},
};

static const struct api_query_field query_list[] = {
    {"limit", API_QUERY_NUMBER, HANDLER_LIST_MAX},
    {"after", API_QUERY_ID, 0},
};

static const struct api_query_field query_approvals[] = {
    {"state", API_QUERY_ID, 0},
    {"limit", API_QUERY_NUMBER, HANDLER_LIST_MAX},
    {"after", API_QUERY_ID, 0},
};

static const struct api_query_field query_tickets[] = {
    {"signer", API_QUERY_ID, 0},
    {"state", API_QUERY_ID, 0},
    {"limit", API_QUERY_NUMBER, HANDLER_LIST_MAX},
    {"after", API_QUERY_ID, 0},
};

static const struct api_query_field query_signatures[] = {
    {"record_type", API_QUERY_LINE, 128}, {"record_id", API_QUERY_LINE, 128},
    {"signer", API_QUERY_ID, 0},          {"limit", API_QUERY_NUMBER, HANDLER_LIST_MAX},
    {"after", API_QUERY_ID, 0},
};

static const struct api_query_field query_entries[] = {
    {"after", API_QUERY_NUMBER, 0},
    {"limit", API_QUERY_NUMBER, 1000},
    {"last", API_QUERY_NUMBER, 1000},
};

static const struct api_query_field query_export[] = {
    {"after", API_QUERY_NUMBER, 0},
    {"limit", API_QUERY_NUMBER, 100000},
};

static const struct api_query_field query_seq[] = {{"seq", API_QUERY_NUMBER, 0}};

const struct api_route api_routes[] = {
    {"GET", "/v1/status", handle_status, PEER_ANY, API_STATE_ANY,
     .summary = "State of the service."},
    {"GET", "/v1/health", handle_health, PEER_ANY, API_STATE_ANY,
     .summary = "Whether the service can sign now, check by check."},
    {"GET", "/v1/live", handle_live, PEER_ANY, API_STATE_ANY,
     .summary = "Whether a request is answered; asks no other part."},
    {"GET", "/metrics", handle_metrics, PEER_ANY, API_STATE_ANY,
     .summary = "Measurements for monitors (Prometheus text format)."},
    {"POST", "/v1/init", handle_init, API_PEER_ROOT, API_STATE_UNINITIALISED,
     .body_max = API_BODY_SMALL, FIELDS(fields_init),
     .summary = "First start: keys, issuing certificate, policy, officers, first terminal."},
    {"GET", "/v1/ca", handle_ca, PEER_BOTH, API_STATE_READY, .right = "read",
     .summary = "Issuing certificate and public key of the audit trail."},
    {"GET", "/v1/tokens", handle_tokens, PEER_BOTH, API_STATE_READY, .right = "read",
     .summary = "Tokens and their state."},
    {"GET", "/v1/tokens/tests", handle_token_test_list, PEER_OWNER, API_STATE_READY,
     QUERY(query_list), .summary = "Recorded tests of tokens."},
    {"POST", "/v1/tokens/tests", handle_token_test, PEER_OWNER, API_STATE_READY,
     .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED, FIELDS(fields_token_test),
     .summary = "Record the report of a test of a token."},
    {"GET", "/v1/tokens/tests/{id}", handle_token_test_get, PEER_OWNER, API_STATE_READY,
     .summary = "One of them, with its report."},
    {"GET", "/v1/applications", handle_applications, PEER_TERMINAL, API_STATE_READY,
     QUERY(query_list), .summary = "Registered applications."},
    {"GET", "/v1/terminals", handle_terminals, PEER_TERMINAL, API_STATE_READY, QUERY(query_list),
     .summary = "Registered terminals."},
    {"GET", "/v1/meanings", handle_meanings, PEER_BOTH, API_STATE_READY, QUERY(query_list),
     .summary = "Meanings that a signature can have."},
    {"GET", "/v1/plans", handle_plans, PEER_BOTH, API_STATE_READY, QUERY(query_list),
     .summary = "Signature plans."},
    {"GET", "/v1/statements", handle_statements, PEER_BOTH, API_STATE_READY, QUERY(query_list),
     .summary = "The accountability statement in force."},
    {"GET", "/v1/approvals", handle_approval_list, PEER_TERMINAL, API_STATE_OFFICERS,
     QUERY(query_approvals), .summary = "Actions of two persons, asked for or decided."},
    {"POST", "/v1/approvals", handle_approval_request, PEER_TERMINAL, API_STATE_OFFICERS,
     .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED, FIELDS(fields_approval),
     .summary = "Ask for an action that a second person must approve."},
    {"GET", "/v1/approvals/{id}", handle_approval_get, PEER_TERMINAL, API_STATE_OFFICERS,
     .summary = "One action of two persons."},
    {"POST", "/v1/approvals/{id}/approve", handle_approval_approve, PEER_TERMINAL,
     API_STATE_OFFICERS, .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED,
     FIELDS(fields_reason_optional), .summary = "Approve it as a second person."},
    {"POST", "/v1/approvals/{id}/decline", handle_approval_decline, PEER_TERMINAL,
     API_STATE_OFFICERS, .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED,
     FIELDS(fields_reason), .summary = "Decline it as a second person."},
    {"GET", "/v1/signers", handle_signer_list, PEER_BOTH, API_STATE_READY, .right = "read",
     QUERY(query_list), .summary = "Signers and their states."},
    {"GET", "/v1/signers/{id}", handle_signer_get, PEER_BOTH, API_STATE_READY, .right = "read",
     .summary = "One signer, by identification code."},
    {"POST", "/v1/signers/{id}/activate", handle_signer_activate, PEER_TERMINAL, API_STATE_READY,
     .body_max = API_BODY_SMALL, FIELDS(fields_activate),
     .summary = "A new signer sets the password in person and accepts the statement."},
    {"POST", "/v1/signers/{id}/revoke", handle_signer_revoke, PEER_TERMINAL, API_STATE_READY,
     .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED, FIELDS(fields_reason),
     .summary = "Revoke a signer at once."},
    {"POST", "/v1/signers/{id}/unlock", handle_signer_unlock, PEER_TERMINAL, API_STATE_READY,
     .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED, FIELDS(fields_reason),
     .summary = "Unlock a signer who was locked by failures."},
    {"POST", "/v1/signers/{id}/unlock-officer", handle_signer_unlock_officer, API_PEER_ROOT,
     API_STATE_READY, .body_max = API_BODY_SMALL, FIELDS(fields_reason),
     .summary = "Unlock a locked officer as root, when no officer is left who could."},
    {"GET", "/v1/signers/{id}/history", handle_signer_history, PEER_TERMINAL, API_STATE_READY,
     .summary = "Audit entries about a signer."},
    {"POST", "/v1/signers/{id}/password", handle_password_change, PEER_TERMINAL, API_STATE_READY,
     .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED, FIELDS(fields_password),
     .summary = "Change the own password with all components."},
    {"POST", "/v1/signers/{id}/set-password", handle_password_set, PEER_TERMINAL, API_STATE_READY,
     .body_max = API_BODY_SMALL, FIELDS(fields_password_set),
     .summary = "Set a new password in person, after two officers have reset the old one."},
    {"POST", "/v1/signers/{id}/must-change", handle_must_change, PEER_TERMINAL, API_STATE_READY,
     .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED, FIELDS(fields_reason),
     .summary = "Demand that a signer changes the password before anything else."},
    {"POST", "/v1/signers/{id}/card-test", handle_card_test, PEER_TERMINAL, API_STATE_READY,
     .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED, FIELDS(fields_card_test),
     .summary = "Test the own card: ask for a challenge, then give the card's answer."},
    {"POST", "/v1/signers/{id}/card-revoke", handle_card_revoke, PEER_TERMINAL, API_STATE_READY,
     .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED, FIELDS(fields_reason),
     .summary = "End a signer's card at once."},
    {"POST", "/v1/sessions", handle_session_open, PEER_BOTH, API_STATE_READY, .right = "entry_app",
     .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED, FIELDS(fields_session_open),
     .summary = "Open a session of a signer with all components."},
    {"POST", "/v1/sessions/close", handle_session_close, PEER_BOTH, API_STATE_READY,
     .body_max = API_BODY_SMALL, FIELDS(fields_session_close), .summary = "Close a session."},
    {"POST", "/v1/backups", handle_backup, PEER_OWNER, API_STATE_READY, .body_max = API_BODY_SMALL,
     .components = API_COMPONENTS_REQUIRED, FIELDS(fields_reason),
     .summary = "Copy the store, while it is in use, to the directory of backups."},
    {"GET", "/v1/tickets", handle_ticket_list, PEER_BOTH, API_STATE_READY, .right = "ticket",
     QUERY(query_tickets), .summary = "Signing requests."},
    {"POST", "/v1/tickets", handle_ticket_create, PEER_BOTH, API_STATE_READY, .right = "ticket",
     .body_max = BODY_RECORD, FIELDS(fields_ticket), .takes_key = true,
     .summary = "Ask for a signature."},
    {"GET", "/v1/tickets/{id}", handle_ticket_get, PEER_BOTH, API_STATE_READY, .right = "ticket",
     .summary = "One signing request."},
    {"POST", "/v1/tickets/{id}/authorise", handle_ticket_authorise, PEER_BOTH, API_STATE_READY,
     .right = "ticket", .body_max = API_BODY_SMALL, .components = API_COMPONENTS_SIGNING,
     FIELDS(fields_authorise), .takes_key = true,
     .summary = "Authorise it with the components that are due; the reply is the signature, or "
                "what the signer's own card must sign."},
    {"POST", "/v1/tickets/{id}/value", handle_ticket_value, PEER_BOTH, API_STATE_READY,
     .right = "ticket", .body_max = API_BODY_SMALL, FIELDS(fields_value),
     .summary = "Give what the signer's own card has signed; the reply is the signature."},
    {"POST", "/v1/tickets/{id}/decline", handle_ticket_decline, PEER_BOTH, API_STATE_READY,
     .right = "ticket", .body_max = API_BODY_SMALL, .components = API_COMPONENTS_REQUIRED,
     FIELDS(fields_reason), .summary = "Decline it with all components."},
    {"POST", "/v1/tickets/{id}/cancel", handle_ticket_cancel, PEER_BOTH, API_STATE_READY,
     .right = "ticket", .body_max = API_BODY_SMALL, FIELDS(fields_reason),
     .summary = "Cancel it as the one who asked."},
    {"GET", "/v1/signatures", handle_signature_list, PEER_BOTH, API_STATE_READY,
     QUERY(query_signatures),
     .summary = "Signatures, by record or by signer; its own without the right to read."},
    {"POST", "/v1/signatures", handle_sign, PEER_BOTH, API_STATE_READY, .right = "entry_app",
     .body_max = API_BODY_SMALL, .components = API_COMPONENTS_SIGNING, FIELDS(fields_sign),
     .takes_key = true, .summary = "Ticket and authorisation in one call."},
    {"GET", "/v1/signatures/{id}", handle_signature_get, PEER_BOTH, API_STATE_READY,
     .summary = "One signature."},
    {"GET", "/v1/signatures/{id}/proof", handle_signature_proof, PEER_BOTH, API_STATE_READY,
     .summary = "Its audit entry with an offline proof (C2SP tlog-proof)."},
    {"GET", "/v1/signatures/{id}/manifestation", handle_signature_manifestation, PEER_BOTH,
     API_STATE_READY, .summary = "The block for every form for people."},
    {"POST", "/v1/validations", handle_validation, PEER_BOTH, API_STATE_READY, .right = "verify",
     .body_max = BODY_VALIDATION, FIELDS(fields_validation),
     .summary = "The verdict on a signature and a record."},
    {"GET", "/v1/audit/entries", handle_audit_entries, PEER_BOTH, API_STATE_READY, .right = "read",
     QUERY(query_entries), .summary = "Entries of the audit trail."},
    {"GET", "/v1/audit/entries/{id}", handle_audit_entry, PEER_BOTH, API_STATE_READY,
     .right = "read", .summary = "The exact bytes of one entry."},
    {"GET", "/v1/audit/checkpoint", handle_audit_checkpoint, PEER_BOTH, API_STATE_READY,
     .right = "read", .summary = "The newest signed checkpoint."},
    {"GET", "/v1/audit/proof", handle_audit_proof, PEER_BOTH, API_STATE_READY, .right = "read",
     QUERY(query_seq), .summary = "An offline proof of one entry."},
    {"GET", "/v1/audit/verification", handle_audit_verification, PEER_BOTH, API_STATE_READY,
     .right = "read", .summary = "Recompute the whole trail."},
    {"GET", "/v1/audit/export", handle_audit_export, PEER_BOTH, API_STATE_READY, .right = "read",
     QUERY(query_export), .summary = "Entries as JSON Lines, byte for byte."},
};

const size_t api_route_count = COUNT(api_routes);
