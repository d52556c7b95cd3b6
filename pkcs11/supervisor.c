/* esign-token: the keys of one token, in processes of their own. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "pkcs11/bench.h"
#include "pkcs11/card_serve.h"
#include "pkcs11/hold.h"
#include "pkcs11/init.h"
#include "pkcs11/inspect.h"
#include "pkcs11/library.h"
#include "pkcs11/probe.h"
#include "pkcs11/worker.h"
#include "sandbox/sandbox.h"
#include "sandbox/sanitizer.h"

#include <fcntl.h>
#include <getopt.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { EXIT_USAGE = 2, SUPERVISOR_REPORT_MAX = 256 * 1024 };

struct supervisor_options {
    const char *config, *token;
    const char *card; /* path of a module: serve a signer's own card, nothing else */
    bool init, test, bench, inspect;
    const char *seconds, *workers, *algorithm;
    struct pkcs11_probe_options probe;
};

DEFINE_CLEANUP(struct config *, config_free)
DEFINE_CLEANUP(struct pkcs11_worker *, pkcs11_worker_free)

static bool supervisor_parse(int argc, char **argv, struct supervisor_options *ret)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"token", required_argument, NULL, 't'},
        {"card", required_argument, NULL, 'C'},
        {"init", no_argument, NULL, 'i'},
        {"test", no_argument, NULL, 'T'},
        {"in-use", no_argument, NULL, 'u'},
        {"removal", no_argument, NULL, 'r'},
        {"inspect", no_argument, NULL, 'n'},
        {"bench", no_argument, NULL, 'b'},
        {"seconds", required_argument, NULL, 's'},
        {"workers", required_argument, NULL, 'w'},
        {"algorithm", required_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'c')
            ret->config = optarg;
        else if (c == 't')
            ret->token = optarg;
        else if (c == 'C')
            ret->card = optarg;
        else if (c == 'i')
            ret->init = true;
        else if (c == 'T')
            ret->test = true;
        else if (c == 'u')
            ret->probe.in_use = true;
        else if (c == 'r')
            ret->probe.removal = true;
        else if (c == 'n')
            ret->inspect = true;
        else if (c == 'b')
            ret->bench = true;
        else if (c == 's')
            ret->seconds = optarg;
        else if (c == 'w')
            ret->workers = optarg;
        else if (c == 'a')
            ret->algorithm = optarg;
        else
            return false;
    }
    if (ret->card)
        return !ret->config && !ret->token && !ret->init && !ret->test && optind == argc;
    return ret->config && ret->token && optind == argc;
}

static int supervisor_init(const struct config *config, size_t index, struct fault *f)
{
    struct pkcs11_init_result made;

    if (pkcs11_init_token(config, index, &made, f) != ESIGN_OK) {
        log_error("the token was not made: %s", f->detail);
        return EXIT_FAILURE;
    }
    printf("label=%s serial=%s%s\n", made.label, made.serial,
           made.read_only ? " token.object=read-only" : "");
    return EXIT_SUCCESS;
}

/* The report goes to our standard output alone; what the module prints goes where errors go. */
static int supervisor_report(const json_t *report, int fd, struct fault *f)
{
    CLEANUP(buf_done) struct buf text = buf_new(SUPERVISOR_REPORT_MAX);

    enum esign_rc rc = json_canonical(report, &text);
    buf_put_str(&text, "\n");
    if (rc == ESIGN_OK && buf_ok(&text) &&
        write(fd, text.data, text.len) == (ssize_t)text.len) /* a pipe of ours, or a file */
        return EXIT_SUCCESS;
    (void)fault_set(f, ESIGN_E_INTERNAL, "the report can't be written");
    log_error("%s", f->detail);
    return EXIT_FAILURE;
}

static enum esign_rc supervisor_bench_options(const struct supervisor_options *options,
                                              struct pkcs11_bench_options *ret, struct fault *f)
{
    const char *seconds = options->seconds ? options->seconds : "2";
    size_t len = strspn(seconds, "0123456789");

    *ret = (struct pkcs11_bench_options){.in_use = options->probe.in_use};
    for (size_t i = 0; i < len && ret->seconds <= PKCS11_BENCH_SECONDS_MAX; i++)
        ret->seconds = ret->seconds * 10 + (unsigned)(seconds[i] - '0');
    if (seconds[len] || ret->seconds == 0 || ret->seconds > PKCS11_BENCH_SECONDS_MAX)
        return fault_field(f, ESIGN_E_POLICY, "seconds", "a number from 1 to %d",
                           PKCS11_BENCH_SECONDS_MAX);
    if (options->algorithm && !(ret->algorithm = token_algorithm_by_name(options->algorithm)))
        return fault_field(f, ESIGN_E_POLICY, "algorithm", "there is no algorithm %.40s",
                           options->algorithm);
    return pkcs11_bench_workers(options->workers ? options->workers : "1,2,4", ret, f);
}

/* Test or bench: the report on standard output. */
static int supervisor_try(struct config *config, size_t index,
                          const struct supervisor_options *options, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *report = NULL;
    CLEANUP(close_p) int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    struct pkcs11_bench_options bench;
    enum esign_rc rc = ESIGN_OK;

    if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        rc = fault_set(f, ESIGN_E_INTERNAL, "there is no standard output");
    if (rc == ESIGN_OK && options->bench)
        rc = supervisor_bench_options(options, &bench, f);
    if (rc == ESIGN_OK)
        rc = options->bench ? pkcs11_bench(config, index, &bench, &report, f)
                            : pkcs11_probe_test(config, index, &options->probe, &report, f);
    if (rc == ESIGN_OK)
        return supervisor_report(report, fd, f);
    log_error("the token was not tried: %s", f->detail);
    return EXIT_FAILURE;
}

/* Where any file would be loaded, tell which one it is now, for the configuration. */
static void supervisor_tell_module(const struct config *config, size_t index)
{
    const char *path = config_token_str(config, index, "module");
    char hash[PKCS11_HASH_TEXT];

    if (config_token_str(config, index, "module_sha256")[0] == '\0' &&
        pkcs11_library_hash(path, hash, NULL) == ESIGN_OK)
        log_notice("a changed module would be loaded token=%s module=%s module_sha256=%s",
                   config_token_str(config, index, "name"), path, hash);
}

static int supervisor_inspect(const struct config *config, size_t index, struct fault *f)
{
    struct pkcs11_inspection found;

    if (pkcs11_inspect(config, index, &found, f) != ESIGN_OK) {
        log_error("the token can't be used: %s", f->detail);
        return EXIT_FAILURE;
    }
    printf("%s %s %zu\n", found.softhsm ? "softhsm" : "other", found.serial, found.keys);
    return EXIT_SUCCESS;
}

static int supervisor_serve(const struct config *config, size_t index, struct fault *f)
{
    CLEANUP(pkcs11_worker_free_p) struct pkcs11_worker *worker = NULL;
    CLEANUP(close_p) int listen_fd = -1;
    CLEANUP(close_p) int held_fd = -1;
    uid_t caller = 0;

    enum esign_rc rc = config_caller(config, &caller, f);
    if (rc == ESIGN_OK)
        rc = worker_listen(config_token_str(config, index, "socket"), SOCK_SEQPACKET, 0600,
                           &listen_fd, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_hold_directory(config, index, &held_fd, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_worker_new(config, index, &worker, f);
    if (rc != ESIGN_OK) {
        log_error("can't start: %s", f->detail);
        return EXIT_FAILURE;
    }
    supervisor_tell_module(config, index);
    const struct worker_service service = pkcs11_worker_service(worker, caller);
    return worker_supervise(listen_fd, &service);
}

int main(int argc, char **argv)
{
    struct supervisor_options options = {0};
    CLEANUP(config_free_p) struct config *config = NULL;
    struct fault fault = {0};

    log_start("esign-token", LOG_LEVEL_INFO);
    if (!supervisor_parse(argc, argv, &options)) {
        fprintf(stderr, "usage: esign-token --config FILE --token NAME [--init | --inspect | "
                        "--test [--in-use] [--removal]]\n       esign-token --card MODULE\n");
        return EXIT_USAGE;
    }
    enum esign_rc rc = secret_start(&fault);
    if (rc == ESIGN_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        rc = fault_set(&fault, ESIGN_E_INTERNAL, "PR_SET_NO_NEW_PRIVS is refused");
    if (rc == ESIGN_OK)
        rc = sandbox_confine_module(&fault);
    if (rc == ESIGN_OK && options.card)
        return pkcs11_card_serve(options.card);
    if (rc == ESIGN_OK)
        rc = config_load(options.config, &config, &fault);
    int index = rc == ESIGN_OK ? config_token_by_name(config, options.token) : -1;
    if (rc == ESIGN_OK && index < 0)
        rc = fault_set(&fault, ESIGN_E_POLICY, "the configuration has no token %s", options.token);
    if (rc != ESIGN_OK) {
        log_error("can't start: %s", fault.detail);
        return EXIT_FAILURE;
    }
    if (options.test || options.bench)
        return supervisor_try(config, (size_t)index, &options, &fault);
    if (options.inspect)
        return supervisor_inspect(config, (size_t)index, &fault);
    return options.init ? supervisor_init(config, (size_t)index, &fault)
                        : supervisor_serve(config, (size_t)index, &fault);
}
