#include "confine.h"

#include <libgen.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "sandbox/sandbox.h"

enum { CONFINE_PATH_SIZE = 4096 };

/* The directory of a path; "" if the path is too long, which then is no rule. */
static const char *confine_folder(const char *path, char text[CONFINE_PATH_SIZE])
{
    int len = snprintf(text, CONFINE_PATH_SIZE, "%s", path);

    return len < CONFINE_PATH_SIZE ? dirname(text) : "";
}

/* SQLite and jansson take their seeds from /dev/urandom. */
static enum esign_rc confine_files(const struct config *c, const char *config_path, struct fault *f)
{
    char store[CONFINE_PATH_SIZE], anchor[CONFINE_PATH_SIZE];
    char socket[CONFINE_PATH_SIZE], config[CONFINE_PATH_SIZE];
    const struct sandbox_path paths[] = {
        {confine_folder(config_str(c, "store.path"), store), SANDBOX_READ | SANDBOX_WRITE},
        {confine_folder(config_str(c, "audit.anchor"), anchor), SANDBOX_READ | SANDBOX_WRITE},
        {config_str(c, "backup.directory"), SANDBOX_READ | SANDBOX_WRITE},
        {confine_folder(config_str(c, "socket.path"), socket), SANDBOX_LISTEN},
        {confine_folder(config_path, config), SANDBOX_READ},
        {config_str(c, "policy.directory"), SANDBOX_READ},
        {"/usr/share/zoneinfo", SANDBOX_READ},
        {"/etc/localtime", SANDBOX_READ},
        {"/dev/urandom", SANDBOX_READ},
#ifdef ESIGN_SANITIZE
        {"/proc/self", SANDBOX_READ}, /* the sanitizers read their own maps */
#endif
    };

    return sandbox_landlock(paths, sizeof(paths) / sizeof(*paths), f);
}

enum esign_rc confine_daemon(const struct config *c, const char *config_path, struct fault *f)
{
    /* what the library would else open later */
    if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1)
        return fault_set(f, ESIGN_E_INTERNAL, "the cryptographic library does not start");
    enum esign_rc rc = confine_files(c, config_path, f);
    return rc == ESIGN_OK ? sandbox_confine_daemon(f) : rc;
}
