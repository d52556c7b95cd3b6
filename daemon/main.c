/* esignd: decides and records.  Arguments to server_run(). */
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "sandbox/sanitizer.h"
#include "server.h"

static int main_usage(FILE *out, int code)
{
    fprintf(out, "usage: esignd [--config FILE] [--version] [--help]\n"
                 "The default FILE is /etc/esignd/esignd.conf; see esignd(8).\n");
    return code;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"version", no_argument, NULL, 'V'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *config = "/etc/esignd/esignd.conf";

    for (int c; (c = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            config = optarg;
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
    log_start("esignd", LOG_LEVEL_INFO);
    return server_run(config);
}
