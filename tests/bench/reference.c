/* What a token can do by itself: the figure that esignd's throughput is held against.
 *
 * reference MODULE TOKEN-LABEL KEY-ID-HEX ecdsa|rsa PROCESSES SECONDS   (the PIN on standard input)
 * reference MODULE TOKEN-LABEL KEY-ID-HEX ecdsa|rsa open COUNT
 *
 * Each process loads the module, C_Initialize(NULL), logs in, finds the key once, and then does
 * C_SignInit and C_Sign in a loop, as a worker of esign-token does, without anything around it.
 * open: as many processes, one after the other, each from the fork until it has found the key.
 * Prints one line of JSON: how many in which time, percentiles of the two calls, CPU time.  A
 * program for tests: it ends at the first error with exit code 2. */
#include "latency.h"

#include <p11-kit/pkcs11.h>

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIN_MAX = 256, ID_MAX = 64, LABEL_LEN = 32, SLOTS_MAX = 64, PROCESSES_MAX = 64 };

/* The DER before a SHA-256 digest that CKM_RSA_PKCS signs.  Source: RFC 8017 section 9.2. */
static const CK_BYTE sha256_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
enum { DIGEST_LEN = 32, INPUT_MAX = sizeof(sha256_info) + DIGEST_LEN, VALUE_MAX = 1024 };

struct order {
    const char *module;
    CK_UTF8CHAR label[LABEL_LEN];
    CK_BYTE id[ID_MAX];
    size_t id_len;
    CK_MECHANISM_TYPE mechanism;
    size_t prefix_len; /* of sha256_info that stands before the digest */
    unsigned processes;
    double seconds;
    char pin[PIN_MAX];
    size_t pin_len;
};

struct token {
    CK_FUNCTION_LIST *calls;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
};

_Noreturn static void die(const char *what, unsigned long value)
{
    fprintf(stderr, "reference: %s (0x%lx)\n", what, value);
    _exit(2);
}

static void must(CK_RV rv, const char *what)
{
    if (rv != CKR_OK)
        die(what, rv);
}

static CK_SLOT_ID find_slot(CK_FUNCTION_LIST *calls, const struct order *o)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    CK_TOKEN_INFO info;

    must(calls->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++) {
        must(calls->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
        if (strncmp((const char *)info.label, (const char *)o->label, LABEL_LEN) == 0)
            return slots[i];
    }
    die("no token has this label", count);
}

static CK_OBJECT_HANDLE find_key(const struct token *t, struct order *o)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_ID, o->id, o->id_len}};
    CK_OBJECT_HANDLE key = 0;
    CK_ULONG count = 0;

    must(t->calls->C_FindObjectsInit(t->session, template, 2), "C_FindObjectsInit");
    must(t->calls->C_FindObjects(t->session, &key, 1, &count), "C_FindObjects");
    must(t->calls->C_FindObjectsFinal(t->session), "C_FindObjectsFinal");
    if (count == 0)
        die("the token has no key of this id", 0);
    return key;
}

static struct token open_token(struct order *o)
{
    struct token t = {0};
    CK_C_GetFunctionList get_list;

    void *library = dlopen(o->module, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        die(dlerror(), 0);
    void *symbol = dlsym(library, "C_GetFunctionList");
    if (!symbol)
        die("no C_GetFunctionList", 0);
    memcpy(&get_list, &symbol, sizeof(get_list));
    must(get_list(&t.calls), "C_GetFunctionList");
    must(t.calls->C_Initialize(NULL), "C_Initialize");
    must(t.calls->C_OpenSession(find_slot(t.calls, o), CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
                                NULL, &t.session),
         "C_OpenSession");
    must(t.calls->C_Login(t.session, CKU_USER, (CK_UTF8CHAR *)o->pin, o->pin_len), "C_Login");
    t.key = find_key(&t, o);
    return t;
}

/* One signature over a digest that is never the same twice. */
static void sign_once(const struct token *t, const struct order *o, uint64_t number)
{
    CK_MECHANISM mechanism = {o->mechanism, NULL, 0};
    CK_BYTE input[INPUT_MAX] = {0}, value[VALUE_MAX];
    CK_ULONG value_len = sizeof(value);

    memcpy(input, sha256_info, o->prefix_len);
    memcpy(input + o->prefix_len, &number, sizeof(number));
    must(t->calls->C_SignInit(t->session, &mechanism, t->key), "C_SignInit");
    must(t->calls->C_Sign(t->session, input, o->prefix_len + DIGEST_LEN, value, &value_len),
         "C_Sign");
}

/* A process: ready is told by one byte, and the end of `go` is the start. */
_Noreturn static void run_process(struct order *o, struct latency *l, int ready, int go)
{
    char byte = 0;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* never more than its parent is doing */
    struct token t = open_token(o);
    sign_once(&t, o, 0);
    if (write(ready, "r", 1) != 1 || read(go, &byte, 1) != 0)
        die("the parent has gone", 0);
    int64_t cpu = latency_process_cpu_us();
    int64_t until = latency_now_us() + (int64_t)(o->seconds * 1e6);
    for (int64_t began = latency_now_us(); began < until; began = latency_now_us()) {
        sign_once(&t, o, l->count);
        latency_note(l, began);
    }
    l->cpu_us = latency_process_cpu_us() - cpu;
    _exit(0);
}

/* One after another, since several modules do not bear logins at the same time. */
static void start_process(struct order *o, struct latency *l, const int go[2])
{
    int ready[2];
    char byte;

    if (pipe(ready) != 0)
        die("pipe", 0);
    pid_t pid = fork();
    if (pid < 0)
        die("fork", 0);
    if (pid == 0) {
        close(go[1]);
        close(ready[0]);
        run_process(o, l, ready[1], go[0]);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        die("a process did not start", 0);
    close(ready[0]);
}

static void run(struct order *o)
{
    struct latency *l = latency_new(o->processes);
    int go[2], status, bad = 0;

    if (pipe(go) != 0)
        die("pipe", 0);
    for (unsigned i = 0; i < o->processes; i++)
        start_process(o, &l[i], go);
    int64_t began = latency_now_us();
    close(go[1]);
    for (unsigned i = 0; i < o->processes; i++)
        bad |= wait(&status) < 0 || status != 0;
    double seconds = (double)(latency_now_us() - began) / 1e6;
    if (bad)
        die("a process has failed", 0);
    struct latency_sum sum = latency_sum(l, o->processes);
    latency_print(&sum, seconds);
}

/* A process that opens the token and ends. */
static void open_once(struct order *o, struct latency *l)
{
    int ready[2], status;
    char byte;
    int64_t began = latency_now_us();

    if (pipe(ready) != 0)
        die("pipe", 0);
    pid_t pid = fork();
    if (pid < 0)
        die("fork", 0);
    if (pid == 0) {
        (void)open_token(o);
        _exit(write(ready[1], "r", 1) == 1 ? 0 : 2);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        die("a process did not open the token", 0);
    latency_note(l, began);
    close(ready[0]);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die("a process has failed", 0);
}

static void run_open(struct order *o, uint64_t count)
{
    struct latency *l = latency_new(1);
    int64_t began = latency_now_us();

    while (l->count < count)
        open_once(o, l);
    double seconds = (double)(latency_now_us() - began) / 1e6;
    struct latency_sum sum = latency_sum(l, 1);
    latency_print(&sum, seconds);
}

static size_t read_hex(const char *text, CK_BYTE ret[ID_MAX])
{
    size_t len = strlen(text) / 2;

    if (len == 0 || len > ID_MAX || strlen(text) % 2 != 0)
        die("the key's id must be hex", 0);
    for (size_t i = 0; i < len; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], 0}, *end;
        ret[i] = (CK_BYTE)strtoul(digits, &end, 16);
        if (*end)
            die("the key's id must be hex", 0);
    }
    return len;
}

static void read_order(char **argv, struct order *o)
{
    o->module = argv[1];
    memset(o->label, ' ', LABEL_LEN);
    if (strlen(argv[2]) > LABEL_LEN)
        die("the label is too long", 0);
    memcpy(o->label, argv[2], strlen(argv[2]));
    o->id_len = read_hex(argv[3], o->id);
    o->mechanism = strcmp(argv[4], "rsa") == 0 ? CKM_RSA_PKCS : CKM_ECDSA;
    o->prefix_len = o->mechanism == CKM_RSA_PKCS ? sizeof(sha256_info) : 0;
    o->processes = strcmp(argv[5], "open") == 0 ? 1 : (unsigned)strtoul(argv[5], NULL, 10);
    o->seconds = strtod(argv[6], NULL);
    if (o->processes == 0 || o->processes > PROCESSES_MAX || !(o->seconds > 0))
        die("processes or seconds", 0);
    ssize_t len = read(STDIN_FILENO, o->pin, sizeof(o->pin));
    if (len <= 0)
        die("no PIN on standard input", 0);
    o->pin_len = strcspn(o->pin, "\n") < (size_t)len ? strcspn(o->pin, "\n") : (size_t)len;
}

int main(int argc, char **argv)
{
    struct order order = {0};

    if (argc != 7) {
        fprintf(stderr, "usage: reference MODULE LABEL KEY-ID ecdsa|rsa PROCESSES SECONDS\n"
                        "       reference MODULE LABEL KEY-ID ecdsa|rsa open COUNT\n");
        return 2;
    }
    read_order(argv, &order);
    if (strcmp(argv[5], "open") == 0)
        run_open(&order, (uint64_t)order.seconds);
    else
        run(&order);
    return 0;
}
