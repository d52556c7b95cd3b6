#include "slot.h"

#include "base/cleanup.h"

#include <limits.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

enum { SLOT_VALUE_MAX = 512, SLOT_DAYS = 3650 };

static const struct slot_type slot_types[SLOT_COUNT] = {
    {"9a", 0x9a, 0x07, {0x5f, 0xc1, 0x05}, SLOT_PIN_ONCE, NULL, 2048},
    {"9c", 0x9c, 0x11, {0x5f, 0xc1, 0x0a}, SLOT_PIN_ALWAYS, "P-256", 0},
    {"9e", 0x9e, 0x11, {0x5f, 0xc1, 0x01}, SLOT_PIN_NEVER, "P-256", 0},
};

static bool slot_failed(const char *path, const char *what)
{
    fprintf(stderr, "card: %s: %s\n", path, what);
    return false;
}

static bool slot_path(const char *directory, const char *name, const char *end, char ret[PATH_MAX])
{
    int len = snprintf(ret, PATH_MAX, "%s/%s.%s", directory, name, end);

    return len > 0 && len < PATH_MAX;
}

static bool slot_make_key(struct slot *slot, const char *path)
{
    slot->key =
        slot->type->group ? EVP_EC_gen(slot->type->group) : EVP_RSA_gen((unsigned)slot->type->bits);
    CLEANUP(fclose_p) FILE *file = fopen(path, "wxe");
    if (!slot->key || !file || !PEM_write_PrivateKey(file, slot->key, NULL, NULL, 0, NULL, NULL))
        return slot_failed(path, "the key can't be made");
    return true;
}

static bool slot_load_key(const char *directory, struct slot *slot)
{
    char path[PATH_MAX];

    if (!slot_path(directory, slot->type->name, "key", path))
        return slot_failed(directory, "the name is too long");
    CLEANUP(fclose_p) FILE *file = fopen(path, "re");
    if (!file)
        return slot_make_key(slot, path);
    slot->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    return slot->key || slot_failed(path, "this is no private key");
}

/* A certificate of the key for itself. */
static X509 *slot_self_certificate(const struct slot *slot)
{
    CLEANUP(X509_free_p) X509 *x = X509_new();
    char name[32];

    (void)snprintf(name, sizeof(name), "Card key %s", slot->type->name); /* two letters */
    X509_NAME *subject = x ? X509_get_subject_name(x) : NULL;
    if (!subject || !X509_set_version(x, X509_VERSION_3) ||
        !ASN1_INTEGER_set(X509_get_serialNumber(x), slot->type->reference) ||
        !X509_gmtime_adj(X509_getm_notBefore(x), 0) ||
        !X509_gmtime_adj(X509_getm_notAfter(x), SLOT_DAYS * 86400L) ||
        !X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                    -1, 0) ||
        !X509_set_issuer_name(x, subject) || !X509_set_pubkey(x, slot->key) ||
        !X509_sign(x, slot->key, EVP_sha256()))
        return NULL;
    return TAKE(x);
}

static bool slot_make_certificate(const struct slot *slot, const char *path)
{
    CLEANUP(X509_free_p) X509 *x = slot_self_certificate(slot);
    CLEANUP(fclose_p) FILE *file = x ? fopen(path, "wxe") : NULL;

    return (file && i2d_X509_fp(file, x) == 1) ||
           slot_failed(path, "the certificate can't be made");
}

static bool slot_load_certificate(const char *directory, struct slot *slot)
{
    char path[PATH_MAX];

    if (!slot_path(directory, slot->type->name, "crt", path))
        return slot_failed(directory, "the name is too long");
    if (access(path, F_OK) != 0 && !slot_make_certificate(slot, path))
        return false;
    CLEANUP(fclose_p) FILE *file = fopen(path, "re");
    CLEANUP(X509_free_p) X509 *x = file ? d2i_X509_fp(file, NULL) : NULL;
    int len = x ? i2d_X509(x, NULL) : 0;
    buf_clear(&slot->certificate);
    uint8_t *room = len > 0 ? buf_reserve(&slot->certificate, (size_t)len) : NULL;
    return (room && i2d_X509(x, &room) == len) || slot_failed(path, "this is no certificate");
}

bool slots_load_certificates(const char *directory, struct slot slots[SLOT_COUNT])
{
    for (size_t i = 0; i < SLOT_COUNT; i++)
        if (!slot_load_certificate(directory, &slots[i]))
            return false;
    return true;
}

bool slots_load(const char *directory, struct slot slots[SLOT_COUNT])
{
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        slots[i] =
            (struct slot){.type = &slot_types[i], .certificate = buf_new(SLOT_CERTIFICATE_MAX)};
        if (!slot_load_key(directory, &slots[i]))
            return false;
    }
    return slots_load_certificates(directory, slots);
}

void slots_done(struct slot slots[SLOT_COUNT])
{
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        EVP_PKEY_free(slots[i].key);
        buf_done(&slots[i].certificate);
    }
}

const struct slot *slots_by_reference(const struct slot slots[SLOT_COUNT], uint8_t reference)
{
    for (size_t i = 0; i < SLOT_COUNT; i++)
        if (slots[i].type->reference == reference)
            return &slots[i];
    return NULL;
}

const struct slot *slots_by_object(const struct slot slots[SLOT_COUNT], struct bytes tag)
{
    for (size_t i = 0; i < SLOT_COUNT; i++)
        if (bytes_equal(tag, bytes_of(slots[i].type->object, sizeof(slots[i].type->object))))
            return &slots[i];
    return NULL;
}

bool slot_use(const struct slot *slot, struct bytes input, struct buf *out)
{
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(slot->key, NULL);
    uint8_t value[SLOT_VALUE_MAX];
    size_t len = sizeof(value);
    bool done = false;

    if (ctx && slot->type->group)
        done = EVP_PKEY_sign_init(ctx) == 1 &&
               EVP_PKEY_sign(ctx, value, &len, input.data, input.len) == 1;
    else if (ctx) /* the card raises to the private power; who asks has padded */
        done = EVP_PKEY_decrypt_init(ctx) == 1 &&
               EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1 &&
               EVP_PKEY_decrypt(ctx, value, &len, input.data, input.len) == 1;
    if (done)
        buf_put(out, bytes_of(value, len));
    return done;
}
