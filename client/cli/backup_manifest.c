#include "cli/backup_manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/backup_files.h"

enum { MANIFEST_FORMAT = 1, MANIFEST_MAX = 64 * 1024 * 1024 };

#define MANIFEST_NAME "manifest.json"

DEFINE_CLEANUP(FTS *, fts_close)

typedef enum esign_rc (*manifest_fn)(void *ctx, const char *path, const char *name,
                                     struct fault *f);

/* Call fn for each file below directory but the manifest, in the order of their names. */
static int manifest_compare(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static enum esign_rc manifest_walk(const char *directory, manifest_fn fn, void *ctx,
                                   struct fault *f)
{
    char root[PATH_MAX];
    char *const roots[] = {root, NULL};
    enum esign_rc rc = backup_path(root, f, "%s", directory);

    if (rc != ESIGN_OK)
        return rc;
    for (size_t len = strlen(root); len > 1 && root[len - 1] == '/'; len--)
        root[len - 1] = '\0';
    CLEANUP(fts_close_p)
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, manifest_compare);
    if (!tree)
        return backup_failed("can't read", directory, f);
    for (const FTSENT *entry; rc == ESIGN_OK && (entry = fts_read(tree));) {
        if (entry->fts_info == FTS_D || entry->fts_info == FTS_DP)
            continue;
        const char *name = entry->fts_path + strlen(root) + 1;
        if (entry->fts_info != FTS_F)
            return fault_set(f, ESIGN_E_FORMAT, "%.120s is no file that can be read", name);
        if (strcmp(name, MANIFEST_NAME) != 0)
            rc = fn(ctx, entry->fts_path, name, f);
    }
    return rc;
}

static enum esign_rc manifest_add(void *ctx, const char *path, const char *name, struct fault *f)
{
    char sha256[BACKUP_HASH_LEN + 1];
    int64_t bytes = 0;
    enum esign_rc rc = backup_hash_file(path, sha256, &bytes, f);

    if (rc == ESIGN_OK &&
        json_object_set_new(
            ctx, name, json_pack("{s:I, s:s}", "bytes", (json_int_t)bytes, "sha256", sha256)) != 0)
        rc = fault_set(f, ESIGN_E_FORMAT, "the name of %.100s is not UTF-8", name);
    return rc;
}

static enum esign_rc manifest_put(const char *directory, const json_t *manifest, struct fault *f)
{
    CLEANUP(buf_done) struct buf text = buf_new(MANIFEST_MAX);
    char path[PATH_MAX];
    enum esign_rc rc = json_canonical(manifest, &text);

    if (rc != ESIGN_OK)
        return fault_set(f, rc, "the manifest can't be written as JSON");
    buf_put_u8(&text, '\n');
    rc = backup_path(path, f, "%s/" MANIFEST_NAME, directory);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(close_p) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || !backup_put(fd, buf_bytes(&text)) || fsync(fd) != 0)
        return backup_failed("can't write", path, f);
    return backup_sync_directory(directory, f);
}

enum esign_rc backup_manifest_write(const char *directory, json_t *manifest, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *files = json_object();
    CLEANUP(json_decref_p) json_t *again = NULL;
    char now[CLOCK_TEXT];

    clock_format_utc(clock_now_ms(clock_system()), now);
    enum esign_rc rc = manifest_walk(directory, manifest_add, files, f);
    if (rc != ESIGN_OK)
        return rc;
    if (json_object_set_new(manifest, "format", json_integer(MANIFEST_FORMAT)) != 0 ||
        json_object_set_new(manifest, "version", json_string(ESIGN_VERSION)) != 0 ||
        json_object_set_new(manifest, "made", json_string(now)) != 0 ||
        json_object_set(manifest, "files", files) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a manifest");
    rc = manifest_put(directory, manifest, f);
    if (rc == ESIGN_OK)
        rc = backup_manifest_check(directory, json_str(manifest, "kind"), &again, f);
    if (rc == ESIGN_OK && !json_equal(manifest, again))
        rc = fault_set(f, ESIGN_E_FORMAT, "the disk gives another manifest than was written");
    return rc;
}

static enum esign_rc manifest_read(const char *directory, json_t **ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf text = buf_new(MANIFEST_MAX);
    char path[PATH_MAX], chunk[1 << 14];
    size_t got;
    enum esign_rc rc = backup_path(path, f, "%s/" MANIFEST_NAME, directory);

    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(fclose_p) FILE *file = fopen(path, "re");
    if (!file)
        return fault_cause(f, ESIGN_E_FORMAT, (unsigned long)errno,
                           "%.100s has no manifest.json: it is no whole backup", directory);
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_put(&text, bytes_of(chunk, got));
    if (ferror(file) || !buf_ok(&text))
        return backup_failed("can't read", path, f);
    if (json_parse_object(buf_bytes(&text), ret, NULL) != ESIGN_OK)
        return fault_set(f, ESIGN_E_FORMAT, "%.120s is not JSON", path);
    return ESIGN_OK;
}

/* A file that stands there; it is taken out of the copy of the list. */
static enum esign_rc manifest_match(void *ctx, const char *path, const char *name, struct fault *f)
{
    const json_t *expected = json_object_get(ctx, name);
    char sha256[BACKUP_HASH_LEN + 1];
    int64_t bytes = 0;

    if (!expected)
        return fault_field(f, ESIGN_E_FORMAT, "files", "%.120s is not in the manifest", name);
    enum esign_rc rc = backup_hash_file(path, sha256, &bytes, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *wanted = json_str(expected, "sha256");
    if (bytes != json_int(expected, "bytes", -1) || !wanted || strcmp(wanted, sha256) != 0)
        return fault_field(f, ESIGN_E_FORMAT, "files",
                           "%.100s is not the file that the manifest tells of (SHA-256)", name);
    (void)json_object_del(ctx, name); /* it was found there */
    return ESIGN_OK;
}

enum esign_rc backup_manifest_check(const char *directory, const char *kind, json_t **ret,
                                    struct fault *f)
{
    CLEANUP(json_decref_p) json_t *manifest = NULL;
    enum esign_rc rc = manifest_read(directory, &manifest, f);

    if (rc != ESIGN_OK)
        return rc;
    const char *is = json_str(manifest, "kind");
    if (json_int(manifest, "format", 0) != MANIFEST_FORMAT || !is ||
        (kind && strcmp(is, kind) != 0))
        return fault_set(f, ESIGN_E_FORMAT, "%.100s is no backup of a %s of format %d", directory,
                         kind ? kind : "site or token", MANIFEST_FORMAT);
    CLEANUP(json_decref_p) json_t *left = json_copy(json_object_get(manifest, "files"));
    rc = manifest_walk(directory, manifest_match, left, f);
    if (rc == ESIGN_OK && json_object_size(left) > 0)
        rc = fault_field(f, ESIGN_E_FORMAT, "files", "%.120s is missing",
                         json_object_iter_key(json_object_iter(left)));
    if (rc == ESIGN_OK)
        *ret = TAKE(manifest);
    return rc;
}
