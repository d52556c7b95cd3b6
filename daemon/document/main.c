/* esign-document: says what is in signatures that others made, in a process that can do nothing
 * else. */
#include "document/document_internal.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/worker/serve.h"
#include "config/config.h"
#include "sandbox/sandbox.h"
#include "sandbox/sanitizer.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <pwd.h>
#include <sys/socket.h>
#include <time.h>

enum {
    ONCE_FD = 3,
    GRACE_MS = 500,
    MEMORY_MAX = 256 * 1024 * 1024,
    CPU_MAX_S = 60,
    EXIT_USAGE = 2
};

/* A signature that makes the libraries load what they load lazily. */
static enum esign_rc warm_up(struct fault *f)
{
    CLEANUP(json_decref_p) json_t *facts = NULL;
    const uint8_t nothing[] = {0x30, 0x00};
    uint8_t random[1];
    const struct document_signature s = {.cms = bytes_of(nothing, sizeof nothing)};

    tzset();
    bytes_random(random, sizeof random);
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
                                OPENSSL_INIT_ADD_ALL_DIGESTS,
                            NULL) != 1)
        return fault_set(f, ESIGN_E_INTERNAL, "the cryptographic library does not start");
    return validate_signature(&s, &facts, f);
}

/* In the worker, before it reads anything. */
static enum esign_rc start(void *ctx, const struct worker_start *how, struct fault *f)
{
    (void)ctx;
    (void)how;
#ifdef ESIGN_SANITIZE
    const struct sandbox_limits limits = {.cpu_s = CPU_MAX_S}; /* shadow memory is terabytes */
#else
    const struct sandbox_limits limits = {.memory_bytes = MEMORY_MAX, .cpu_s = CPU_MAX_S};
#endif
    enum esign_rc rc = warm_up(f);
    if (!rc)
        rc = sandbox_harden(f);
    if (!rc)
        rc = sandbox_limit(&limits, f);
    if (!rc)
        rc = sandbox_confine_parser(f);
    return rc;
}

static enum esign_rc serve(void *ctx, const struct worker_request *request, struct buf *reply,
                           struct fault *f)
{
    (void)ctx;
    struct document_signature s = {0};
    struct bytes anchors[DOCUMENT_ANCHORS_MAX];
    CLEANUP(json_decref_p) json_t *facts = NULL;

    bool certificate = request->frame->op == DOCUMENT_OP_CERTIFICATE;
    if (request->frame->op != DOCUMENT_OP_FACTS && !certificate)
        return fault_set(f, ESIGN_E_UNSUPPORTED, "there is no operation %u", request->frame->op);
    enum esign_rc rc = document_get_request(request->frame->body, &s, anchors, f);
    const struct document_certificate c = {s.cms, s.anchors, s.anchor_count, s.at_ms};
    if (!rc)
        rc = certificate ? validate_certificate(&c, &facts, f) : validate_signature(&s, &facts, f);
    if (rc)
        return rc;
    rc = json_canonical(facts, reply);
    return rc ? fault_set(f, rc, "the facts can't be written") : ESIGN_OK;
}

static int run_once(void)
{
    const struct worker_service service = {
        .name = "document", .workers = 1, .requests_each = 1, .start = start, .serve = serve};
    log_start("esign-document", LOG_LEVEL_WARN);
    return worker_serve_once(ONCE_FD, &service);
}

/* The uid of the daemon, which alone may ask; this process's own where nobody is separated. */
static enum esign_rc read_caller(const struct config *c, uid_t *ret, struct fault *f)
{
    *ret = getuid();
    if (strcmp(config_str(c, "separation"), "none") == 0)
        return ESIGN_OK;
    const struct passwd *user = getpwnam(config_str(c, "users.daemon"));
    if (!user)
        return fault_field(f, ESIGN_E_POLICY, "users.daemon", "there is no user %.60s",
                           config_str(c, "users.daemon"));
    *ret = user->pw_uid;
    return ESIGN_OK;
}

/* A worker warms up with the time zone and random bytes before it confines itself. */
static enum esign_rc confine_supervisor(struct fault *f)
{
    static const struct sandbox_path paths[] = {{"/usr/share/zoneinfo", SANDBOX_READ},
                                                {"/etc/localtime", SANDBOX_READ},
                                                {"/dev/urandom", SANDBOX_READ}};
    enum esign_rc rc = sandbox_landlock(paths, sizeof(paths) / sizeof(*paths), f);

    return rc ? rc : sandbox_confine_supervisor(f);
}

static enum esign_rc run_service(const char *path, int *ret_exit, struct fault *f)
{
    struct config *c = NULL;
    CLEANUP(close_p) int fd = -1;
    enum esign_rc rc = config_load(path, &c, f);
    if (rc)
        return rc;
    struct worker_service service = {.name = "document",
                                     .workers = (unsigned)config_int(c, "document.workers"),
                                     .requests_each = 1,
                                     .grace_ms = GRACE_MS,
                                     .start = start,
                                     .serve = serve};
    rc = read_caller(c, &service.caller_uid, f);
    if (!rc)
        rc = worker_listen(config_str(c, "document.socket"), SOCK_SEQPACKET, 0600, &fd, f);
    config_free(c);
    if (!rc)
        rc = confine_supervisor(f);
    if (!rc)
        *ret_exit = worker_supervise(fd, &service);
    return rc;
}

static int usage(void)
{
    (void)fputs("usage: esign-document --config FILE | --once\n", stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"once", no_argument, NULL, '1'},
                                            {NULL, 0, NULL, 0}};
    const char *config = NULL;
    bool once = false;
    int option = 0, exit_code = EXIT_FAILURE;
    struct fault f = {0};

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            config = optarg;
        else if (option == '1')
            once = true;
        else
            return usage();
    }
    if (optind != argc || once == (config != NULL))
        return usage();
    if (once)
        return run_once();
    log_start("esign-document", LOG_LEVEL_INFO);
    if (run_service(config, &exit_code, &f)) {
        log_error("esign-document can't start: %s", f.detail);
        return EXIT_FAILURE;
    }
    return exit_code;
}
