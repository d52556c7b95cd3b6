#include "config/config.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

enum esign_rc config_caller(const struct config *c, uid_t *ret, struct fault *f)
{
    const char *name = config_str(c, "users.daemon");

    if (strcmp(config_str(c, "separation"), "none") == 0) {
        *ret = getuid();
        return ESIGN_OK;
    }
    const struct passwd *user = getpwnam(name);
    if (!user)
        return fault_field(f, ESIGN_E_POLICY, "users.daemon", "there is no user %s", name);
    *ret = user->pw_uid;
    return ESIGN_OK;
}
