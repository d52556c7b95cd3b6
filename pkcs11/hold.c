#include "pkcs11/hold.h"

#include "base/cleanup.h"
#include "pkcs11/softhsm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

static const char *hold_conf(const struct config *config, size_t index)
{
    static const char name[] = "SOFTHSM2_CONF=";
    const char *line;

    for (size_t i = 0; (line = config_token_environment(config, index, i)); i++)
        if (strncmp(line, name, sizeof(name) - 1) == 0)
            return line + sizeof(name) - 1;
    return NULL;
}

enum esign_rc pkcs11_hold_directory(const struct config *config, size_t index, int *ret_fd,
                                    struct fault *f)
{
    const char *conf = hold_conf(config, index);
    CLEANUP(closedir_p) DIR *dir = conf ? softhsm_open_conf(conf, NULL) : NULL;

    *ret_fd = -1;
    if (!dir)
        return ESIGN_OK;
    CLEANUP(close_p) int fd = fcntl(dirfd(dir), F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) != 0)
        return fault_set(f, ESIGN_E_CONFLICT,
                         "the token's directory is being restored (esign token restore)");
    *ret_fd = TAKE_FD(fd);
    return ESIGN_OK;
}
