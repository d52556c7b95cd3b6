#include "pkcs11/known.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    KNOWN_FILE_MAX = 4096,
    KNOWN_SALT_LEN = 16,
    KNOWN_HASH_LEN = 32,
    KNOWN_SCRYPT_N = 32768, /* with r = 8: 32 MiB and about 0.1 s a guess */
    KNOWN_SCRYPT_R = 8,
    KNOWN_SCRYPT_MEMORY = 64 * 1024 * 1024,
};

static const char known_serial_file[] = "esign-token.serial";
static const char known_pins_file[] = "esign-token.refused";

/* Salt and hashes as they stand in the file: lines of hexadecimal. */
struct known_pins {
    uint8_t salt[KNOWN_SALT_LEN];
    uint8_t hashes[PKCS11_KNOWN_PINS_MAX][KNOWN_HASH_LEN];
    size_t count;
};

/* The path of a file, empty: there is no folder for it. */
static void known_path(const char *file, const char *suffix, char ret[PATH_MAX])
{
    const char *folder = getenv("STATE_DIRECTORY");

    ret[0] = '\0';
    if (!folder || folder[0] != '/')
        return;
    int len = snprintf(ret, PATH_MAX, "%.*s/%s%s", (int)strcspn(folder, ":"), folder, file, suffix);
    if (len < 0 || len >= PATH_MAX)
        ret[0] = '\0';
}

/* Content of a file, cleared before; empty where there is none. */
static enum esign_rc known_read(const char *file, struct buf *ret, struct fault *f)
{
    char path[PATH_MAX];

    buf_clear(ret);
    known_path(file, "", path);
    if (path[0] == '\0')
        return ESIGN_OK;
    CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return ESIGN_OK;
    uint8_t *room = buf_reserve(ret, KNOWN_FILE_MAX);
    ssize_t len = fd >= 0 && room ? read(fd, room, KNOWN_FILE_MAX) : -1;
    if (len < 0)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "%.150s can't be read", path);
    ret->len = (size_t)len;
    return ESIGN_OK;
}

/* Write all of it to a new file beside the old one, and put that in its place. */
static bool known_replace(const char *path, const char *new_path, struct bytes content)
{
    CLEANUP(close_p)
    int fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    return fd >= 0 && fchmod(fd, 0600) == 0 &&
           write(fd, content.data, content.len) == (ssize_t)content.len && fsync(fd) == 0 &&
           rename(new_path, path) == 0;
}

static enum esign_rc known_write(const char *file, const struct buf *content, struct fault *f)
{
    char path[PATH_MAX], new_path[PATH_MAX];

    known_path(file, "", path);
    known_path(file, ".new", new_path);
    if (path[0] == '\0' || new_path[0] == '\0')
        return ESIGN_OK;
    if (!buf_ok(content) || !known_replace(path, new_path, buf_bytes(content)))
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "%.150s can't be written",
                           path);
    return ESIGN_OK;
}

enum esign_rc pkcs11_known_serial(char ret[PKCS11_SERIAL_LEN + 1], struct fault *f)
{
    CLEANUP(buf_done) struct buf content = buf_new(KNOWN_FILE_MAX);

    enum esign_rc rc = known_read(known_serial_file, &content, f);
    size_t len = 0;
    while (len < content.len && content.data[len] != '\n')
        len++;
    if (rc == ESIGN_OK && len > PKCS11_SERIAL_LEN)
        rc = fault_set(f, ESIGN_E_INTERNAL, "%s is damaged", known_serial_file);
    if (rc != ESIGN_OK)
        return rc;
    for (size_t i = 0; i < len; i++)
        ret[i] = (char)content.data[i];
    ret[len] = '\0';
    return ESIGN_OK;
}

enum esign_rc pkcs11_known_set_serial(const char *serial, struct fault *f)
{
    CLEANUP(buf_done) struct buf content = buf_new(KNOWN_FILE_MAX);
    char present[PKCS11_SERIAL_LEN + 1];

    if (pkcs11_known_serial(present, NULL) == ESIGN_OK && strcmp(present, serial) == 0)
        return ESIGN_OK;
    buf_put_fmt(&content, "%s\n", serial);
    return known_write(known_serial_file, &content, f);
}

/* Take the next line of hexadecimal of len bytes. */
static bool known_take_hex(struct bytes *at, uint8_t *ret, size_t len)
{
    char line[2 * KNOWN_HASH_LEN + 1];

    if (at->len < 2 * len + 1 || at->data[2 * len] != '\n')
        return false;
    memcpy(line, at->data, 2 * len);
    line[2 * len] = '\0';
    *at = bytes_of(at->data + 2 * len + 1, at->len - 2 * len - 1);
    return decode_hex(line, ret, len) == ESIGN_OK;
}

/* What is kept of refused PINs; nothing: count 0 and a new salt. */
static enum esign_rc known_read_pins(struct known_pins *ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf content = buf_new(KNOWN_FILE_MAX);

    *ret = (struct known_pins){0};
    enum esign_rc rc = known_read(known_pins_file, &content, f);
    if (rc != ESIGN_OK)
        return rc;
    if (content.len == 0)
        return RAND_bytes(ret->salt, KNOWN_SALT_LEN) == 1
                   ? ESIGN_OK
                   : fault_set(f, ESIGN_E_INTERNAL, "no random bytes");
    struct bytes at = buf_bytes(&content);
    bool good = known_take_hex(&at, ret->salt, KNOWN_SALT_LEN);
    while (good && at.len > 0 && ret->count < PKCS11_KNOWN_PINS_MAX)
        good = known_take_hex(&at, ret->hashes[ret->count++], KNOWN_HASH_LEN);
    return good && at.len == 0
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "%s is damaged: remove it once the PIN is right",
                           known_pins_file);
}

/* scrypt of the PIN for the token with this serial number. */
static bool known_hash(const struct known_pins *pins, const char *serial, struct bytes pin,
                       uint8_t ret[KNOWN_HASH_LEN])
{
    CLEANUP(buf_done) struct buf salt = buf_new(KNOWN_SALT_LEN + PKCS11_SERIAL_LEN);

    buf_put(&salt, bytes_of(pins->salt, KNOWN_SALT_LEN));
    buf_put_str(&salt, serial);
    return buf_ok(&salt) &&
           EVP_PBE_scrypt((const char *)pin.data, pin.len, salt.data, salt.len, KNOWN_SCRYPT_N,
                          KNOWN_SCRYPT_R, 1, KNOWN_SCRYPT_MEMORY, ret, KNOWN_HASH_LEN) == 1;
}

enum esign_rc pkcs11_known_check_pin(const char *serial, struct bytes pin, struct fault *f)
{
    struct known_pins pins;
    uint8_t hash[KNOWN_HASH_LEN];

    if (known_read_pins(&pins, f) != ESIGN_OK)
        return fault_reason(f, ESIGN_E_HSM, "pin", "the PIN is not sent: %.120s",
                            f ? f->detail : "");
    if (pins.count == 0)
        return ESIGN_OK;
    if (!known_hash(&pins, serial, pin, hash))
        return fault_reason(f, ESIGN_E_HSM, "pin", "the PIN is not sent: no memory to compare it");
    for (size_t i = 0; i < pins.count; i++)
        if (bytes_equal(bytes_of(hash, KNOWN_HASH_LEN), bytes_of(pins.hashes[i], KNOWN_HASH_LEN)))
            return fault_reason(
                f, ESIGN_E_HSM, "pin",
                "the token has refused this PIN and is not asked again: correct the "
                "credential; if the token's PIN was changed to this one, remove "
                "%s from the service's state",
                known_pins_file);
    return ESIGN_OK;
}

enum esign_rc pkcs11_known_refuse_pin(const char *serial, struct bytes pin, struct fault *f)
{
    CLEANUP(buf_done) struct buf content = buf_new(KNOWN_FILE_MAX);
    struct known_pins pins;
    uint8_t hash[KNOWN_HASH_LEN];
    char hex[2 * KNOWN_HASH_LEN + 1];

    enum esign_rc rc = known_read_pins(&pins, f);
    if (rc != ESIGN_OK)
        return rc;
    if (!known_hash(&pins, serial, pin, hash))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a refused PIN");
    encode_hex(bytes_of(pins.salt, KNOWN_SALT_LEN), hex);
    buf_put_fmt(&content, "%s\n", hex);
    for (size_t i = pins.count == PKCS11_KNOWN_PINS_MAX ? 1 : 0; i < pins.count; i++) {
        encode_hex(bytes_of(pins.hashes[i], KNOWN_HASH_LEN), hex);
        buf_put_fmt(&content, "%s\n", hex);
    }
    encode_hex(bytes_of(hash, KNOWN_HASH_LEN), hex);
    buf_put_fmt(&content, "%s\n", hex);
    return known_write(known_pins_file, &content, f);
}

void pkcs11_known_forget_pins(void)
{
    char path[PATH_MAX];

    known_path(known_pins_file, "", path);
    if (path[0] != '\0')
        (void)unlink(path); /* mostly there is none */
}
