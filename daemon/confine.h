/* The sandbox of esignd: what the service may reach from its configuration on. */
#pragma once

#include "config/config.h"

/* Take away from this process what esignd never needs: to be called once the configuration is read
 * and before anything else is opened, while there is one thread.  config_path: its directory stays
 * readable, for a file that is replaced and read again.
 * ESIGN_E_INTERNAL: the caller must not go on. */
enum esign_rc confine_daemon(const struct config *c, const char *config_path,
                             struct fault *f) MUST_CHECK;
