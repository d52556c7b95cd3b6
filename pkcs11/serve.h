/* What a worker of esign-token can be asked: one row an operation. */
#pragma once

#include "base/reader.h"
#include "pkcs11/key.h"
#include "pkcs11/op.h"

/* A token that is open, with the keys found on it: all that an operation works with. */
struct pkcs11_desk {
    struct pkcs11_session session;
    struct pkcs11_keys keys; /* handles of this session; emptied with it */
    unsigned room;           /* for how many workers the token has room; 0: no limit */
};

/* fresh: done in a session that has just been opened, so that an id in use is seen.
 * run: reads its body from r to the end, and appends its answer to reply.  ESIGN_E_PROTO: the body
 * is malformed; ESIGN_E_NOT_FOUND: no such key, then it is run once more in a fresh session. */
struct pkcs11_operation {
    enum token_op op;
    bool fresh;
    enum esign_rc (*run)(struct pkcs11_desk *desk, struct reader *r, struct buf *reply,
                         struct fault *f);
};

/* The row of an operation's number; NULL: there is none.
 * Source: pkcs11/op.h. */
const struct pkcs11_operation *pkcs11_operation_find(unsigned op);
