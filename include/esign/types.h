/* The types of libesign.  All structs with members are filled by the caller, zero first
 * (`struct esign_request r = {0};`), and are only read during the call; everything else is opaque.
 *
 * Strings are UTF-8.  NULL means "not given" wherever a member is not said to be required. */
#ifndef ESIGN_TYPES_H
#define ESIGN_TYPES_H

#include "esign/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A connection to one esignd.  May be used by several threads; calls are then made one after the
 * other.  Source: requirements 3.1 (App). */
struct esign;

/* What the daemon answered. */
struct esign_result;

/* The continuous period in which one signer signs: the first signing with all components, each
 * further one with the password.  Holds its handle in locked memory.  Source: requirements 3.4. */
struct esign_session;

/* Why a call failed.  Made by the caller with esign_error_new(), filled by each call that fails. */
struct esign_error;

/* The components of one person.  The password is only borrowed; the library keeps no copy.
 * Source: 21 CFR 11.200(a)(1). */
struct esign_components {
    const char *user_id;  /* identification code; required, but from the second signing of a
                             session on it is better NULL, as the policy says */
    const char *password; /* bytes, not necessarily NUL-terminated; required */
    size_t password_len;
};

/* A record: either its exact bytes or their digest.  Source: 21 CFR 11.70. */
struct esign_record {
    const char *type, *id, *version; /* required to sign; what it must be to validate */
    const char *media_type;          /* NULL: application/octet-stream */
    const void *content;             /* NULL: sha256 and length are used */
    size_t content_len;
    const char *sha256; /* 64 lower-case hexadecimal digits */
    uint64_t length;    /* bytes of the record that has this digest */
};

#define ESIGN_KEY_MAX 120

/* What shall be signed, with which meaning, by whom.  Source: 21 CFR 11.50(a). */
struct esign_request {
    struct esign_record record;
    const char *meaning; /* code from the catalogue; required */
    const char *plan;    /* NULL: "single" */
    const char *step;
    const char *signer; /* user id of the only person who may sign this */
    const char *reason;
    const char *comment;
    /* 1 to ESIGN_KEY_MAX printable ASCII characters that name this request among all of the caller:
     * as long as the daemon keeps it (24 h) the same request with the same key gets the first
     * answer, and no second ticket or signature is made.  NULL: each request is a new one. */
    const char *idempotency_key;
    const struct esign_session *session; /* for esign_sign(); NULL: a signing on its own */
};

/* Who opens a session, and where. */
struct esign_opening {
    struct esign_components components; /* all */
    /* For an application that serves many people: where the signer sits.  A second session of the
     * same terminal ends the first.  NULL: not told; at a registered terminal always so. */
    const char *terminal;
    /* "connection": the session also ends when the caller has had no connection for a time
     * ("absent_s" of the reply); a connection is kept by esign_session_keep().  NULL: connections
     * don't matter. */
    const char *presence;
};

/* The signer's decision on a ticket that was shown. */
struct esign_authorisation {
    const char *ticket;         /* required */
    const char *nonce;          /* "nonce" of the ticket as it was shown; required */
    const char *presented_hash; /* "record.hash" of what the signer saw; required */
    struct esign_components components;
    const struct esign_session *session; /* NULL: a signing on its own */
    const char *idempotency_key;         /* as in struct esign_request */
    bool card; /* the caller can have the signer's own card answer: esign_ticket_value() */
};

/* What the signer's own card has signed. */
struct esign_value {
    const char *ticket;       /* required */
    const char *signature_id; /* of what esign_ticket_authorise() gave; required */
    const void *value;        /* PKCS#1 v1.5 value, or ECDSA-Sig-Value in DER; required */
    size_t value_len;
    const struct esign_session *session; /* of the authorisation; NULL: there was none */
};

/* Which part of a list. */
struct esign_ticket_query {
    const char *signer; /* NULL: all that the caller may see */
    const char *after;  /* "next" of the previous part; NULL: from the start */
    unsigned limit;     /* 0: the daemon's choice */
};

struct esign_signature_query {
    const char *record_type, *record_id, *signer; /* each NULL: any */
    const char *after;
    unsigned limit;
};

/* A signature to be judged. */
struct esign_validation {
    const void *signature; /* CMS SignedData, DER; required */
    size_t signature_len;
    struct esign_record record; /* content or sha256; type, id, version: what it is said to be */
};

#endif
