/* The reserve: room on the disk that is given up when the disk is full, so that even that can be
 * entered in the audit trail. */
#pragma once

#include <stdbool.h>

enum { STORE_RESERVE_LEN = 262144 };

/* Whether the file of that path has its room, made now if need be. */
bool store_make_reserve(const char *path);

/* Give the room up. */
void store_drop_reserve(const char *path);
