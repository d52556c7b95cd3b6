/* The module of tests/fault/token, in front of SoftHSM: it does what it is told, and nothing else.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <p11-kit/pkcs11.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "req.h"

#include "../../fault/token/state.h"

enum { DIGEST_LEN = 32, VALUE_LEN = 64, ROOM = 1024, KEY_COUNT = 2, NAP_NS = 2000000 };

struct place {
    char directory[64];
    unsigned generation;
    struct fault_state *state;
    CK_FUNCTION_LIST *calls;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE keys[KEY_COUNT], public_key;
};

static void path_of(const struct place *p, const char *name, char ret[PATH_MAX])
{
    assert_true(snprintf(ret, PATH_MAX, "%s/%s", p->directory, name) < PATH_MAX);
}

static void write_file(const struct place *p, const char *name, const char *text)
{
    char path[PATH_MAX], fresh[PATH_MAX];

    path_of(p, name, path);
    path_of(p, "new", fresh);
    FILE *file = fopen(fresh, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static void rule(struct place *p, const char *lines)
{
    char text[ROOM];

    assert_true(snprintf(text, sizeof(text), "generation=%u\n%s\n", ++p->generation, lines) < ROOM);
    write_file(p, "control", text);
}

static void set_path(const struct place *p, const char *variable, const char *name)
{
    char path[PATH_MAX];

    path_of(p, name, path);
    assert_int_equal(setenv(variable, path, 1), 0);
}

static void must(CK_RV rv)
{
    assert_int_equal(rv, CKR_OK);
}

static void open_session(struct place *p)
{
    CK_UTF8CHAR pin[] = "1234";

    must(p->calls->C_OpenSession(p->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                 &p->session));
    CK_RV rv = p->calls->C_Login(p->session, CKU_USER, pin, 4);
    assert_true(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN);
}

static void make_key(struct place *p, CK_OBJECT_HANDLE *ret)
{
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_BYTE curve[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE public_key[] = {{CKA_EC_PARAMS, curve, sizeof(curve)},
                                 {CKA_TOKEN, &yes, sizeof(yes)},
                                 {CKA_VERIFY, &yes, sizeof(yes)}};
    CK_ATTRIBUTE private_key[] = {{CKA_TOKEN, &yes, sizeof(yes)}, {CKA_SIGN, &yes, sizeof(yes)}};

    must(p->calls->C_GenerateKeyPair(p->session, &mechanism, public_key, 3, private_key, 2,
                                     &p->public_key, ret));
}

static void make_token(struct place *p)
{
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    CK_UTF8CHAR pin[] = "1234", label[32];

    memset(label, ' ', sizeof(label));
    must(p->calls->C_GetSlotList(CK_FALSE, slots, &count));
    must(p->calls->C_InitToken(slots[0], pin, 4, label));
    count = 8;
    must(p->calls->C_GetSlotList(CK_TRUE, slots, &count));
    p->slot = slots[0];
    must(p->calls->C_OpenSession(p->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                 &p->session));
    must(p->calls->C_Login(p->session, CKU_SO, pin, 4));
    must(p->calls->C_InitPIN(p->session, pin, 4));
    must(p->calls->C_CloseSession(p->session));
}

static void map_state(struct place *p)
{
    char path[PATH_MAX];

    path_of(p, "state", path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof(*p->state)), 0);
    void *at = mmap(NULL, sizeof(*p->state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(at != MAP_FAILED);
    assert_int_equal(close(fd), 0);
    p->state = at;
}

static int setup(void **state)
{
    static struct place p;
    char conf[ROOM];
    CK_RV (*get)(CK_FUNCTION_LIST **);

    *state = &p;
    (void)snprintf(p.directory, sizeof(p.directory), "/tmp/esign-faulty-XXXXXX");
    assert_non_null(mkdtemp(p.directory));
    (void)snprintf(conf, sizeof(conf), "directories.tokendir = %s\nobjectstore.backend = file\n",
                   p.directory);
    write_file(&p, "softhsm2.conf", conf);
    set_path(&p, "SOFTHSM2_CONF", "softhsm2.conf");
    set_path(&p, "FAULT_CONTROL", "control");
    set_path(&p, "FAULT_STATE", "state");
    assert_int_equal(setenv("FAULT_MODULE", "/usr/lib/softhsm/libsofthsm2.so", 1), 0);
    map_state(&p);
    rule(&p, "");
    void *symbol = dlsym(dlopen(ESIGN_FAULTY_TOKEN, RTLD_NOW | RTLD_LOCAL), "C_GetFunctionList");
    assert_non_null(symbol);
    memcpy(&get, &symbol, sizeof(get));
    must(get(&p.calls));
    must(p.calls->C_Initialize(NULL));
    make_token(&p);
    open_session(&p);
    for (int i = 0; i < KEY_COUNT; i++)
        make_key(&p, &p.keys[i]);
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    int status = 0;

    rule(p, "");
    must(p->calls->C_Finalize(NULL));
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", p->directory, (char *)NULL);
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return munmap(p->state, sizeof(*p->state));
}

static CK_RV sign(struct place *p, CK_BYTE value[ROOM], CK_ULONG *ret_len)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_BYTE digest[DIGEST_LEN] = {1, 2, 3};

    *ret_len = ROOM;
    CK_RV rv = p->calls->C_SignInit(p->session, &mechanism, p->keys[1]);
    return rv == CKR_OK ? p->calls->C_Sign(p->session, digest, DIGEST_LEN, value, ret_len) : rv;
}

static bool verifies(struct place *p, CK_BYTE *value, CK_ULONG len)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_BYTE digest[DIGEST_LEN] = {1, 2, 3};

    must(p->calls->C_VerifyInit(p->session, &mechanism, p->public_key));
    return p->calls->C_Verify(p->session, digest, DIGEST_LEN, value, len) == CKR_OK;
}

/* Sign, which must give a right value or fail with this. */
static void expect(struct place *p, CK_RV wanted)
{
    CK_BYTE value[ROOM];
    CK_ULONG len;

    assert_int_equal(sign(p, value, &len), wanted);
    if (wanted == CKR_OK)
        assert_true(verifies(p, value, len));
}

static void test_rules__once_after_two__third_call_only(void **state)
{
    REQ("design 10");
    struct place *p = *state;

    rule(p, "call=C_Sign skip=2 times=1 rv=0x30 late=1 # the token has signed");
    expect(p, CKR_OK);
    expect(p, CKR_OK);
    expect(p, CKR_DEVICE_ERROR);
    expect(p, CKR_OK);
    rule(p, "call=C_SignInit rv=0x70");
    expect(p, CKR_MECHANISM_INVALID);
    expect(p, CKR_MECHANISM_INVALID);
    rule(p, "");
    expect(p, CKR_OK);
}

static void test_state__calls__counted_by_name(void **state)
{
    REQ("design 10");
    struct place *p = *state;
    const struct fault_counts *counts = &p->state->counts[FAULT_C_Sign];
    uint64_t calls = counts->calls, hit = counts->hit;

    rule(p, "call=C_Sign times=1 rv=5 late=1");
    expect(p, CKR_GENERAL_ERROR);
    expect(p, CKR_OK);
    assert_string_equal(counts->name, "C_Sign");
    assert_int_equal(counts->calls, calls + 2);
    assert_int_equal(counts->hit, hit + 1);
    assert_true(counts->us > 0);
}

static void test_values__each_kind__wrong_in_its_way(void **state)
{
    REQ("design 10");
    static const struct {
        const char *rule;
        bool right;
        CK_ULONG len;
    } rows[] = {
        {"value=right", true, VALUE_LEN},      {"value=flip", false, VALUE_LEN},
        {"value=other", false, VALUE_LEN},     {"value=digest", false, VALUE_LEN},
        {"value=short", false, VALUE_LEN - 1}, {"value=empty", false, 0},
        {"value=long", false, VALUE_LEN + 1},  {"value=zero", false, VALUE_LEN},
        {"value=ones", false, VALUE_LEN},      {"value=high-s", true, VALUE_LEN},
        {"length=100000", false, 100000},
    };
    struct place *p = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[64];
        CK_BYTE value[ROOM] = {0};
        CK_ULONG len;
        (void)snprintf(text, sizeof(text), "call=C_Sign times=1 %s", rows[i].rule);
        rule(p, text);
        must(sign(p, value, &len));
        assert_int_equal(len, rows[i].len);
        assert_true(len > ROOM || verifies(p, value, len) == rows[i].right);
        expect(p, CKR_OK);
    }
}

static void test_values__previous__same_twice(void **state)
{
    REQ("design 10");
    struct place *p = *state;
    CK_BYTE before[ROOM] = {0}, value[ROOM] = {0};
    CK_ULONG len;

    rule(p, "");
    must(sign(p, before, &len));
    rule(p, "call=C_Sign value=previous times=1");
    must(sign(p, value, &len));
    assert_memory_equal(before, value, VALUE_LEN);
    must(sign(p, value, &len));
    assert_memory_not_equal(before, value, VALUE_LEN);
}

static void test_epochs__moved__older_handles_invalid(void **state)
{
    REQ("design 10");
    struct place *p = *state;
    CK_SESSION_HANDLE before = p->session;

    rule(p, "token object-epoch=1");
    expect(p, CKR_KEY_HANDLE_INVALID);
    rule(p, "token session-epoch=1");
    expect(p, CKR_SESSION_HANDLE_INVALID);
    open_session(p);
    expect(p, CKR_OK);
    rule(p, "");
    expect(p, CKR_SESSION_HANDLE_INVALID); /* given under another epoch */
    p->session = before;
    expect(p, CKR_OK);
}

static void test_token__away__no_slots_and_removed(void **state)
{
    REQ("design 10");
    struct place *p = *state;
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;

    rule(p, "token away=1");
    expect(p, CKR_DEVICE_REMOVED);
    must(p->calls->C_GetSlotList(CK_TRUE, slots, &count));
    assert_int_equal(count, 0);
    rule(p, "");
    expect(p, CKR_OK);
}

static void test_token__session_cap__declared_and_kept(void **state)
{
    REQ("design 10");
    struct place *p = *state;
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE more;

    rule(p, "token flags=0x20000 sessions=1");
    must(p->calls->C_GetTokenInfo(p->slot, &info));
    assert_int_equal(info.ulMaxSessionCount, 1);
    assert_true((info.flags & 0x20000) != 0);
    assert_int_equal(p->calls->C_OpenSession(p->slot, CKF_SERIAL_SESSION, NULL, NULL, &more),
                     CKR_SESSION_COUNT);
    rule(p, "");
    must(p->calls->C_OpenSession(p->slot, CKF_SERIAL_SESSION, NULL, NULL, &more));
    must(p->calls->C_CloseSession(more));
}

/* How a process ends that signs under this rule. */
static int end_of_signer(struct place *p, const char *text)
{
    int status = 0;

    rule(p, text);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        CK_BYTE value[ROOM];
        CK_ULONG len;
        _exit(sign(p, value, &len) == CKR_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rule(p, "");
    return status;
}

static void test_ends__each_kind__process_is_gone(void **state)
{
    REQ("design 10");
    struct place *p = *state;

    assert_int_equal(end_of_signer(p, ""), 0);
    assert_int_equal(WTERMSIG(end_of_signer(p, "call=C_Sign signal=9")), SIGKILL);
    assert_int_equal(WTERMSIG(end_of_signer(p, "call=C_Sign signal=9 late=1")), SIGKILL);
    assert_int_equal(WTERMSIG(end_of_signer(p, "call=C_Sign signal=13")), SIGPIPE);
    assert_int_equal(WEXITSTATUS(end_of_signer(p, "call=C_SignInit exit=7")), 7);
    assert_int_equal(WEXITSTATUS(end_of_signer(p, "call=C_Sing rv=1")), 70); /* a slip */
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void nap(void)
{
    const struct timespec time = {.tv_nsec = NAP_NS};

    (void)nanosleep(&time, NULL); /* between two looks at a condition */
}

static void test_latency__net_and_service__at_least_so_long(void **state)
{
    REQ("design 10");
    struct place *p = *state;

    rule(p, "call=C_Sign net_us=20000 service_us=10000 jitter_us=1000 units=1");
    int64_t began = now_ms();
    expect(p, CKR_OK);
    assert_true(now_ms() - began >= 30);
}

/* A process that signs; with the one unit it is waiting in the device. */
static pid_t start_signer(struct place *p)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    CK_BYTE value[ROOM];
    CK_ULONG len;
    _exit(sign(p, value, &len) == CKR_OK ? 0 : 1);
}

static void test_units__holder_killed__unit_comes_back(void **state)
{
    REQ("design 10");
    struct place *p = *state;
    int status = 0;

    rule(p, "call=C_Sign service_us=60000000 units=1");
    pid_t holder = start_signer(p);
    for (int64_t until = now_ms() + 10000; p->state->units[0] != holder; nap())
        assert_true(now_ms() < until);
    rule(p, "call=C_Sign units=1");
    pid_t waiter = start_signer(p);
    for (int64_t until = now_ms() + 10000; p->state->sleeping == 0; nap())
        assert_true(now_ms() < until);
    assert_int_equal(waitpid(waiter, &status, WNOHANG), 0);
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, &status, 0), holder);
    assert_int_equal(waitpid(waiter, &status, 0), waiter);
    assert_int_equal(status, 0);
}

static void test_hang__rule_gone__call_returns(void **state)
{
    REQ("design 10");
    struct place *p = *state;
    const struct fault_counts *counts = &p->state->counts[FAULT_C_Sign];
    uint64_t hit = counts->hit;
    int status = 0;

    rule(p, "call=C_Sign hang=1");
    pid_t pid = start_signer(p);
    for (int64_t until = now_ms() + 10000; counts->hit == hit; nap())
        assert_true(now_ms() < until);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    rule(p, "");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules__once_after_two__third_call_only),
        cmocka_unit_test(test_state__calls__counted_by_name),
        cmocka_unit_test(test_values__each_kind__wrong_in_its_way),
        cmocka_unit_test(test_values__previous__same_twice),
        cmocka_unit_test(test_epochs__moved__older_handles_invalid),
        cmocka_unit_test(test_token__away__no_slots_and_removed),
        cmocka_unit_test(test_token__session_cap__declared_and_kept),
        cmocka_unit_test(test_ends__each_kind__process_is_gone),
        cmocka_unit_test(test_latency__net_and_service__at_least_so_long),
        cmocka_unit_test(test_units__holder_killed__unit_comes_back),
        cmocka_unit_test(test_hang__rule_gone__call_returns),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
