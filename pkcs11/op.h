/* The operations of esign-token as they travel in frames (daemon/base/worker/FORMAT.md): between
 * token.c and serve.c, nobody else.  Blob: u32 length, then the bytes; numbers are big endian. */
#pragma once

#include "pkcs11/token.h"

enum token_op {
    TOKEN_OP_INFO = 1,     /* (empty) -> blobs label serial manufacturer model firmware, u32 room */
    TOKEN_OP_GENERATE = 2, /* u8 algorithm, key id, blob label -> SubjectPublicKeyInfo */
    TOKEN_OP_PUBLIC_KEY = 3, /* key id -> SubjectPublicKeyInfo */
    TOKEN_OP_SIGN = 4,       /* key id, blob digest -> value */
    TOKEN_OP_RENEW = 5,      /* u32 milliseconds -> (empty); worker.c does it, it needs no token */
    TOKEN_OP_OFFER = 6,      /* u8 algorithm -> (empty) */
    TOKEN_OP_MAKE_KEK = 7,   /* u8 algorithm, key id, blob label -> u8 wrap, u8 guarded */
    TOKEN_OP_GENERATE_WRAPPED = 8, /* u8 wrap, kek id, u8 algorithm -> blob SPKI, blob wrapped */
    TOKEN_OP_SIGN_WRAPPED = 9,     /* u8 wrap, kek id, u8 algorithm, blob wrapped, blob SPKI, blob
                                      digest -> value */
};

enum { TOKEN_LABEL_MAX = 64, TOKEN_DIGEST_MAX = 64 };
