/* The operations of esign-hash as they travel in frames: between hash.c and service.c, nobody else.
 */
#pragma once

#include "hash/hash.h"

enum hash_op {
    HASH_OP_MAKE = 1, /* blob secret -> blob PHC string */
    HASH_OP_VERIFY =
        2, /* blob secret, blob PHC string (empty: dummy) -> u8 1 if it belongs to it */
};
