#include "pkcs11/softhsm.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { SOFTHSM_UUID_LEN = 36, SOFTHSM_SERIAL_LEN = 16 };

/* The value of directories.tokendir in a line of softhsm2.conf, cut out in place; NULL: another
 * line. */
static char *softhsm_token_directory(char *line)
{
    static const char name[] = "directories.tokendir";

    line += strspn(line, " \t");
    if (strncmp(line, name, sizeof(name) - 1) != 0)
        return NULL;
    line += sizeof(name) - 1;
    line += strspn(line, " \t");
    if (*line != '=')
        return NULL;
    line++;
    line += strspn(line, " \t");
    size_t len = strcspn(line, "#\r\n");
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    line[len] = '\0';
    return line;
}

DIR *softhsm_open_conf(const char *path, struct fault *f)
{
    char line[PATH_MAX + 64];

    CLEANUP(fclose_p) FILE *conf = fopen(path, "re");
    if (!conf) {
        (void)fault_cause(f, ESIGN_E_POLICY, (unsigned long)errno, "%.150s can't be read", path);
        return NULL;
    }
    while (fgets(line, sizeof(line), conf)) {
        char *directory = softhsm_token_directory(line);
        if (!directory)
            continue;
        DIR *dir = opendir(directory);
        if (!dir)
            (void)fault_cause(f, ESIGN_E_POLICY, (unsigned long)errno, "%.150s can't be read",
                              directory);
        return dir;
    }
    (void)fault_set(f, ESIGN_E_POLICY, "%.150s has no directories.tokendir", path);
    return NULL;
}

DIR *softhsm_open_directory(struct fault *f)
{
    const char *path = getenv("SOFTHSM2_CONF");

    return softhsm_open_conf(path ? path : "/etc/softhsm/softhsm2.conf", f);
}

/* A token's directory is called by a UUID, and its serial number is the UUID's last two groups. */
static bool softhsm_is_of_serial(const char *name, const char *serial)
{
    return strlen(name) == SOFTHSM_UUID_LEN && strlen(serial) == SOFTHSM_SERIAL_LEN &&
           strncmp(name + 19, serial, 4) == 0 && strcmp(name + 24, serial + 4) == 0;
}

enum esign_rc softhsm_protect_token(const char *serial, struct fault *f)
{
    CLEANUP(closedir_p) DIR *dir = softhsm_open_directory(f);
    struct dirent *entry;

    if (!dir)
        return ESIGN_E_POLICY;
    while ((entry = readdir(dir))) {
        char path[NAME_MAX + 16];
        if (!softhsm_is_of_serial(entry->d_name, serial))
            continue;
        (void)snprintf(path, sizeof(path), "%s/token.object", entry->d_name); /* has the room */
        CLEANUP(close_p) int fd = openat(dirfd(dir), path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fchmod(fd, 0444) != 0)
            return fault_cause(f, ESIGN_E_POLICY, (unsigned long)errno,
                               "%s can't be made read-only", path);
        return ESIGN_OK;
    }
    return fault_set(f, ESIGN_E_POLICY, "the new token's directory is not there");
}
