/* What the files of this folder share about an open trail. */
#pragma once

#include "audit/checkpoint.h"
#include "audit/tree.h"

#include <pthread.h>
#include <stdatomic.h>

struct audit {
    struct store *store; /* borrowed */
    char origin[AUDIT_ORIGIN_MAX + 1];
    pthread_mutex_t mutex; /* for tree; never held while a token signs */
    struct audit_tree *tree;
    atomic_flag verifying;
};
