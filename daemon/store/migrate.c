#include "store/migrate.h"

#include "base/encode.h"

static void migration_hash(const struct store_migration *m, char ret[2 * SHA256_LEN + 1])
{
    uint8_t hash[SHA256_LEN];
    bytes_sha256(bytes_of_str(m->sql), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof hash), ret);
}

/* Whether the file is new (no tables), and that it is ours if not. */
static enum esign_rc identify(sqlite3 *db, bool *ret_new, struct fault *f)
{
    int64_t id = 0;
    int64_t tables = 0;
    enum esign_rc rc = store_query_int(db, "PRAGMA application_id", 0, &id, f);
    if (!rc)
        rc = store_query_int(db, "SELECT count(*) FROM sqlite_schema", 0, &tables, f);
    if (rc)
        return rc;
    if (tables > 0 && id != STORE_APPLICATION_ID)
        return fault_set(f, ESIGN_E_AUDIT_UNAVAILABLE, "the file is not a store of esignd");
    *ret_new = tables == 0;
    return ESIGN_OK;
}

static enum esign_rc check_applied(sqlite3 *db, const struct store_migration *migrations,
                                   size_t count, int64_t *ret_version, struct fault *f)
{
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    enum esign_rc rc =
        store_prepare(db, "SELECT version, sha256 FROM meta ORDER BY version", &st, f);
    if (rc)
        return rc;
    int64_t version = 0;
    int step;
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        version++;
        if (sqlite3_column_int64(st, 0) != version)
            return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered",
                                "schema version %lld is missing in the store", (long long)version);
        if (version > (int64_t)count)
            return fault_set(f, ESIGN_E_AUDIT_UNAVAILABLE,
                             "the store has schema %lld, newer than this program's %zu",
                             (long long)version, count);
        char hash[2 * SHA256_LEN + 1];
        migration_hash(&migrations[version - 1], hash);
        if (!bytes_equal(store_column(st, 1), bytes_of_str(hash)))
            return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered",
                                "schema step %s of the store is not this program's",
                                migrations[version - 1].name);
    }
    if (step != SQLITE_DONE)
        return store_fault(db, "store: schema", f);
    *ret_version = version;
    return ESIGN_OK;
}

static enum esign_rc record(sqlite3 *db, const struct store_migration *m, struct fault *f)
{
    CLEANUP(sqlite3_finalize_p) sqlite3_stmt *st = NULL;
    enum esign_rc rc =
        store_prepare(db, "INSERT INTO meta(version, name, sha256) VALUES(?1, ?2, ?3)", &st, f);
    if (rc)
        return rc;
    char hash[2 * SHA256_LEN + 1];
    migration_hash(m, hash);
    if (sqlite3_bind_int(st, 1, m->version) || store_bind_text(st, 2, m->name) ||
        store_bind_text(st, 3, hash) || sqlite3_step(st) != SQLITE_DONE)
        return store_fault(db, "store: schema", f);
    return ESIGN_OK;
}

static enum esign_rc apply(sqlite3 *db, const struct store_migration *m, struct fault *f)
{
    enum esign_rc rc = store_exec(db, "BEGIN IMMEDIATE", f);
    if (rc)
        return rc;
    rc = store_exec(db, m->sql, f);
    if (!rc)
        rc = record(db, m, f);
    if (!rc)
        rc = store_exec(db, "PRAGMA application_id=0x45534744; COMMIT", f);
    /* On a failure SQLite may have rolled back by itself; then there is nothing more to undo. */
    if (rc && !sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

enum esign_rc store_migrate(sqlite3 *db, const struct store_migration *migrations, size_t count,
                            struct fault *f)
{
    bool empty = false;
    enum esign_rc rc = identify(db, &empty, f);
    int64_t version = 0;
    if (!rc && !empty)
        rc = check_applied(db, migrations, count, &version, f);
    for (size_t i = (size_t)version; !rc && i < count; i++)
        rc = apply(db, &migrations[i], f);
    return rc;
}
