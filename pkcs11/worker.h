/* What a worker of esign-token does: open the token once, then answer operations. */
#pragma once

#include "base/worker/serve.h"
#include "config/config.h"

enum {
    PKCS11_RETRY_MS = 1000,     /* a worker without token answers so long, then a new one tries */
    PKCS11_RETRY_PIN_MS = 5000, /* the same where the PIN can't be sent */
    PKCS11_GRACE_MS = 500,
};

struct pkcs11_worker;

/* The state of later workers: made before the fork, opens nothing.  config: borrowed. */
enum esign_rc pkcs11_worker_new(const struct config *config, size_t index,
                                struct pkcs11_worker **ret, struct fault *f) MUST_CHECK;
void pkcs11_worker_free(struct pkcs11_worker *worker);

/* The service that worker_supervise runs: its callbacks on worker, and the configured numbers.
 * Borrows from worker and its configuration.  caller: the user of esignd. */
struct worker_service pkcs11_worker_service(struct pkcs11_worker *worker, uid_t caller);

/* A process with a module needs no capability.  Where it is started as root this also keeps SoftHSM
 * from writing to a read-only token.object.  ESIGN_E_INTERNAL. */
enum esign_rc pkcs11_worker_drop_capabilities(struct fault *f) MUST_CHECK;
