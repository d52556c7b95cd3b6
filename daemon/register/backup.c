/* A copy of the store for a backup, made by esignd and entered in the trail. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "register/register_internal.h"
#include "store/snapshot.h"

enum { BACKUP_PATH_SIZE = 4096, BACKUP_SPARE = 64 * 1024 * 1024, BACKUP_CHUNK = 1 << 16 };

struct backup {
    char id[SITE_ID_MAX];
    char path[BACKUP_PATH_SIZE];
    int64_t mark, bytes;
    struct audit_head head;
    char sha256[2 * SHA256_LEN + 1];
};

static enum esign_rc backup_fail(const char *what, const char *path, struct fault *f)
{
    int cause = errno;

    (void)fault_field(f, ESIGN_E_POLICY, "backup.directory", "%s %.100s: %.40s", what, path,
                      strerror(cause));
    f->cause = (unsigned long)cause;
    return ESIGN_E_POLICY;
}

static enum esign_rc backup_name(const char *directory, struct backup *b, struct fault *f)
{
    site_new_id('B', b->id);
    int len = snprintf(b->path, sizeof(b->path), "%s/%s.db", directory, b->id);

    if (len < 0 || len >= BACKUP_PATH_SIZE)
        return fault_field(f, ESIGN_E_POLICY, "backup.directory", "the path is too long");
    return ESIGN_OK;
}

/* The copy must leave room: on the store's disk a full one stops every signing. */
static enum esign_rc backup_check_room(struct site *s, const char *directory, struct fault *f)
{
    const char *store = config_str(site_config(s), "store.path");
    struct statvfs disk;
    struct stat st;

    if (statvfs(directory, &disk) != 0)
        return backup_fail("can't use", directory, f);
    if (stat(store, &st) != 0)
        return backup_fail("can't look at", store, f);
    int64_t room = (int64_t)(disk.f_bavail * disk.f_frsize);
    if (room >= (int64_t)st.st_size + BACKUP_SPARE)
        return ESIGN_OK;
    return fault_field(f, ESIGN_E_POLICY, "backup.directory",
                       "%.100s has %lld MiB left, the copy needs %lld and 64 to spare", directory,
                       (long long)room >> 20, (long long)st.st_size >> 20);
}

static enum esign_rc backup_hash(struct backup *b, struct fault *f)
{
    CLEANUP(close_p) int fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CLEANUP(free_p) uint8_t *chunk = malloc(BACKUP_CHUNK);
    uint8_t hash[SHA256_LEN];
    ssize_t got = -1;

    if (fd < 0)
        return backup_fail("can't read", b->path, f);
    if (!ctx || !chunk || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a hash");
    while ((got = read(fd, chunk, BACKUP_CHUNK)) > 0) {
        b->bytes += got;
        if (EVP_DigestUpdate(ctx, chunk, (size_t)got) != 1)
            return fault_set(f, ESIGN_E_INTERNAL, "the copy can't be hashed");
    }
    if (got < 0)
        return backup_fail("can't read", b->path, f);
    if (EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        return fault_set(f, ESIGN_E_INTERNAL, "the copy can't be hashed");
    encode_hex(bytes_of(hash, sizeof(hash)), b->sha256);
    return ESIGN_OK;
}

/* The copy; after a failure there is none. */
static enum esign_rc backup_make(struct site *s, struct backup *b, struct fault *f)
{
    enum esign_rc rc = store_snapshot(site_store(s), b->path, &b->mark, &b->head.size, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = audit_head_at(site_audit(s), b->head.size, &b->head, f);
    if (rc == ESIGN_OK)
        rc = backup_hash(b, f);
    if (rc != ESIGN_OK)
        (void)unlink(b->path); /* the first failure is the one that is told */
    return rc;
}

static json_t *backup_row(const struct backup *b)
{
    char root[2 * SHA256_LEN + 1];

    encode_hex(bytes_of(b->head.root, SHA256_LEN), root);
    return json_pack("{s:s, s:s, s:I, s:I, s:{s:I, s:s}, s:s}", "backup", b->id, "sha256",
                     b->sha256, "bytes", (json_int_t)b->bytes, "mark", (json_int_t)b->mark, "head",
                     "size", (json_int_t)b->head.size, "root", root, "version", ESIGN_VERSION);
}

static enum esign_rc backup_enter(struct site *s, const struct register_origin *origin,
                                  const struct authn_person *officer, const struct backup *b,
                                  const char *reason, json_t *row, struct fault *f)
{
    char object[SITE_ID_MAX + 8];
    struct store_change change = {0};
    struct store_receipt receipt;
    struct audit_act act = register_act(origin, officer, "backup.made", object, reason);

    (void)snprintf(object, sizeof(object), "backup/%s", b->id);
    act.new_value = row;
    site_put(&change, "backup", b->id, row);
    site_guard(&change, "backup", b->id, -1);
    authn_settle_into(officer, &change);
    return site_commit(s, &act, &change, register_later(s), &receipt, f);
}

enum esign_rc register_backup(struct site *s, const struct register_origin *origin,
                              const struct authn_person *officer, const char *reason, json_t **ret,
                              struct fault *f)
{
    const char *directory = config_str(site_config(s), "backup.directory");
    struct backup b = {0};
    enum esign_rc rc = backup_name(directory, &b, f);

    if (rc == ESIGN_OK)
        rc = backup_check_room(s, directory, f);
    if (rc != ESIGN_OK)
        return rc;
    site_checkpoint_now(s); /* as little as possible of the copy is newer than its checkpoint */
    rc = backup_make(s, &b, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p) json_t *row = backup_row(&b);
    rc = row ? backup_enter(s, origin, officer, &b, reason, row, f)
             : fault_set(f, ESIGN_E_INTERNAL, "no memory for a backup");
    if (rc == ESIGN_OK && json_object_set_new(row, "file", json_string(b.path)) != 0)
        rc = fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
    if (rc != ESIGN_OK) {
        (void)unlink(b.path); /* what the trail does not tell of is no backup */
        return rc;
    }
    site_checkpoint_now(s);
    *ret = TAKE(row);
    return ESIGN_OK;
}
