/* The operations of esign-hash as they travel in frames (daemon/base/worker/FORMAT.md): between
 * hash.c and service.c, nobody else.  Blob: u32 length, then the bytes. */
#pragma once

#include "hash/hash.h"

enum hash_op {
    HASH_OP_MAKE = 1,     /* blob secret -> PHC string */
    HASH_OP_VERIFY = 2,   /* blob PHC string (empty: none), blob secret -> u8: 1 if it belongs to
                             it, then the key if it is one of HASH_OP_MAKE_KEY */
    HASH_OP_MAKE_KEY = 3, /* blob secret -> blob PHC string, key */
};
