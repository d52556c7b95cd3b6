/* The parts of a certificate that the files of ca/ share. */
#pragma once

#include "ca/ca.h"

#include "base/cleanup.h"

enum { CA_KEY_ID_LEN = 20 };

/* The subject's Name in DER, appended to out.  ESIGN_E_PROTO: field names the member. */
enum esign_rc ca_put_subject(struct buf *out, const struct ca_certificate *c,
                             struct fault *f) MUST_CHECK;

/* The key identifier of a SubjectPublicKeyInfo. */
enum esign_rc ca_key_identifier(struct bytes spki, uint8_t ret[CA_KEY_ID_LEN],
                                struct fault *f) MUST_CHECK;

/* The explicit [3] with all extensions, appended to out. */
void ca_put_extensions(struct buf *out, const struct ca_certificate *c,
                       const uint8_t subject_key_id[CA_KEY_ID_LEN],
                       const uint8_t issuer_key_id[CA_KEY_ID_LEN]);
