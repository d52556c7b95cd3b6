#include "pkcs11/card_serve.h"

#include "base/cleanup.h"
#include "base/reader.h"
#include "base/worker/child.h"
#include "base/worker/serve.h"
#include "pkcs11/card_op.h"
#include "pkcs11/ckr.h"
#include "pkcs11/key.h"
#include "pkcs11/public.h"

#include <openssl/err.h>
#include <time.h>

enum { CARD_SLOTS_MAX = 16, CARD_OBJECTS_MAX = 32, CARD_ID_MAX = 64, CARD_CERT_MAX = 8192 };
enum { CARD_GONE_LOOKS = 15, CARD_GONE_MS = 100 };

struct card_desk {
    const char *path;
    struct pkcs11_module *module; /* NULL: not loaded yet */
};

/* A card with the wanted key, in a session. */
struct card_found {
    struct pkcs11_session session;
    uint8_t id[CARD_ID_MAX]; /* CKA_ID of its certificate or public key */
    CK_ULONG id_len;
};

static void card_leave(struct card_found *c)
{
    if (c->session.calls) /* ends the login too; nothing is left to be done about a failure */
        (void)c->session.calls->C_CloseAllSessions(c->session.slot);
    *c = (struct card_found){0};
}

/* ---- looking for the card */

/* An attribute's bytes; 0: it has none that fit. */
static CK_ULONG card_attribute(const struct pkcs11_session *s, CK_OBJECT_HANDLE object,
                               CK_ATTRIBUTE_TYPE type, void *room, size_t size)
{
    CK_ATTRIBUTE asked = {type, room, size};

    if (s->calls->C_GetAttributeValue(s->handle, object, &asked, 1) != CKR_OK ||
        asked.ulValueLen > size)
        return 0;
    return asked.ulValueLen;
}

/* Whether a certificate is of that key.  It is parsed here, beside the module. */
static bool card_certificate_fits(const struct pkcs11_session *s, CK_OBJECT_HANDLE object,
                                  struct bytes spki)
{
    uint8_t der[CARD_CERT_MAX];
    const unsigned char *at = der;
    unsigned char *own = NULL;
    CK_ULONG len = card_attribute(s, object, CKA_VALUE, der, sizeof(der));
    CLEANUP(X509_free_p) X509 *cert = len > 0 ? d2i_X509(NULL, &at, (long)len) : NULL;
    int own_len = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &own) : -1;
    bool fits = own_len > 0 && bytes_equal(bytes_of(own, (size_t)own_len), spki);

    OPENSSL_free(own);
    ERR_clear_error(); /* one that can't be read is not the one */
    return fits;
}

static bool card_public_fits(const struct pkcs11_session *s, CK_OBJECT_HANDLE object,
                             struct bytes spki)
{
    CLEANUP(buf_done) struct buf own = buf_new(TOKEN_SPKI_MAX);
    struct pkcs11_key key = {0};

    return pkcs11_key_read(s, object, &key, NULL) == ESIGN_OK &&
           pkcs11_public_read(s, object, key.mechanism, &own, NULL) == ESIGN_OK &&
           bytes_equal(buf_bytes(&own), spki);
}

/* Whether an object of that class is of the key; its id. */
static bool card_class_has(struct card_found *c, CK_OBJECT_CLASS class, struct bytes spki)
{
    CK_OBJECT_HANDLE objects[CARD_OBJECTS_MAX];
    CK_ATTRIBUTE wanted = {CKA_CLASS, &class, sizeof(class)};
    CK_ULONG count = 0;

    if (pkcs11_session_find(&c->session, &wanted, 1, objects, CARD_OBJECTS_MAX, &count, NULL) !=
        ESIGN_OK)
        return false;
    for (CK_ULONG i = 0; i < count; i++) {
        if (class == CKO_CERTIFICATE ? !card_certificate_fits(&c->session, objects[i], spki)
                                     : !card_public_fits(&c->session, objects[i], spki))
            continue;
        c->id_len = card_attribute(&c->session, objects[i], CKA_ID, c->id, sizeof(c->id));
        return c->id_len > 0;
    }
    return false;
}

/* Look at one slot.  Whether it has the key; then the session stays open. */
static bool card_slot_has(CK_FUNCTION_LIST *calls, CK_SLOT_ID slot, struct bytes spki,
                          struct card_found *ret)
{
    *ret = (struct card_found){.session = {.calls = calls, .slot = slot}};
    if (calls->C_GetTokenInfo(slot, &ret->session.info) == CKR_OK &&
        calls->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &ret->session.handle) ==
            CKR_OK &&
        (card_class_has(ret, CKO_CERTIFICATE, spki) || card_class_has(ret, CKO_PUBLIC_KEY, spki)))
        return true;
    card_leave(ret);
    return false;
}

/* The card with that key.  A list of slots is asked for each time: some modules see a card that
 * came back only then. */
static enum esign_rc card_look(struct card_desk *desk, struct bytes spki, struct card_found *ret,
                               struct fault *f)
{
    CK_SLOT_ID slots[CARD_SLOTS_MAX];
    CK_ULONG count = CARD_SLOTS_MAX;
    struct fault why = {0};

    if (!desk->module && pkcs11_module_open(desk->path, &desk->module, &why) != ESIGN_OK)
        return fault_reason(f, ESIGN_E_HSM, "no_module", "%.180s", why.detail);
    CK_FUNCTION_LIST *calls = pkcs11_module_calls(desk->module);
    CK_RV rv = calls->C_GetSlotList(CK_TRUE, NULL, &count); /* lets the module look for readers */
    count = CARD_SLOTS_MAX;
    if (rv == CKR_OK)
        rv = calls->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv != CKR_OK)
        return fault_reason(f, ESIGN_E_HSM, "no_card", "the readers can't be listed: %s",
                            pkcs11_ckr_name(rv));
    for (CK_ULONG i = 0; i < count && i < CARD_SLOTS_MAX; i++)
        if (card_slot_has(calls, slots[i], spki, ret))
            return ESIGN_OK;
    return count == 0
               ? fault_reason(f, ESIGN_E_HSM, "no_card", "there is no card in any reader")
               : fault_reason(f, ESIGN_E_HSM, "other_card",
                              "no card that is there has the key registered for this signer");
}

/* ---- the PIN */

static unsigned card_flags(CK_FLAGS flags)
{
    static const struct {
        CK_FLAGS flag;
        unsigned told;
    } rows[] = {{CKF_USER_PIN_COUNT_LOW, CARD_PIN_LOW},
                {CKF_USER_PIN_FINAL_TRY, CARD_PIN_FINAL},
                {CKF_USER_PIN_LOCKED, CARD_PIN_LOCKED},
                {CKF_PROTECTED_AUTHENTICATION_PATH, CARD_PIN_PAD},
                {CKF_LOGIN_REQUIRED, CARD_PIN_ASKED}};
    unsigned told = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (flags & rows[i].flag)
            told |= rows[i].told;
    return told;
}

/* Whether the slot still has a card, as the module says when it looks at its readers anew. */
static bool card_in_slot(const struct card_found *c)
{
    CK_SLOT_ID slots[CARD_SLOTS_MAX];
    CK_ULONG count = CARD_SLOTS_MAX;

    (void)c->session.calls->C_GetSlotList(CK_TRUE, NULL, &count); /* for the look only */
    count = CARD_SLOTS_MAX;
    if (c->session.calls->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
        return false;
    for (CK_ULONG i = 0; i < count && i < CARD_SLOTS_MAX; i++)
        if (slots[i] == c->session.slot)
            return true;
    return false;
}

/* Whether a failure that could be anything is that of a card that was pulled out: some modules name
 * it badly and know it a moment later only. */
static bool card_has_gone(const struct card_found *c, CK_RV rv)
{
    const struct timespec moment = {.tv_nsec = CARD_GONE_MS * 1000000L};

    if (rv == CKR_DEVICE_REMOVED || rv == CKR_TOKEN_NOT_PRESENT)
        return true;
    if (pkcs11_ckr_class(rv) != PKCS11_CKR_GONE)
        return false;
    for (int i = 0; i < CARD_GONE_LOOKS; i++) {
        if (!card_in_slot(c))
            return true;
        (void)nanosleep(&moment, NULL); /* too short is harmless */
    }
    return false;
}

/* What a failed call means to the person at the terminal. */
static enum esign_rc card_failed(const struct card_found *c, CK_RV rv, const char *call,
                                 struct fault *f)
{
    CK_TOKEN_INFO now;
    bool there = c->session.calls->C_GetTokenInfo(c->session.slot, &now) == CKR_OK;

    if (rv == CKR_PIN_LOCKED || (there && (now.flags & CKF_USER_PIN_LOCKED)))
        return fault_reason(f, ESIGN_E_HSM, "pin_blocked",
                            "the card has blocked its PIN; its issuer or its PUK can unblock it");
    if (pkcs11_ckr_class(rv) == PKCS11_CKR_PIN)
        return fault_reason(f, ESIGN_E_HSM, "pin_wrong", "the PIN is wrong%s",
                            there && (now.flags & CKF_USER_PIN_FINAL_TRY)
                                ? "; one try is left before the card blocks it"
                                : "");
    if (!there || card_has_gone(c, rv))
        return fault_reason(f, ESIGN_E_HSM, "removed", "the card was removed: %s",
                            pkcs11_ckr_name(rv));
    return fault_reason(f, ESIGN_E_HSM, "key", "the card can't sign: %s: %s (0x%lx)", call,
                        pkcs11_ckr_name(rv), rv);
}

/* Empty on a reader with a PIN pad, which asks by itself. */
static CK_RV card_send_pin(const struct card_found *c, CK_USER_TYPE user, struct bytes pin)
{
    bool pad = c->session.info.flags & CKF_PROTECTED_AUTHENTICATION_PATH;
    CK_UTF8CHAR *text = pad ? NULL : (CK_UTF8CHAR *)(uintptr_t)pin.data; /* only read */
    CK_RV rv = c->session.calls->C_Login(c->session.handle, user, text, pad ? 0 : pin.len);

    return rv == CKR_USER_ALREADY_LOGGED_IN ||
                   (rv == CKR_USER_TYPE_INVALID && user == CKU_CONTEXT_SPECIFIC)
               ? CKR_OK
               : rv;
}

/* ---- signing */

/* The private key with the id that was found. */
static enum esign_rc card_key(struct card_found *c, struct pkcs11_key *ret, struct fault *f)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_ID, c->id, c->id_len}};
    CK_ULONG count = 0;
    struct fault why = {0};

    enum esign_rc rc = pkcs11_session_find(&c->session, wanted, 2, &object, 1, &count, &why);
    if (rc == ESIGN_OK && count == 1)
        rc = pkcs11_key_read(&c->session, object, ret, &why);
    if (rc == ESIGN_OK && count == 1)
        return ESIGN_OK;
    return fault_reason(f, ESIGN_E_HSM, "key", "the card does not show its key: %.120s",
                        why.detail);
}

static enum esign_rc card_make_value(struct card_found *c, const struct pkcs11_key *key,
                                     struct bytes digest, struct bytes pin, struct buf *reply,
                                     struct fault *f)
{
    CLEANUP(buf_done) struct buf input = buf_new(CARD_DIGEST_MAX + 32);
    CK_MECHANISM mechanism = {key->mechanism->sign, NULL, 0};
    uint8_t value[TOKEN_SIGNATURE_MAX];
    CK_ULONG len = sizeof(value);
    CK_FUNCTION_LIST *calls = c->session.calls;

    if (digest.len != key->mechanism->digest_len)
        return fault_reason(f, ESIGN_E_HSM, "key", "the card's key signs no such digest");
    pkcs11_mechanism_put_input(key->mechanism, digest, &input);
    if (!buf_ok(&input))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a digest");
    CK_RV rv = calls->C_SignInit(c->session.handle, &mechanism, key->handle);
    if (rv == CKR_OK && key->wants_pin)
        rv = card_send_pin(c, CKU_CONTEXT_SPECIFIC, pin);
    if (rv == CKR_OK)
        rv = calls->C_Sign(c->session.handle, input.data, input.len, value, &len);
    if (rv != CKR_OK)
        return card_failed(c, rv, "C_Sign", f);
    if (len > sizeof(value))
        return fault_reason(f, ESIGN_E_HSM, "key", "the card gave a value that is too long");
    return pkcs11_mechanism_put_value(key->mechanism, bytes_of(value, len), reply, f);
}

static enum esign_rc card_serve_find(struct card_desk *desk, struct reader *r, struct buf *reply,
                                     struct fault *f)
{
    CLEANUP(card_leave) struct card_found found = {0};
    char label[33], serial[17];
    struct bytes spki = reader_blob(r, TOKEN_SPKI_MAX);

    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    enum esign_rc rc = card_look(desk, spki, &found, f);
    if (rc != ESIGN_OK)
        return rc;
    pkcs11_unpad(found.session.info.label, sizeof(found.session.info.label), label);
    pkcs11_unpad(found.session.info.serialNumber, sizeof(found.session.info.serialNumber), serial);
    buf_put_blob(reply, bytes_of_str(label));
    buf_put_blob(reply, bytes_of_str(serial));
    buf_put_u8(reply, (uint8_t)card_flags(found.session.info.flags));
    return ESIGN_OK;
}

static enum esign_rc card_serve_sign(struct card_desk *desk, struct reader *r, struct buf *reply,
                                     struct fault *f)
{
    CLEANUP(card_leave) struct card_found found = {0};
    struct pkcs11_key key = {0};
    struct bytes spki = reader_blob(r, TOKEN_SPKI_MAX);
    struct bytes digest = reader_blob(r, CARD_DIGEST_MAX);
    struct bytes pin = reader_blob(r, SECRET_MAX);

    if (!reader_done(r))
        return fault_set(f, ESIGN_E_PROTO, "malformed body");
    enum esign_rc rc = card_look(desk, spki, &found, f);
    if (rc != ESIGN_OK)
        return rc;
    if (found.session.info.flags & CKF_USER_PIN_LOCKED)
        return card_failed(&found, CKR_PIN_LOCKED, "C_Login", f);
    CK_RV rv = found.session.info.flags & CKF_LOGIN_REQUIRED ? card_send_pin(&found, CKU_USER, pin)
                                                             : CKR_OK;
    if (rv != CKR_OK)
        return card_failed(&found, rv, "C_Login", f);
    rc = card_key(&found, &key, f);
    return rc == ESIGN_OK ? card_make_value(&found, &key, digest, pin, reply, f) : rc;
}

static enum esign_rc card_serve(void *ctx, const struct worker_request *request, struct buf *reply,
                                struct fault *f)
{
    struct reader r = reader_of(request->frame->body);

    if (request->frame->op == CARD_OP_FIND)
        return card_serve_find(ctx, &r, reply, f);
    if (request->frame->op == CARD_OP_SIGN)
        return card_serve_sign(ctx, &r, reply, f);
    return fault_set(f, ESIGN_E_UNSUPPORTED, "unknown operation %u", request->frame->op);
}

static void card_stop(void *ctx)
{
    struct card_desk *desk = ctx;

    pkcs11_module_free(desk->module);
}

int pkcs11_card_serve(const char *module)
{
    struct card_desk desk = {.path = module};
    const struct worker_service service = {.name = "card",
                                           .workers = 1,
                                           .has_secrets = true,
                                           .serve = card_serve,
                                           .stop = card_stop,
                                           .ctx = &desk};

    return worker_serve_once(WORKER_CHILD_FD, &service);
}
