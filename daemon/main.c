/* esignd: decides and records.  Arguments to server_run(). */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "check.h"
#include "sandbox/sanitizer.h"
#include "server.h"

static int main_usage(FILE *out, int code)
{
    fprintf(out, "usage: esignd [--config FILE] [--check DIR] [--version] [--help]\n"
                 "The default FILE is /etc/esignd/esignd.conf; see esignd(8).\n");
    return code;
}

/* A request's memory is given back to the allocator, not to the system: unmapping it interrupts
 * every other thread, several times a request.  Each arena keeps a little. */
enum { MAIN_KEPT = 512 * 1024 };

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", required_argument, NULL, 'k'},
                                            {"version", no_argument, NULL, 'V'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *config = "/etc/esignd/esignd.conf", *check = NULL;

    for (int c; (c = getopt_long(argc, argv, "c:k:Vh", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            config = optarg;
            break;
        case 'k':
            check = optarg;
            break;
        case 'V':
            printf("esignd %s\n", ESIGN_VERSION);
            return 0;
        case 'h':
            return main_usage(stdout, 0);
        default:
            return main_usage(stderr, 2);
        }
    }
    if (optind != argc)
        return main_usage(stderr, 2);
    (void)umask(0077); /* never fails */
    /* refused, it only costs time */
    (void)mallopt(M_TRIM_THRESHOLD, MAIN_KEPT);
    log_start("esignd", LOG_LEVEL_INFO);
    return check ? check_run(check) : server_run(config);
}
