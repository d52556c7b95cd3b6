/* esign-token: the keys of one token, in processes of their own. */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/secret.h"
#include "pkcs11/init.h"
#include "pkcs11/worker.h"
#include "sandbox/sandbox.h"
#include "sandbox/sanitizer.h"

#include <getopt.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { EXIT_USAGE = 2 };

struct supervisor_options {
    const char *config, *token;
    bool init;
};

DEFINE_CLEANUP(struct config *, config_free)
DEFINE_CLEANUP(struct pkcs11_worker *, pkcs11_worker_free)

static bool supervisor_parse(int argc, char **argv, struct supervisor_options *ret)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"token", required_argument, NULL, 't'},
        {"init", no_argument, NULL, 'i'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'c')
            ret->config = optarg;
        else if (c == 't')
            ret->token = optarg;
        else if (c == 'i')
            ret->init = true;
        else
            return false;
    }
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

static int supervisor_serve(const struct config *config, size_t index, struct fault *f)
{
    CLEANUP(pkcs11_worker_free_p) struct pkcs11_worker *worker = NULL;
    CLEANUP(close_p) int listen_fd = -1;
    uid_t caller = 0;

    enum esign_rc rc = config_caller(config, &caller, f);
    if (rc == ESIGN_OK)
        rc = worker_listen(config_token_str(config, index, "socket"), SOCK_SEQPACKET, 0600,
                           &listen_fd, f);
    if (rc == ESIGN_OK)
        rc = pkcs11_worker_new(config, index, &worker, f);
    if (rc != ESIGN_OK) {
        log_error("can't start: %s", f->detail);
        return EXIT_FAILURE;
    }
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
        fprintf(stderr, "usage: esign-token --config FILE --token NAME [--init]\n");
        return EXIT_USAGE;
    }
    enum esign_rc rc = secret_start(&fault);
    if (rc == ESIGN_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        rc = fault_set(&fault, ESIGN_E_INTERNAL, "PR_SET_NO_NEW_PRIVS is refused");
    if (rc == ESIGN_OK)
        rc = sandbox_confine_module(&fault);
    if (rc == ESIGN_OK)
        rc = config_load(options.config, &config, &fault);
    int index = rc == ESIGN_OK ? config_token_by_name(config, options.token) : -1;
    if (rc == ESIGN_OK && index < 0)
        rc = fault_set(&fault, ESIGN_E_POLICY, "the configuration has no token %s", options.token);
    if (rc != ESIGN_OK) {
        log_error("can't start: %s", fault.detail);
        return EXIT_FAILURE;
    }
    return options.init ? supervisor_init(config, (size_t)index, &fault)
                        : supervisor_serve(config, (size_t)index, &fault);
}
