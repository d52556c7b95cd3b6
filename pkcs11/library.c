#include "pkcs11/library.h"

#include "base/cleanup.h"
#include "base/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>

static enum esign_rc library_unreadable(const char *path, struct fault *f)
{
    int error = errno;

    return fault_reason(f, ESIGN_E_HSM, "unavailable", "%.120s: %s", path, strerror(error));
}

static bool library_digest(int fd, EVP_MD_CTX *context, uint8_t ret[SHA256_LEN])
{
    uint8_t part[16 * 1024];
    ssize_t n;

    if (EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        return false;
    while ((n = read(fd, part, sizeof(part))) > 0)
        if (EVP_DigestUpdate(context, part, (size_t)n) != 1)
            return false;
    return n == 0 && EVP_DigestFinal_ex(context, ret, NULL) == 1;
}

/* From the beginning of an open file. */
static enum esign_rc library_hash_fd(int fd, const char *path, char ret[PKCS11_HASH_TEXT],
                                     struct fault *f)
{
    CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t hash[SHA256_LEN];

    if (!context || !library_digest(fd, context, hash))
        return library_unreadable(path, f);
    encode_hex(bytes_of(hash, SHA256_LEN), ret);
    return ESIGN_OK;
}

enum esign_rc pkcs11_library_hash(const char *path, char ret[PKCS11_HASH_TEXT], struct fault *f)
{
    CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? library_unreadable(path, f) : library_hash_fd(fd, path, ret, f);
}

/* Whether the open file is the wanted one. */
static enum esign_rc library_compare(const struct pkcs11_library *library, const char *wanted,
                                     struct fault *f)
{
    uint8_t bytes[SHA256_LEN];
    char hash[PKCS11_HASH_TEXT];

    if (decode_hex(wanted, bytes, SHA256_LEN) != ESIGN_OK)
        return fault_reason(f, ESIGN_E_HSM, "module",
                            "module_sha256 must be 64 characters of 0-9 and a-f");
    enum esign_rc rc = library_hash_fd(library->fd, library->path, hash, f);
    if (rc == ESIGN_OK && strcmp(hash, wanted) != 0)
        return fault_reason(f, ESIGN_E_HSM, "module",
                            "the module's file was changed and is not loaded; if that is meant: "
                            "module_sha256 = \"%s\"",
                            hash);
    return rc;
}

enum esign_rc pkcs11_library_open(const char *path, const char *wanted, struct pkcs11_library *ret,
                                  struct fault *f)
{
    *ret = (struct pkcs11_library){.path = path, .fd = -1};
    if (path[0] != '/')
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "%.120s: not an absolute path", path);
    if (wanted[0] == '\0')
        return ESIGN_OK;
    ret->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (ret->fd < 0 || fstat(ret->fd, &ret->seen) != 0)
        return library_unreadable(path, f);
    (void)snprintf(ret->open_name, sizeof(ret->open_name), "/proc/self/fd/%d", ret->fd); /* fits */
    return library_compare(ret, wanted, f);
}

void pkcs11_library_close(struct pkcs11_library *library)
{
    close_p(&library->fd);
    library->fd = -1;
}

const char *pkcs11_library_name(const struct pkcs11_library *library)
{
    return library->fd >= 0 ? library->open_name : library->path;
}

bool pkcs11_library_is_unchanged(const struct pkcs11_library *library)
{
    const struct stat *seen = &library->seen;
    struct stat now;

    if (library->fd < 0)
        return true;
    return fstat(library->fd, &now) == 0 && now.st_size == seen->st_size &&
           now.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == seen->st_mtim.tv_nsec &&
           now.st_ctim.tv_sec == seen->st_ctim.tv_sec &&
           now.st_ctim.tv_nsec == seen->st_ctim.tv_nsec;
}
