/* Who has copies of store and token and knows the PIN, but not the signer's password: what can be
 * done to a key in custody K2.
 *
 *   thief token MODULE LABEL PIN_FILE KEK_ID [BLOB_FILE]
 *   thief time MODULE LABEL PIN_FILE KEK_ID BLOB_FILE
 *   thief open KEY_ROW CREDENTIAL_ROW < PASSWORD
 *
 * token: one line an attempt on the token, its name and OK or the code of the refusal; a blob is a
 * wrapped key.  time: median microseconds of unwrap, sign and destroy.  open: the opened blob of
 * these rows, to standard output. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <p11-kit/pkcs11.h>

#include "authn/seal.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "hash/keyed.h"

enum { THIEF_KEYS_MAX = 16, THIEF_FILE_MAX = 16384, THIEF_ID_LEN = 16, THIEF_ROOM = 4096 };

struct thief {
    CK_FUNCTION_LIST *calls;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE kek, keys[THIEF_KEYS_MAX];
    CK_ULONG key_count;
    uint8_t blob[THIEF_FILE_MAX];
    size_t blob_len;
};

static int thief_fail(const char *what)
{
    (void)fprintf(stderr, "thief: %s\n", what);
    return 1;
}

static void thief_tell(const char *attempt, CK_RV rv)
{
    if (rv == CKR_OK)
        (void)printf("%s OK\n", attempt);
    else
        (void)printf("%s 0x%lx\n", attempt, rv);
}

static size_t thief_read(const char *path, uint8_t *room, size_t size)
{
    CLEANUP(fclose_p) FILE *in = fopen(path, "re");

    return in ? fread(room, 1, size, in) : 0;
}

static CK_ULONG thief_find(const struct thief *t, CK_ATTRIBUTE *template, CK_ULONG count,
                           CK_OBJECT_HANDLE *ret, CK_ULONG max)
{
    CK_ULONG found = 0;

    if (t->calls->C_FindObjectsInit(t->session, template, count) != CKR_OK ||
        t->calls->C_FindObjects(t->session, ret, max, &found) != CKR_OK)
        found = 0;
    (void)t->calls->C_FindObjectsFinal(t->session);
    return found;
}

/* A session in which everything is allowed that the PIN allows. */
static bool thief_enter(struct thief *t, const char *label, const char *pin_file)
{
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16;
    CK_TOKEN_INFO info;
    uint8_t pin[64];
    size_t len = thief_read(pin_file, pin, sizeof(pin));

    if (t->calls->C_Initialize(NULL) != CKR_OK ||
        t->calls->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
        return false;
    for (CK_ULONG i = 0; i < count; i++)
        if (t->calls->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            strncmp((const char *)info.label, label, strlen(label)) == 0)
            return t->calls->C_OpenSession(slots[i], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
                                           NULL, &t->session) == CKR_OK &&
                   t->calls->C_Login(t->session, CKU_USER, pin, len) == CKR_OK;
    return false;
}

static CK_RV thief_read_value(struct thief *t, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type)
{
    uint8_t room[THIEF_ROOM];
    CK_ATTRIBUTE value = {type, room, sizeof(room)};

    return t->calls->C_GetAttributeValue(t->session, key, &value, 1);
}

static CK_RV thief_set(struct thief *t, CK_ATTRIBUTE_TYPE type, CK_BBOOL value)
{
    CK_ATTRIBUTE wanted = {type, &value, sizeof(value)};

    return t->calls->C_SetAttributeValue(t->session, t->kek, &wanted, 1);
}

static CK_RV thief_copy(struct thief *t)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE wanted = {CKA_DECRYPT, &yes, sizeof(yes)};
    CK_OBJECT_HANDLE copy;

    return t->calls->C_CopyObject(t->session, t->kek, &wanted, 1, &copy);
}

static CK_RV thief_decrypt(struct thief *t, CK_MECHANISM_TYPE type, size_t iv_len)
{
    uint8_t iv[16] = {0}, room[THIEF_ROOM];
    CK_MECHANISM mechanism = {type, iv_len ? iv : NULL, iv_len};
    CK_ULONG len = sizeof(room);
    CK_RV rv = t->calls->C_DecryptInit(t->session, &mechanism, t->kek);

    return rv == CKR_OK
               ? t->calls->C_Decrypt(t->session, t->blob, t->blob_len / 16 * 16, room, &len)
               : rv;
}

static CK_RV thief_wrap(struct thief *t, CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    uint8_t room[THIEF_ROOM];
    CK_ULONG len = sizeof(room);

    return t->calls->C_WrapKey(t->session, &mechanism, t->kek, key, room, &len);
}

/* What is unwrapped: hidden as esignd wants it, or not, on the token or in the session. */
static CK_RV thief_unwrap(struct thief *t, bool hidden, bool stays, CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof(class)},
        {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_TOKEN, stays ? &yes : &no, sizeof(yes)},
        {CKA_PRIVATE, &yes, sizeof(yes)},
        {CKA_SENSITIVE, hidden ? &yes : &no, sizeof(yes)},
        {CKA_EXTRACTABLE, hidden ? &no : &yes, sizeof(yes)},
        {CKA_SIGN, &yes, sizeof(yes)},
    };

    return t->calls->C_UnwrapKey(t->session, &mechanism, t->kek, t->blob, t->blob_len, template,
                                 sizeof(template) / sizeof(template[0]), ret);
}

static CK_RV thief_sign(struct thief *t, CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    uint8_t digest[32] = {1}, value[THIEF_ROOM];
    CK_ULONG len = sizeof(value);
    CK_RV rv = t->calls->C_SignInit(t->session, &mechanism, key);

    return rv == CKR_OK ? t->calls->C_Sign(t->session, digest, sizeof(digest), value, &len) : rv;
}

static void thief_try_kek(struct thief *t)
{
    thief_tell("read-kek", thief_read_value(t, t->kek, CKA_VALUE));
    thief_tell("decrypt-ecb", thief_decrypt(t, CKM_AES_ECB, 0));
    thief_tell("decrypt-cbc", thief_decrypt(t, CKM_AES_CBC, 16));
    thief_tell("decrypt-cbc-pad", thief_decrypt(t, CKM_AES_CBC_PAD, 16));
    thief_tell("set-decrypt", thief_set(t, CKA_DECRYPT, CK_TRUE));
    thief_tell("set-extractable", thief_set(t, CKA_EXTRACTABLE, CK_TRUE));
    thief_tell("set-modifiable", thief_set(t, CKA_MODIFIABLE, CK_TRUE));
    thief_tell("copy-decrypt", thief_copy(t));
    thief_tell("wrap-kek", thief_wrap(t, t->kek));
    for (CK_ULONG i = 0; i < t->key_count; i++) {
        thief_tell("wrap-key", thief_wrap(t, t->keys[i]));
        thief_tell("read-key", thief_read_value(t, t->keys[i], CKA_VALUE));
    }
}

static void thief_try_blob(struct thief *t)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;

    thief_tell("unwrap-readable", thief_unwrap(t, false, false, &key));
    thief_tell("unwrap-readable-token", thief_unwrap(t, false, true, &key));
    CK_RV rv = thief_unwrap(t, true, false, &key);
    thief_tell("unwrap-hidden", rv);
    if (rv != CKR_OK)
        return;
    thief_tell("read-unwrapped", thief_read_value(t, key, CKA_VALUE));
    thief_tell("wrap-unwrapped", thief_wrap(t, key));
    thief_tell("sign-unwrapped", thief_sign(t, key));
}

enum { TIME_ROUNDS = 101, TIME_PARTS = 3 };

static double thief_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* this clock is always there */
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int thief_compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* What a worker does with a key in custody K2, again and again. */
static void thief_time(struct thief *t)
{
    static const char *const names[TIME_PARTS] = {"unwrap", "sign", "destroy"};
    static double parts[TIME_PARTS][TIME_ROUNDS];

    for (size_t i = 0; i < TIME_ROUNDS; i++) {
        CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
        double at[TIME_PARTS + 1] = {thief_now_us()};
        CK_RV rv = thief_unwrap(t, true, false, &key);
        at[1] = thief_now_us();
        CK_RV signed_rv = thief_sign(t, key);
        at[2] = thief_now_us();
        CK_RV destroyed = t->calls->C_DestroyObject(t->session, key);
        at[3] = thief_now_us();
        if (rv != CKR_OK || signed_rv != CKR_OK || destroyed != CKR_OK)
            return;
        for (size_t k = 0; k < TIME_PARTS; k++)
            parts[k][i] = at[k + 1] - at[k];
    }
    for (size_t k = 0; k < TIME_PARTS; k++) {
        qsort(parts[k], TIME_ROUNDS, sizeof(parts[k][0]), thief_compare);
        (void)printf("%s %.0f\n", names[k], parts[k][TIME_ROUNDS / 2]);
    }
}

static int thief_token(int argc, char **argv)
{
    static struct thief t;
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY, private_key = CKO_PRIVATE_KEY;
    uint8_t id[THIEF_ID_LEN];
    CK_C_GetFunctionList list = NULL;
    void *module = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);

    if (module)
        *(void **)&list = dlsym(module, "C_GetFunctionList");
    if (!list || list(&t.calls) != CKR_OK || !thief_enter(&t, argv[3], argv[4]) ||
        decode_hex(argv[5], id, sizeof(id)) != ESIGN_OK)
        return thief_fail("the token can't be used");
    CK_ATTRIBUTE kek[] = {{CKA_CLASS, &secret, sizeof(secret)}, {CKA_ID, id, sizeof(id)}};
    CK_ATTRIBUTE keys[] = {{CKA_CLASS, &private_key, sizeof(private_key)}};
    if (thief_find(&t, kek, 2, &t.kek, 1) != 1)
        return thief_fail("there is no such wrapping key");
    t.key_count = thief_find(&t, keys, 1, t.keys, THIEF_KEYS_MAX);
    t.blob_len = argc > 6 ? thief_read(argv[6], t.blob, sizeof(t.blob)) : 64;
    if (strcmp(argv[1], "time") == 0) {
        thief_time(&t);
        return 0;
    }
    (void)printf("private-keys %lu\n", t.key_count);
    thief_try_kek(&t);
    if (argc > 6)
        thief_try_blob(&t);
    return 0;
}

static json_t *thief_row(const char *path)
{
    static uint8_t text[THIEF_FILE_MAX];
    json_t *row = NULL;
    size_t len = thief_read(path, text, sizeof(text));

    return json_parse_object(bytes_of(text, len), &row, NULL) == ESIGN_OK ? row : NULL;
}

static int thief_open(char **argv)
{
    CLEANUP(json_decref_p) json_t *row = thief_row(argv[2]);
    CLEANUP(json_decref_p) json_t *credential = thief_row(argv[3]);
    CLEANUP(buf_done) struct buf spki = buf_new(THIEF_ROOM);
    CLEANUP(buf_done) struct buf wrapped = buf_new_locked(THIEF_ROOM);
    char password[256];
    uint8_t key[HASH_KEY_LEN];
    bool right = false;
    struct seal_about about;
    size_t len = fread(password, 1, sizeof(password), stdin);

    if (!row || !credential || secret_start(NULL) != ESIGN_OK ||
        keyed_verify(json_str(credential, "phc"), bytes_of(password, len), &right, key, NULL) !=
            ESIGN_OK)
        return thief_fail("the rows can't be read");
    if (!right)
        return thief_fail("wrong password");
    struct secret *sealing = secret_new(bytes_of(key, sizeof(key)));
    enum esign_rc rc = seal_about_row(row, json_str(row, "signer_id"), json_str(row, "key"),
                                      json_int(credential, "seal", 0), &spki, &about, NULL);
    if (rc == ESIGN_OK)
        rc = seal_open(sealing, &about, json_object_get(row, "sealed"), &wrapped, NULL);
    secret_free(sealing);
    if (rc != ESIGN_OK || fwrite(wrapped.data, 1, wrapped.len, stdout) != wrapped.len)
        return thief_fail("the blob can't be opened");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 6 && (strcmp(argv[1], "token") == 0 || strcmp(argv[1], "time") == 0))
        return thief_token(argc, argv);
    if (argc == 4 && strcmp(argv[1], "open") == 0)
        return thief_open(argv);
    return thief_fail("wrong arguments");
}
