/* Files of tokens: PINs, the directory of a token's service, SoftHSM's token.object. */
#pragma once

#include "base/secret.h"

#include <sys/types.h>

/* Make a file of mode 0400 with a random PIN, replacing one.  ESIGN_E_POLICY (cause errno). */
enum esign_rc token_files_new_pin(const char *path, struct fault *f) MUST_CHECK;

/* Copy a PIN file (secret_read_file) to a new file of mode 0400.  owner: (uid_t)-1 keeps it. */
enum esign_rc token_files_copy_pin(const char *from, const char *to, uid_t owner,
                                   struct fault *f) MUST_CHECK;

/* Make a directory of mode 0700 for that user, and the one above it, unless they exist. */
enum esign_rc token_files_directory(const char *path, uid_t owner, gid_t group,
                                    struct fault *f) MUST_CHECK;

/* SoftHSM truncates and rewrites token.object at each login, and a process that is killed meanwhile
 * destroys the token: give each token.object below directory to root with mode 0444.  Symbolic
 * links are not followed.  Nothing to do without such files. */
enum esign_rc token_files_protect(const char *directory, struct fault *f) MUST_CHECK;
