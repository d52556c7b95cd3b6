/* A card used as esign-token uses it, without a service around it: session, login and signature of
 * the folder pkcs11, one step at a time.
 *
 * use CONFIG TOKEN
 *
 * Lines of standard input, each answered by one line, "OK …" or the fault as "E_HSM reason: text":
 *
 *   open       load the module, find the token, log in
 *   sign ID    32 bytes of zero with the key whose CKA_ID is the byte ID, in hexadecimal: the value
 *   bare ID    the same without the PIN that the key wants each time
 *   close      end the session and the module
 */
#include "base/cleanup.h"
#include "base/encode.h"
#include "pkcs11/sign.h"

enum { LINE_SIZE = 64, EXIT_USAGE = 2 };

DEFINE_CLEANUP(struct config *, config_free)

struct use {
    struct config *config;
    size_t index;
    struct pkcs11_session session;
};

static enum esign_rc use_open(struct use *u, struct fault *f)
{
    bool refused;

    return pkcs11_session_open(u->config, u->index, NULL, true, &u->session, &refused, f);
}

/* The private key with that id of one byte. */
static enum esign_rc use_find(const struct use *u, uint8_t id, struct pkcs11_key *ret,
                              struct fault *f)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_ID, &id, sizeof(id)}};
    CK_OBJECT_HANDLE handle = 0;
    CK_ULONG count = 0;

    enum esign_rc rc = pkcs11_session_find(&u->session, template, 2, &handle, 1, &count, f);
    if (rc == ESIGN_OK && count == 0)
        rc = fault_set(f, ESIGN_E_NOT_FOUND, "there is no such key");
    return rc == ESIGN_OK ? pkcs11_key_read(&u->session, handle, ret, f) : rc;
}

static enum esign_rc use_sign(struct use *u, const char *id, bool with_pin, struct buf *out,
                              struct fault *f)
{
    static const uint8_t digest[SHA256_LEN];
    uint8_t number = 0;
    struct pkcs11_key key = {0};

    if (decode_hex(id, &number, 1) != ESIGN_OK)
        return fault_set(f, ESIGN_E_PROTO, "an id is a byte in hexadecimal");
    enum esign_rc rc = use_find(u, number, &key, f);
    key.wants_pin = key.wants_pin && with_pin;
    return rc == ESIGN_OK
               ? pkcs11_sign_key(&u->session, &key, bytes_of(digest, SHA256_LEN), out, NULL, f)
               : rc;
}

static enum esign_rc use_obey(struct use *u, char *line, struct buf *out, struct fault *f)
{
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "open") == 0)
        return use_open(u, f);
    if (strcmp(line, "close") == 0) {
        pkcs11_session_close(&u->session);
        return ESIGN_OK;
    }
    if (u->session.calls && strncmp(line, "sign ", 5) == 0)
        return use_sign(u, line + 5, true, out, f);
    if (u->session.calls && strncmp(line, "bare ", 5) == 0)
        return use_sign(u, line + 5, false, out, f);
    return fault_set(f, ESIGN_E_PROTO, "not now, or not known: %.40s", line);
}

static void use_answer(enum esign_rc rc, const struct buf *value, const struct fault *f)
{
    if (rc == ESIGN_OK)
        fputs("OK ", stdout);
    else
        printf("%s %s: %s", fault_name(rc), f->reason, f->detail);
    for (size_t i = 0; rc == ESIGN_OK && i < value->len; i++)
        printf("%02x", value->data[i]);
    putchar('\n');
}

int main(int argc, char **argv)
{
    CLEANUP(config_free_p) struct config *config = NULL;
    struct fault fault = {0};
    char line[LINE_SIZE];

    enum esign_rc rc = argc == 3 ? secret_start(&fault) : ESIGN_E_PROTO;
    if (rc == ESIGN_OK)
        rc = config_load(argv[1], &config, &fault);
    int index = rc == ESIGN_OK ? config_token_by_name(config, argv[2]) : -1;
    if (index < 0) {
        fprintf(stderr, "usage: use CONFIG TOKEN\n%s\n", fault.detail);
        return EXIT_USAGE;
    }
    struct use use = {.config = config, .index = (size_t)index};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin)) {
        CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
        struct fault f = {0};
        rc = use_obey(&use, line, &value, &f);
        use_answer(rc, &value, &f);
    }
    pkcs11_session_close(&use.session);
    return EXIT_SUCCESS;
}
