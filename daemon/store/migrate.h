/* Bringing a store's tables to this program's schema. */
#pragma once

#include "store/sqlite.h"

/* One step of the schema, as it stands in schema/NNNN_name.sql. */
struct store_migration {
    int version; /* 1, 2, … without gaps */
    const char *name;
    const char *sql;
};

/* Apply, in order and each in one transaction, the migrations that the file has not seen.
 * ESIGN_E_AUDIT_UNAVAILABLE: not a store of ours, a newer schema, or a migration that was applied
 * with another content. */
enum esign_rc store_migrate(sqlite3 *db, const struct store_migration *migrations, size_t count,
                            struct fault *f) MUST_CHECK;

/* This program's migrations (generated at build from schema/). */
const struct store_migration *store_migrations(size_t *ret_count);
