/* esign-hash: slow password hashes, in processes of their own. */
#include "base/cleanup.h"
#include "base/log.h"
#include "hash/service.h"
#include "sandbox/sandbox.h"
#include "sandbox/sanitizer.h"

#include <getopt.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { EXIT_USAGE = 2 };

DEFINE_CLEANUP(struct config *, config_free)

/* The value of --config, the only option; NULL: wrong usage. */
static const char *main_parse(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    const char *config = NULL;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c != 'c')
            return NULL;
        config = optarg;
    }
    return optind == argc ? config : NULL;
}

static enum esign_rc main_prepare(const char *path, struct config **ret_config, uid_t *ret_caller,
                                  int *ret_fd, struct fault *f)
{
    enum esign_rc rc = secret_start(f);

    if (rc == ESIGN_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        rc = fault_set(f, ESIGN_E_INTERNAL, "PR_SET_NO_NEW_PRIVS is refused");
    if (rc == ESIGN_OK)
        rc = config_load(path, ret_config, f);
    if (rc == ESIGN_OK)
        rc = config_caller(*ret_config, ret_caller, f);
    if (rc == ESIGN_OK)
        rc = worker_listen(config_str(*ret_config, "hash.socket"), SOCK_SEQPACKET, 0600, ret_fd, f);
    return rc;
}

int main(int argc, char **argv)
{
    CLEANUP(config_free_p) struct config *config = NULL;
    CLEANUP(close_p) int listen_fd = -1;
    struct fault fault = {0};
    uid_t caller = 0;

    log_start("esign-hash", LOG_LEVEL_INFO);
    const char *path = main_parse(argc, argv);
    if (!path) {
        fprintf(stderr, "usage: esign-hash --config FILE\n");
        return EXIT_USAGE;
    }
    if (main_prepare(path, &config, &caller, &listen_fd, &fault) != ESIGN_OK) {
        log_error("can't start: %s", fault.detail);
        return EXIT_FAILURE;
    }
    struct hash_service hash = hash_service_of(config);
    if (sandbox_landlock(NULL, 0, &fault) != ESIGN_OK ||
        sandbox_confine_supervisor(&fault) != ESIGN_OK) {
        log_error("can't start: %s", fault.detail);
        return EXIT_FAILURE;
    }
    const struct worker_service service = hash_worker_service(&hash, config, caller);
    return worker_supervise(listen_fd, &service);
}
