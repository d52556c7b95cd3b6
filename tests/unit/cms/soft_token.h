/* A token made of OpenSSL keys in this process, a CA and a signer on such tokens, and signatures of
 * theirs: for tests that need no token. */
#pragma once

#include "ca/ca.h"
#include "cms/cms.h"

struct token *soft_token_new(enum token_algorithm algorithm);
void soft_token_free(struct token *t);
void soft_token_spki(const struct token *t, struct buf *ret);
/* From now on its values are wrong. */
void soft_token_spoil(struct token *t);

struct soft_world {
    struct token *ca, *signer;
    enum token_algorithm algorithm;
    int64_t signed_at_s;
    struct buf ca_cert, signer_cert;
};

enum { SOFT_SIGNED_AT_S = 1795352587 }; /* 2026-11-22T13:03:07Z */

/* Signatures are made at SOFT_SIGNED_AT_S, or at signed_at_s; certificates begin a day before. */
void soft_world_init(struct soft_world *w, enum token_algorithm algorithm);
void soft_world_init_at(struct soft_world *w, enum token_algorithm algorithm, int64_t signed_at_s);
void soft_world_done(struct soft_world *w);

/* What may be changed in a signature; NULL and 0: as in a right one. */
struct soft_choice {
    const char *user_id, *printed_name, *record_id, *record_version, *system, *record_hash,
        *meaning_text, *utc;        /* in the envelope */
    const char *envelope;           /* all of it */
    const struct bytes *attributes; /* a SET OF from elsewhere, put beside this value */
    bool no_chain;
};

/* The envelope of a signature of that record. */
void soft_envelope(const struct soft_world *w, struct bytes record,
                   const struct soft_choice *choice, struct buf *ret);
/* The signed attributes, and the whole signature. */
void soft_attributes(const struct soft_world *w, struct bytes record,
                     const struct soft_choice *choice, struct buf *ret);
void soft_sign(const struct soft_world *w, struct bytes record, const struct soft_choice *choice,
               struct buf *ret);
