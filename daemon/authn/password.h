/* The rules for a new password: long enough, not made of the identification code, not common.  No
 * rules of composition.  Source: 21 CFR 11.300(b); SP 800-63B-4 (requirements 2.3). */
#pragma once

#include "base/json.h"
#include "base/secret.h"

enum {
    AUTHN_WORD_MIN = 4,    /* bytes of a word of the block list: shorter ones are in everything */
    AUTHN_REST_MIN = 6,    /* characters that must be left without user id and listed words */
    AUTHN_DISTINCT_MIN = 5 /* different characters */
};

struct authn_password_rules {
    const char *user_id;
    const char *organisation; /* its name and the words of it are no secret; NULL: not known */
    int64_t min_chars;        /* policy: password.min_chars */
    const json_t *blocklist;  /* array of strings, lower case; NULL: none */
};

/* Check a new password.  Words are found in any case (of ASCII) and with spaces and punctuation
 * between their letters; what is left beside them must be AUTHN_REST_MIN characters.
 * ESIGN_E_PASSWORD_POLICY: "short", "same_as_id", "blocklist", or (field) not a line of text.
 * Source: 21 CFR 11.300(b). */
enum esign_rc authn_password_check(const struct secret *password,
                                   const struct authn_password_rules *rules,
                                   struct fault *f) MUST_CHECK;
