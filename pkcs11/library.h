/* The file of a PKCS#11 module: which bytes are loaded. */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

#include <sys/stat.h>

enum { PKCS11_HASH_TEXT = 2 * SHA256_LEN + 1, PKCS11_LIBRARY_NAME = 32 };

struct pkcs11_library {
    const char *path;                    /* borrowed */
    int fd;                              /* of a wanted file; -1: any file will do */
    struct stat seen;                    /* before it was hashed */
    char open_name[PKCS11_LIBRARY_NAME]; /* of the open file */
};

/* SHA-256 of a file in hexadecimal.  ESIGN_E_HSM reason "unavailable": it can't be read. */
enum esign_rc pkcs11_library_hash(const char *path, char ret[PKCS11_HASH_TEXT],
                                  struct fault *f) MUST_CHECK;

/* Open a module's file and see that it is the wanted one, before anything of it is loaded.
 * path: absolute; wanted: SHA-256 of the file in hexadecimal, "": any will do.  The libraries that
 * the file needs itself are not looked at.  ret: holds the file open until pkcs11_library_close().
 * ESIGN_E_HSM reason "module": it is another file, or wanted is no such text; "unavailable": it
 * can't be read.
 * Source: 21 CFR 11.10(a), (e): a changed module is not used before somebody has said so. */
enum esign_rc pkcs11_library_open(const char *path, const char *wanted, struct pkcs11_library *ret,
                                  struct fault *f) MUST_CHECK;
void pkcs11_library_close(struct pkcs11_library *library);

/* The name by which to load it, of a wanted file that of the open one: what stands at its path a
 * moment later is not loaded.  Borrowed. */
const char *pkcs11_library_name(const struct pkcs11_library *library);

/* Whether nobody has written into a wanted file since it was opened: asked once it is loaded. */
bool pkcs11_library_is_unchanged(const struct pkcs11_library *library);
