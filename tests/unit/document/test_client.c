/* esign-document as a child and as a service: the same facts as in this process, from a process
 * that can do nothing else; also for what others made. */
#include "req.h"

#include "cms/soft_token.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/worker/call.h"
#include "document/document_internal.h"

#include <dirent.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { DEADLINE_MS = 20 * 1000, FOREIGN_MAX = 4 * 1024 * 1024, CONNECT_TRIES = 500 };

static const struct bytes record = {(const uint8_t *)"a batch record", 14};

static int64_t deadline(void)
{
    return clock_mono_ms(clock_system()) + DEADLINE_MS;
}

struct signed_record {
    struct soft_world world;
    struct buf cms;
    uint8_t digest[SHA256_LEN];
    struct bytes anchor;
    struct document_signature signature;
};

static void signed_record_init(struct signed_record *r)
{
    soft_world_init(&r->world, TOKEN_P256);
    r->cms = buf_new(CMS_SIGNED_MAX);
    soft_sign(&r->world, record, &(struct soft_choice){0}, &r->cms);
    bytes_sha256(record, (struct bytes){0}, r->digest);
    r->anchor = buf_bytes(&r->world.ca_cert);
    r->signature = (struct document_signature){.cms = buf_bytes(&r->cms),
                                               .record_digest = bytes_of(r->digest, SHA256_LEN),
                                               .anchors = &r->anchor,
                                               .anchor_count = 1};
}

static void signed_record_done(struct signed_record *r)
{
    soft_world_done(&r->world);
    buf_done(&r->cms);
}

/* What the document says must be what this process says. */
static void assert_same_facts(struct document *d, const struct document_signature *s)
{
    struct fault f = {0};
    CLEANUP(json_decref_p) json_t *here = NULL;
    CLEANUP(json_decref_p) json_t *there = NULL;
    assert_int_equal(validate_signature(s, &here, NULL), ESIGN_OK);
    if (document_facts(d, s, deadline(), &there, &f))
        fail_msg("%s", f.detail);
    assert_true(json_equal(here, there));
}

static void test_document_spawn__right_signature__same_facts(void **state)
{
    REQ("11.10(a)", "design 2");
    (void)state;
    struct signed_record r;
    struct document *d = NULL;
    signed_record_init(&r);
    assert_int_equal(document_spawn(ESIGN_DOCUMENT, &d, NULL), ESIGN_OK);
    assert_same_facts(d, &r.signature);
    document_close(d);
    signed_record_done(&r);
}

static void test_document_spawn__no_such_program__worker(void **state)
{
    REQ("design 2");
    (void)state;
    struct document *d = NULL;
    struct fault f = {0};
    assert_int_equal(document_spawn("/nonexistent/esign-document", &d, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "worker");
    assert_null(d);
}

static void test_document_facts__over_limits__refused(void **state)
{
    REQ("design 2");
    (void)state;
    struct document *d = NULL;
    struct fault f = {0};
    json_t *facts = NULL;
    static uint8_t big[DOCUMENT_SIGNATURE_MAX + 1];
    struct bytes anchors[DOCUMENT_ANCHORS_MAX + 1] = {0};
    struct document_signature s = {.cms = bytes_of(big, sizeof big)};
    assert_int_equal(document_open("/nonexistent/document.sock", 1, &d, NULL), ESIGN_OK);
    assert_int_equal(document_facts(d, &s, deadline(), &facts, &f), ESIGN_E_TOO_LARGE);
    assert_string_equal(f.field, "signature");
    s = (struct document_signature){.anchors = anchors, .anchor_count = DOCUMENT_ANCHORS_MAX + 1};
    assert_int_equal(document_facts(d, &s, deadline(), &facts, &f), ESIGN_E_TOO_LARGE);
    assert_string_equal(f.field, "anchors");
    anchors[0] = bytes_of(big, DOCUMENT_ANCHOR_MAX + 1);
    s.anchor_count = 1;
    assert_int_equal(document_facts(d, &s, deadline(), &facts, &f), ESIGN_E_TOO_LARGE);
    s.anchor_count = 0;
    assert_int_equal(document_facts(d, &s, deadline(), &facts, &f), ESIGN_E_HSM);
    document_close(d);
}

static void test_document_get_request__malformed__refused(void **state)
{
    REQ("design 2");
    (void)state;
    struct signed_record r;
    signed_record_init(&r);
    CLEANUP(buf_done) struct buf body = buf_new(FRAME_BODY_MAX);
    document_put_request(&body, &r.signature);
    struct document_signature got;
    struct bytes anchors[DOCUMENT_ANCHORS_MAX];
    assert_int_equal(document_get_request(buf_bytes(&body), &got, anchors, NULL), ESIGN_OK);
    assert_true(bytes_equal(got.cms, r.signature.cms));
    assert_int_equal(got.anchor_count, 1);
    assert_true(bytes_equal(got.anchors[0], r.anchor));
    for (size_t len = 0; len < body.len; len += len < 16 ? 1 : 37)
        assert_int_equal(document_get_request(bytes_of(body.data, len), &got, anchors, NULL),
                         ESIGN_E_PROTO);
    buf_put_u8(&body, 0);
    assert_int_equal(document_get_request(buf_bytes(&body), &got, anchors, NULL), ESIGN_E_PROTO);
    r.signature.record_digest.len = 31;
    buf_clear(&body);
    document_put_request(&body, &r.signature);
    assert_int_equal(document_get_request(buf_bytes(&body), &got, anchors, NULL), ESIGN_E_PROTO);
    signed_record_done(&r);
}

/* esign-document as a service of this user, in a folder of its own. */
struct service {
    char folder[64], socket[96], config[96];
    pid_t pid;
};

static void service_start(struct service *s)
{
    (void)snprintf(s->folder, sizeof s->folder, "/tmp/esign-document-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    (void)snprintf(s->socket, sizeof s->socket, "%s/document.sock", s->folder);
    (void)snprintf(s->config, sizeof s->config, "%s/esignd.conf", s->folder);
    FILE *out = fopen(s->config, "w");
    assert_non_null(out);
    fprintf(out,
            "system_class = \"closed\";\nsystem = \"test\";\nseparation = \"none\";\n"
            "document: { socket = \"%s\"; };\n"
            "roles: { signer = \"soft\"; ca = \"soft\"; log = \"soft\"; };\n"
            "tokens = ( { name = \"soft\"; module = \"/nonexistent\"; uri = "
            "\"pkcs11:token=soft\"; socket = \"/nonexistent\"; } );\n",
            s->socket);
    assert_int_equal(fclose(out), 0);
    char *const argv[] = {(char *)(uintptr_t)ESIGN_DOCUMENT, (char *)(uintptr_t) "--config",
                          s->config, NULL};
    char *const environment[] = {NULL};
    assert_int_equal(posix_spawn(&s->pid, ESIGN_DOCUMENT, NULL, NULL, argv, environment), 0);
    struct stat st;
    for (int i = 0; i < CONNECT_TRIES && stat(s->socket, &st) != 0; i++) {
        const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
        (void)nanosleep(&pause, NULL); /* the condition is asked again */
    }
    assert_int_equal(stat(s->socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void service_stop(struct service *s)
{
    int status = -1;
    assert_int_equal(kill(s->pid, SIGTERM), 0);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    assert_int_equal(status, 0);
    (void)unlink(s->socket); /* the folder's end shows what is left */
    assert_int_equal(unlink(s->config), 0);
    assert_int_equal(rmdir(s->folder), 0);
}

static void test_document_open__service__every_document_its_process(void **state)
{
    REQ("11.10(a)", "design 2");
    (void)state;
    struct signed_record r;
    struct service service;
    struct document *d = NULL;
    signed_record_init(&r);
    service_start(&service);
    assert_int_equal(document_open(service.socket, 2, &d, NULL), ESIGN_OK);
    for (int i = 0; i < 5; i++)
        assert_same_facts(d, &r.signature);
    document_close(d);
    service_stop(&service);
    signed_record_done(&r);
}

/* A file of at most FOREIGN_MAX bytes. */
static struct buf read_file(const char *path)
{
    struct buf out = buf_new(FOREIGN_MAX);
    FILE *in = fopen(path, "rb");
    char block[8192];
    size_t len = 0;
    assert_non_null(in);
    while ((len = fread(block, 1, sizeof block, in)) > 0)
        buf_put(&out, bytes_of(block, len));
    assert_int_equal(fclose(in), 0);
    return out;
}

/* $ESIGN_CORPORA, or shared/corpora beside the checkout. */
static void corpora_path(char *ret, size_t size)
{
    const char *given = getenv("ESIGN_CORPORA");
    const char *tests = strstr(__FILE__, "/tests/unit/");
    assert_non_null(tests);
    int len = given ? snprintf(ret, size, "%s/cms", given)
                    : snprintf(ret, size, "%.*s/../shared/corpora/cms", (int)(tests - __FILE__),
                               __FILE__);
    assert_true(len > 0 && (size_t)len < size);
}

/* Facts from a confined child, equal to those of this process; never a pass. */
static void check_foreign(struct bytes cms)
{
    static const struct document_context in_favour = {.audit = "member", .signer_state = "active"};
    struct document *d = NULL;
    struct document_verdict verdict;
    const struct document_signature s = {.cms = cms};
    CLEANUP(json_decref_p) json_t *facts = NULL;
    assert_int_equal(validate_signature(&s, &facts, NULL), ESIGN_OK);
    document_verdict(facts, &in_favour, &verdict);
    assert_string_not_equal(verdict.indication, "TOTAL_PASSED");
    if (cms.len > DOCUMENT_SIGNATURE_MAX)
        return;
    assert_int_equal(document_spawn(ESIGN_DOCUMENT, &d, NULL), ESIGN_OK);
    assert_same_facts(d, &s);
    document_close(d);
}

static void test_document_facts__signatures_of_others__not_ours(void **state)
{
    REQ("11.10(a)", "design 2");
    (void)state;
    char folder[4096], path[8192];
    size_t count = 0;
    corpora_path(folder, sizeof folder);
    check_foreign(bytes_of("not CMS", 7));
    CLEANUP(closedir_p) DIR *dir = opendir(folder);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        assert_true(snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path);
        CLEANUP(buf_done) struct buf foreign = read_file(path);
        check_foreign(buf_bytes(&foreign));
        count++;
    }
    print_message("%zu files of %s\n", count, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document_spawn__right_signature__same_facts),
        cmocka_unit_test(test_document_spawn__no_such_program__worker),
        cmocka_unit_test(test_document_facts__over_limits__refused),
        cmocka_unit_test(test_document_get_request__malformed__refused),
        cmocka_unit_test(test_document_open__service__every_document_its_process),
        cmocka_unit_test(test_document_facts__signatures_of_others__not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
