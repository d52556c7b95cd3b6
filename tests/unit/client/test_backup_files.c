#include "req.h"

#include "cli/backup_files.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 40, ROUNDS = 40 };

struct place {
    char root[32], stage[64], sub[96], link[96], victim[64];
    atomic_bool over;
};

static void make_files(const char *directory)
{
    char path[160];

    (void)mkdir(directory, 0700); /* the victim's is there from the second round on */
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(path, sizeof(path), "%s/f%d", directory, i);
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
}

static int count_files(const char *directory)
{
    char path[160];
    int count = 0;

    for (int i = 0; i < FILES; i++) {
        (void)snprintf(path, sizeof(path), "%s/f%d", directory, i);
        count += access(path, F_OK) == 0;
    }
    return count;
}

static void make_place(struct place *p)
{
    *p = (struct place){.root = "/tmp/esign-test-XXXXXX"};
    assert_non_null(mkdtemp(p->root));
    (void)snprintf(p->stage, sizeof(p->stage), "%s/stage", p->root);
    (void)snprintf(p->sub, sizeof(p->sub), "%s/sub", p->stage);
    (void)snprintf(p->link, sizeof(p->link), "%s/link", p->root);
    (void)snprintf(p->victim, sizeof(p->victim), "%s/victim", p->root);
    make_files(p->victim);
    assert_int_equal(symlink(p->victim, p->link), 0);
}

/* The owner of a directory below: it puts a link in the place of it, and back. */
static void *exchange(void *ctx)
{
    struct place *p = ctx;

    while (!atomic_load(&p->over))
        (void)renameat2(AT_FDCWD, p->sub, AT_FDCWD, p->link, RENAME_EXCHANGE); /* or gone */
    return NULL;
}

static void test_remove__a_link_takes_a_directorys_place__nothing_elsewhere_goes(void **state)
{
    REQ("11.10(c)", "11.10(g)");
    struct place p;
    int left = FILES;

    (void)state;
    make_place(&p);
    for (int i = 0; i < ROUNDS && left == FILES; i++) {
        pthread_t other;
        (void)unlink(p.link); /* the last round may have left it as a directory */
        backup_remove(p.link);
        assert_int_equal(symlink(p.victim, p.link), 0);
        assert_int_equal(mkdir(p.stage, 0700), 0);
        make_files(p.sub);
        atomic_store(&p.over, false);
        assert_int_equal(pthread_create(&other, NULL, exchange, &p), 0);
        backup_remove(p.stage);
        atomic_store(&p.over, true);
        assert_int_equal(pthread_join(other, NULL), 0);
        left = count_files(p.victim);
        backup_remove(p.stage);
    }
    backup_remove(p.root);
    assert_int_equal(left, FILES);
}

static void test_remove__files_links_and_directories__all_gone(void **state)
{
    REQ("11.10(c)");
    struct place p;

    (void)state;
    make_place(&p);
    assert_int_equal(mkdir(p.stage, 0700), 0);
    make_files(p.sub);
    backup_remove(p.root);
    assert_int_equal(access(p.root, F_OK), -1);
    backup_remove(p.root); /* nothing there: nothing happens */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remove__a_link_takes_a_directorys_place__nothing_elsewhere_goes),
        cmocka_unit_test(test_remove__files_links_and_directories__all_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
