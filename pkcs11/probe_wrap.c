/* Keys out of the token and back under a wrapping key (custody K2), and which padding a mechanism's
 * number means. */
#include "pkcs11/ckr.h"
#include "pkcs11/probe_internal.h"
#include "pkcs11/public.h"
#include "pkcs11/wrap.h"

#include "base/cleanup.h"

enum { WRAP_KEY_LEN = 32, WRAP_KNOWN_LEN = 20 };

/* A wrapping key of the session, as esignd would have one: to wrap and unwrap only.  unwrapped:
 * what the token shall demand of keys that it unwraps; NULL: nothing. */
static CK_RV wrap_make_key(const struct probe *p, CK_ATTRIBUTE *unwrapped, size_t unwrapped_size,
                           CK_OBJECT_HANDLE *ret)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ULONG len = WRAP_KEY_LEN;
    uint8_t id[TOKEN_KEY_ID_LEN];
    CK_ATTRIBUTE template[12] = {
        probe_flag(CKA_TOKEN, false),
        probe_flag(CKA_PRIVATE, true),
        probe_flag(CKA_SENSITIVE, true),
        probe_flag(CKA_EXTRACTABLE, false),
        probe_flag(CKA_WRAP, true),
        probe_flag(CKA_UNWRAP, true),
        probe_flag(CKA_ENCRYPT, false),
        probe_flag(CKA_DECRYPT, false),
        probe_attribute(CKA_VALUE_LEN, &len, sizeof(len)),
        probe_attribute(CKA_ID, id, sizeof(id)),
        probe_attribute(CKA_LABEL, PROBE_LABEL, sizeof(PROBE_LABEL) - 1),
    };
    CK_ULONG count = 11;

    probe_new_id(p, id);
    if (unwrapped)
        template[count++] = probe_attribute(CKA_UNWRAP_TEMPLATE, unwrapped, unwrapped_size);
    return p->s.calls->C_GenerateKey(p->s.handle, &mechanism, template, count, ret);
}

PROBE_TRY(probe_try_wrap_key)
{
    CK_MECHANISM decrypt = {CKM_AES_ECB, NULL, 0};

    (void)check;
    CK_RV rv = wrap_make_key(p, NULL, 0, &p->wrapping_key);
    if (!probe_worked(ret, rv, "C_GenerateKey"))
        return;
    rv = p->s.calls->C_DecryptInit(p->s.handle, &decrypt, p->wrapping_key);
    if (rv == CKR_OK)
        probe_say(ret, PROBE_FAIL, "a key that may only wrap also decrypts: it opens every blob");
    else
        probe_say(ret, PROBE_PASS, "AES-256, wraps and unwraps only; C_DecryptInit: %s",
                  pkcs11_ckr_name(rv));
}

/* A key of the session that may leave it wrapped, as in custody K2. */
static struct probe_pair wrap_pair(const struct probe *p, enum token_algorithm algorithm,
                                   bool trusted)
{
    const struct probe_wanted wanted = {.extractable = true, .wrap_with_trusted = trusted};
    struct probe_pair pair = {0};

    probe_new_id(p, pair.id);
    pair.made = probe_make_pair(p, algorithm, &wanted, &pair);
    return pair;
}

/* P-256 where the token has it, since it is made faster, else RSA-2048: the pair is destroyed by
 * the caller. */
static struct probe_pair wrap_any_pair(const struct probe *p, bool trusted,
                                       enum token_algorithm *ret_algorithm)
{
    struct probe_pair pair = wrap_pair(p, *ret_algorithm = TOKEN_P256, trusted);

    return pair.made == CKR_OK ? pair : wrap_pair(p, *ret_algorithm = TOKEN_RSA2048, trusted);
}

/* Open a blob with a key wrap of OpenSSL.  ret: TOKEN_WRAPPED_MAX bytes.  Its length, 0: it is
 * another.
 */
static size_t wrap_open(const char *name, const uint8_t key[WRAP_KEY_LEN], struct bytes blob,
                        uint8_t *ret)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int len = 0;

    if (context)
        EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    bool opened = cipher && context && blob.len <= TOKEN_WRAPPED_MAX / 2 &&
                  EVP_DecryptInit_ex2(context, cipher, key, NULL, NULL) == 1 &&
                  EVP_DecryptUpdate(context, ret, &len, blob.data, (int)blob.len) == 1;
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return opened && len > 0 ? (size_t)len : 0;
}

/* What a blob of WRAP_KNOWN_LEN known bytes, no multiple of a block, is under a known key. */
static const char *wrap_padding(const uint8_t key[WRAP_KEY_LEN],
                                const uint8_t known[WRAP_KNOWN_LEN], struct bytes blob)
{
    struct bytes wanted = bytes_of(known, WRAP_KNOWN_LEN);
    uint8_t out[TOKEN_WRAPPED_MAX];

    size_t len = wrap_open("AES-256-WRAP-PAD", key, blob, out);
    if (len >= wanted.len && bytes_equal(bytes_of(out, wanted.len), wanted))
        return len == wanted.len ? "RFC 5649" : "RFC 5649, of a key filled up with zeros before";
    len = wrap_open("AES-256-WRAP", key, blob, out);
    if (len <= wanted.len || !bytes_equal(bytes_of(out, wanted.len), wanted))
        return "a padding that is not known here";
    return out[len - 1] == len - wanted.len ? "RFC 3394 after PKCS#7 padding"
                                            : "RFC 3394 of a key filled up with zeros";
}

/* An object of known value that may be wrapped, or may wrap. */
static CK_RV wrap_known_object(const struct probe *p, CK_KEY_TYPE type, bool wraps,
                               struct bytes value, CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ATTRIBUTE template[] = {
        probe_attribute(CKA_CLASS, &class, sizeof(class)),
        probe_attribute(CKA_KEY_TYPE, &type, sizeof(type)),
        probe_flag(CKA_TOKEN, false),
        probe_flag(CKA_EXTRACTABLE, true),
        wraps ? probe_flag(CKA_WRAP, true) : probe_flag(CKA_SIGN, true),
        probe_attribute(CKA_VALUE, value.data, value.len),
    };

    return p->s.calls->C_CreateObject(p->s.handle, template, 6, ret);
}

/* Wrap 20 known bytes under a known key and see what OpenSSL makes of the blob. */
static const char *wrap_meaning(const struct probe *p, enum token_wrap wrap)
{
    CLEANUP(buf_done) struct buf blob = buf_new(TOKEN_WRAPPED_MAX);
    uint8_t key[WRAP_KEY_LEN], known[WRAP_KNOWN_LEN];
    struct pkcs11_wrapper wrapper = {.wrap = wrap};
    const char *meaning = "its padding is not known: the token takes no key from outside";
    CK_OBJECT_HANDLE what = 0;

    if (wrap == TOKEN_WRAP_CBC)
        return "CBC with PKCS#7 padding: it does not detect a changed blob";
    bytes_random(key, sizeof(key));
    bytes_random(known, sizeof(known));
    if (wrap_known_object(p, CKK_AES, true, bytes_of(key, sizeof(key)), &wrapper.kek) != CKR_OK)
        return meaning;
    if (wrap_known_object(p, CKK_GENERIC_SECRET, false, bytes_of(known, sizeof(known)), &what) ==
        CKR_OK) {
        if (pkcs11_wrap_out(&p->s, &wrapper, what, &blob, NULL) == ESIGN_OK)
            meaning = wrap_padding(key, known, buf_bytes(&blob));
        else
            meaning = wrap == TOKEN_WRAP_PLAIN ? "RFC 3394, whole blocks of 8 bytes only"
                                               : "its padding is not known";
        (void)p->s.calls->C_DestroyObject(p->s.handle, what); /* a session object */
    }
    (void)p->s.calls->C_DestroyObject(p->s.handle, wrapper.kek); /* a session object */
    return meaning;
}

/* Everything of one round trip. */
struct wrap_trip {
    struct pkcs11_wrapper wrapper;
    enum token_algorithm algorithm;
    struct probe_pair pair;
    struct buf blob, spki;
    struct fault fault;
};

static void wrap_trip_done(struct wrap_trip *trip)
{
    buf_done(&trip->blob);
    buf_done(&trip->spki);
}

/* A pair of the session goes out under wrapper.kek.  What failed is in the fault, its cause the
 * token's word. */
static enum esign_rc wrap_go(const struct probe *p, struct wrap_trip *trip)
{
    trip->blob = buf_new(TOKEN_WRAPPED_MAX);
    trip->spki = buf_new(TOKEN_SPKI_MAX);
    trip->pair = wrap_any_pair(p, false, &trip->algorithm);
    if (trip->pair.made != CKR_OK)
        return pkcs11_fail(&trip->fault, trip->pair.made, "C_GenerateKeyPair of a session key");
    enum esign_rc rc = pkcs11_public_read(&p->s, trip->pair.public_key,
                                          pkcs11_mechanism_by_algorithm(trip->algorithm),
                                          &trip->spki, &trip->fault);
    return rc == ESIGN_OK ? pkcs11_wrap_out(&p->s, &trip->wrapper, trip->pair.private_key,
                                            &trip->blob, &trip->fault)
                          : rc;
}

static enum esign_rc wrap_return(const struct probe *p, struct wrap_trip *trip, bool readable,
                                 CK_OBJECT_HANDLE *ret)
{
    const struct pkcs11_wrapped wrapped = {.mechanism =
                                               pkcs11_mechanism_by_algorithm(trip->algorithm),
                                           .blob = buf_bytes(&trip->blob),
                                           .spki = buf_bytes(&trip->spki),
                                           .readable = readable};

    return pkcs11_wrap_in(&p->s, &trip->wrapper, &wrapped, ret, &trip->fault);
}

/* What the token says of a changed blob. */
static const char *wrap_return_changed(const struct probe *p, struct wrap_trip *trip)
{
    CK_OBJECT_HANDLE key = 0;

    trip->blob.data[trip->blob.len / 2] ^= 1;
    if (wrap_return(p, trip, false, &key) != ESIGN_OK)
        return pkcs11_ckr_name(trip->fault.cause);
    (void)p->s.calls->C_DestroyObject(p->s.handle, key); /* a session object */
    return "taken as a key";
}

static void wrap_say_trip(const struct probe *p, struct wrap_trip *trip, CK_OBJECT_HANDLE back,
                          struct probe_result *ret)
{
    bool holds = false;
    CK_RV rv = probe_sign_checked(p, trip->algorithm, &trip->pair, back, &holds);

    if (!probe_worked(ret, rv, "C_Sign"))
        return;
    probe_say(ret, holds ? PROBE_PASS : PROBE_FAIL, "%s there and back in %zu bytes, %s: %s; ",
              token_algorithm_name(trip->algorithm), trip->blob.len,
              holds ? "signs" : "signs wrongly", wrap_meaning(p, trip->wrapper.wrap));
    size_t len = strlen(ret->detail);
    (void)snprintf(ret->detail + len, sizeof(ret->detail) - len, "a changed blob: %s",
                   wrap_return_changed(p, trip)); /* fits */
}

PROBE_TRY(probe_try_wrap)
{
    CLEANUP(wrap_trip_done) struct wrap_trip trip = {.wrapper = {0, check->wrap}};
    CK_OBJECT_HANDLE back = 0;

    /* after a crash this process has not made it yet */
    if (!p->wrapping_key && wrap_make_key(p, NULL, 0, &p->wrapping_key) != CKR_OK) {
        probe_say(ret, PROBE_UNTRIED, "the token made no wrapping key");
        return;
    }
    trip.wrapper.kek = p->wrapping_key;
    enum esign_rc rc = wrap_go(p, &trip);
    if (rc == ESIGN_OK)
        rc = wrap_return(p, &trip, false, &back);
    if (rc == ESIGN_OK) {
        wrap_say_trip(p, &trip, back, ret);
        (void)p->s.calls->C_DestroyObject(p->s.handle, back); /* a session object */
    } else if (probe_worked(ret, trip.fault.cause, "wrapping")) {
        probe_say(ret, PROBE_FAIL, "%s", trip.fault.detail);
    } else { /* a mechanism without padding does not take a key that is no number of blocks */
        bool blocks = check->wrap == TOKEN_WRAP_PLAIN && trip.fault.cause == CKR_DATA_LEN_RANGE;
        probe_say(ret, blocks ? PROBE_ABSENT : ret->verdict, "%s", trip.fault.detail);
    }
    if (ret->verdict == PROBE_PASS && p->wrap == 0)
        p->wrap = check->wrap;
    if (trip.pair.made == CKR_OK)
        probe_destroy_pair(p, &trip.pair);
}

PROBE_TRY(probe_try_unwrap_template)
{
    CK_ATTRIBUTE demands[] = {probe_flag(CKA_SENSITIVE, true), probe_flag(CKA_EXTRACTABLE, false)};
    CLEANUP(wrap_trip_done) struct wrap_trip trip = {.wrapper = {0, p->wrap}};
    CK_OBJECT_HANDLE back = 0;

    (void)check;
    CK_RV rv = p->wrap == 0 ? CKR_MECHANISM_INVALID
                            : wrap_make_key(p, demands, sizeof(demands), &trip.wrapper.kek);
    if (rv != CKR_OK) {
        probe_say(ret, p->wrap == 0 ? PROBE_UNTRIED : PROBE_ABSENT,
                  p->wrap == 0 ? "no mechanism wraps" : "no such wrapping key: %s",
                  pkcs11_ckr_name(rv));
        return;
    }
    if (wrap_go(p, &trip) != ESIGN_OK) {
        probe_say(ret, PROBE_FAIL, "%s", trip.fault.detail);
    } else if (wrap_return(p, &trip, true, &back) != ESIGN_OK) {
        probe_say(ret, PROBE_PASS, "enforced: %s", pkcs11_ckr_name(trip.fault.cause));
    } else {
        bool readable = probe_read_flag(p, back, CKA_SENSITIVE) == 0 ||
                        probe_read_flag(p, back, CKA_EXTRACTABLE) == 1;
        probe_say(ret, readable ? PROBE_WARN : PROBE_PASS, "%s",
                  readable ? "stored, not enforced: a blob came back as a readable key"
                           : "enforced: the key came back as the template says");
        (void)p->s.calls->C_DestroyObject(p->s.handle, back); /* a session object */
    }
    (void)p->s.calls->C_DestroyObject(p->s.handle, trip.wrapper.kek); /* a session object */
    if (trip.pair.made == CKR_OK)
        probe_destroy_pair(p, &trip.pair);
}

PROBE_TRY(probe_try_trusted)
{
    const struct pkcs11_wrapper wrapper = {p->wrapping_key, p->wrap};
    CLEANUP(buf_done) struct buf blob = buf_new(TOKEN_WRAPPED_MAX);
    enum token_algorithm algorithm = TOKEN_P256;
    struct fault f = {0};

    (void)check;
    if (p->wrap == 0) {
        probe_say(ret, PROBE_UNTRIED, "no mechanism wraps");
        return;
    }
    struct probe_pair pair = wrap_any_pair(p, true, &algorithm);
    if (pair.made != CKR_OK) {
        probe_say(ret, PROBE_ABSENT, "no key with CKA_WRAP_WITH_TRUSTED: %s",
                  pkcs11_ckr_name(pair.made));
        return;
    }
    if (pkcs11_wrap_out(&p->s, &wrapper, pair.private_key, &blob, &f) == ESIGN_OK)
        probe_say(ret, PROBE_WARN, "stored, not enforced: a key without CKA_TRUSTED wrapped it");
    else
        probe_say(ret, PROBE_PASS, "enforced: %s", pkcs11_ckr_name(f.cause));
    probe_destroy_pair(p, &pair);
}
