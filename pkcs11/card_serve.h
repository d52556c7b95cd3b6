/* esign-token --card: a signer's own card, in a child of the command `esign`. */
#pragma once

/* Serve descriptor WORKER_CHILD_FD until it is closed.  module: path of the PKCS#11 module, loaded
 * with the first request.  Returns the program's exit code. */
int pkcs11_card_serve(const char *module);
