/* esign-hash: slow password hashes in a process of their own. */
#include <getopt.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "config/config.h"
#include "hash/service.h"

enum { MAIN_USAGE = 2, MAIN_GRACE_MS = 500 };

DEFINE_CLEANUP(struct config *, config_free)

static int main_serve(const struct config *config, struct fault *f)
{
    struct hash_service hash = {.iterations =
                                    (unsigned long long)config_int(config, "hash.iterations"),
                                .memory = (size_t)config_int(config, "hash.memory_kib") * 1024};
    struct worker_service service = {.name = "hash",
                                     .workers = (unsigned)config_int(config, "hash.workers"),
                                     .grace_ms = MAIN_GRACE_MS,
                                     .start = hash_service_start,
                                     .serve = hash_service_serve,
                                     .check = hash_service_check,
                                     .ctx = &hash};
    CLEANUP(close_p) int fd = -1;
    enum esign_rc rc = config_caller(config, &service.caller_uid, f);

    if (rc == ESIGN_OK)
        rc = worker_listen(config_str(config, "hash.socket"), SOCK_SEQPACKET, 0600, &fd, f);
    return rc == ESIGN_OK ? worker_supervise(fd, &service) : -1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    CLEANUP(config_free_p) struct config *config = NULL;
    const char *path = NULL;
    struct fault f = {0};

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c != 'c')
            return MAIN_USAGE;
        path = optarg;
    }
    log_start("esign-hash", LOG_LEVEL_INFO);
    if (!path || optind != argc) {
        fprintf(stderr, "usage: esign-hash --config FILE\n");
        return MAIN_USAGE;
    }
    enum esign_rc rc = secret_start(&f);
    if (rc == ESIGN_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        rc = fault_set(&f, ESIGN_E_INTERNAL, "PR_SET_NO_NEW_PRIVS is refused");
    if (rc == ESIGN_OK)
        rc = config_load(path, &config, &f);
    int code = rc == ESIGN_OK ? main_serve(config, &f) : -1;
    if (code < 0)
        log_error("can't start code=%s field=%s detail=\"%s\"", fault_name(f.rc), f.field,
                  f.detail);
    return code < 0 ? EXIT_FAILURE : code;
}
