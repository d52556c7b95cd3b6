/* No room for the audit entry: nothing is written, nothing acknowledged is lost, and it is told. */
#include "store_fixture.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- a disk that fails at a chosen write or sync of the write-ahead log --------------------------
 */

static struct {
    _Atomic int countdown; /* calls that still succeed */
    _Atomic bool armed, lasting;
    _Atomic bool at_sync; /* else at write */
    const sqlite3_io_methods *real;
    sqlite3_io_methods methods;
    sqlite3_vfs vfs;
    sqlite3_vfs *below;
} disk;

static bool disk_fails(bool sync)
{
    if (!disk.armed || disk.at_sync != sync || atomic_fetch_sub(&disk.countdown, 1) > 0)
        return false;
    disk.armed = disk.lasting;
    return true;
}

static int disk_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    if (disk_fails(false))
        return SQLITE_FULL;
    return disk.real->xWrite(file, data, len, at);
}

static int disk_sync(sqlite3_file *file, int flags)
{
    if (disk_fails(true))
        return SQLITE_IOERR_FSYNC;
    return disk.real->xSync(file, flags);
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    int code = disk.below->xOpen(disk.below, name, file, flags, out);
    if (code == SQLITE_OK && flags & SQLITE_OPEN_WAL && file->pMethods) {
        disk.real = file->pMethods;
        disk.methods = *disk.real;
        disk.methods.xWrite = disk_write;
        disk.methods.xSync = disk_sync;
        file->pMethods = &disk.methods;
    }
    return code;
}

static int disk_install(void **state)
{
    (void)state;
    disk.below = sqlite3_vfs_find(NULL);
    disk.vfs = *disk.below;
    disk.vfs.zName = "failing";
    disk.vfs.pNext = NULL;
    disk.vfs.xOpen = disk_open;
    return sqlite3_vfs_register(&disk.vfs, 1);
}

static void disk_arm(bool at_sync, int countdown, bool lasting)
{
    disk.at_sync = at_sync;
    disk.countdown = countdown;
    disk.lasting = lasting;
    disk.armed = true;
}

/* -------------------------------------------------------------------------------------------------
 */

static void expect_whole(struct fixture *x)
{
    int64_t bad_seq = 0;
    assert_int_equal(store_check(x->store, &bad_seq, &x->fault), ESIGN_OK);
    if (bad_seq != -1)
        fail_msg("entry %lld: %s", (long long)bad_seq, x->fault.detail);
}

static void expect_action(struct fixture *x, int64_t seq, const char *action)
{
    CLEANUP(buf_done) struct buf bytes = buf_new(STORE_ENTRY_MAX);
    CLEANUP(json_decref_p) json_t *entry = NULL;
    assert_int_equal(store_entry(x->store, seq, &bytes, &x->fault), ESIGN_OK);
    assert_int_equal(json_parse_object(buf_bytes(&bytes), &entry, &x->fault), ESIGN_OK);
    assert_string_equal(json_str(entry, "action"), action);
}

static void test_store_commit__full_at_each_write_in_turn__refused_and_entered(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    int refused = 0;
    for (int writes = 0;; writes++) {
        int64_t before = store_size(x->store);
        disk_arm(false, writes, false);
        enum esign_rc rc = fixture_commit(x, "item", "a", "x", -2, NULL);
        disk.armed = false;
        if (rc == ESIGN_OK)
            break;
        refused++;
        assert_int_equal(rc, ESIGN_E_AUDIT_UNAVAILABLE);
        assert_string_equal(x->fault.reason, "full");
        /* The writer goes on after its answer: this one waits for it. */
        struct store_receipt next;
        assert_int_equal(fixture_commit(x, "item", "b", "x", -2, &next), ESIGN_OK);
        assert_int_equal(next.seq, before + 2);
        expect_action(x, before, "store.full");
        expect_action(x, before + 1, "store.room");
        expect_whole(x);
    }
    assert_true(refused > 3);
    fixture_close(x);
    fixture_open(x);
    expect_whole(x);
}

static void test_store_commit__full_for_a_while__goes_on_afterwards(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    struct store_receipt receipt;
    fixture_fill(x, 3);
    disk_arm(false, 1, true);
    for (int i = 0; i < 5; i++)
        assert_int_equal(fixture_commit(x, "item", "a", "x", -1, NULL), ESIGN_E_AUDIT_UNAVAILABLE);
    assert_int_equal(store_size(x->store), 3);
    json_t *body = NULL;
    assert_int_equal(store_get(x->store, "item", "a", &body, NULL, &x->fault), ESIGN_E_NOT_FOUND);
    assert_int_equal(store_get(x->store, "item", "001", &body, NULL, &x->fault), ESIGN_OK);
    json_decref(body);
    disk.armed = false;
    assert_int_equal(fixture_commit(x, "item", "a", "x", -1, &receipt), ESIGN_OK);
    assert_in_range(receipt.seq, 4, 5);
    expect_whole(x);
}

static void test_store_commit__sync_fails__nothing_more_until_reopened(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    fixture_fill(x, 3);
    disk_arm(true, 0, false);
    assert_int_equal(fixture_commit(x, "item", "a", "x", -1, NULL), ESIGN_E_AUDIT_UNAVAILABLE);
    disk.armed = false;
    assert_int_equal(fixture_commit(x, "item", "b", "x", -1, NULL), ESIGN_E_AUDIT_UNAVAILABLE);
    assert_int_equal(store_size(x->store), 3);
    fixture_close(x);
    fixture_open(x);
    assert_in_range(store_size(x->store), 3, 4);
    assert_int_equal(fixture_commit(x, "item", "b", "x", -1, NULL), ESIGN_OK);
    expect_whole(x);
}

static void test_store_commit__file_size_limit__full_until_lifted(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    fixture_fill(x, 3);
    struct rlimit small = {200000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum esign_rc rc = ESIGN_OK;
    int64_t acknowledged = 3;
    while (acknowledged < 1000 && (rc = fixture_commit(x, "item", "a", "x", -2, NULL)) == ESIGN_OK)
        acknowledged++;
    enum esign_rc again = fixture_commit(x, "item", "a", "x", -2, NULL);
    char reason[32];
    (void)snprintf(reason, sizeof reason, "%s", x->fault.reason);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rc, ESIGN_E_AUDIT_UNAVAILABLE);
    assert_int_equal(again, ESIGN_E_AUDIT_UNAVAILABLE);
    assert_string_equal(reason, "full");
    struct store_receipt receipt;
    assert_int_equal(fixture_commit(x, "item", "a", "x", -2, &receipt), ESIGN_OK);
    assert_true(receipt.seq >= acknowledged);
    expect_whole(x);
}

/* In a child with mounts of its own, a file system of 3 MB: fill it, find the refusal and its
 * entry, make room, go on.  Its exit status says how far it came; 77: no right to mount. */
static int fill_small_disk(struct fixture *x)
{
    /* below a chroot "/" is no mount point, and what is above can't see this one's mounts anyhow */
    if (unshare(CLONE_NEWNS) != 0 ||
        (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 && errno != EINVAL) ||
        mount("tmpfs", x->dir, "tmpfs", 0, "size=3m") != 0)
        return 77;
    if (store_open(x->path, &x->clock, &x->store, &x->fault))
        return 1;
    char filler[128];
    (void)snprintf(filler, sizeof filler, "%s/filler", x->dir);
    CLEANUP(fclose_p) FILE *file = fopen(filler, "we");
    static const char block[1048576] = {1};
    if (!file || fwrite(block, sizeof block, 1, file) != 1 || fflush(file) != 0)
        return 2;
    int64_t acknowledged = 0;
    while (fixture_commit(x, "item", "a", "x", -2, NULL) == ESIGN_OK)
        acknowledged++;
    if (strcmp(x->fault.reason, "full") != 0 || acknowledged < 10)
        return 3;
    /* Refused as long as there is no room for a reserve; then the entry of it is on disk. */
    if (fixture_commit(x, "item", "a", "x", -2, NULL) != ESIGN_E_AUDIT_UNAVAILABLE)
        return 4;
    if (store_size(x->store) != acknowledged + 1)
        return 5;
    expect_action(x, acknowledged, "store.full");
    if (unlink(filler) != 0 ||
        fixture_commit(x, "item", "a", "x", -2, NULL) != ESIGN_E_AUDIT_UNAVAILABLE)
        return 6; /* still held by our open file */
    if (freopen("/dev/null", "re", file) == NULL || fixture_commit(x, "item", "a", "x", -2, NULL))
        return 7;
    expect_whole(x);
    store_close(TAKE(x->store));
    return 0;
}

static void test_store_commit__small_disk_full__entered_and_goes_on_with_room(void **state)
{
    REQ("11.10(e)", "design 7");
    struct fixture *x = *state;
    fixture_close(x);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_small_disk(x));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    fixture_open(x);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        fail_msg("the test must run as root: it mounts a small file system");
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_store_commit__full_at_each_write_in_turn__refused_and_entered),
        CASE(test_store_commit__full_for_a_while__goes_on_afterwards),
        CASE(test_store_commit__sync_fails__nothing_more_until_reopened),
        CASE(test_store_commit__file_size_limit__full_until_lifted),
        CASE(test_store_commit__small_disk_full__entered_and_goes_on_with_room),
    };
    return cmocka_run_group_tests(tests, disk_install, NULL);
}
