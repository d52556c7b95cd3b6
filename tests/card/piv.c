#include "piv.h"

#include "base/cleanup.h"

enum {
    PIV_VERIFY = 0x20,
    PIV_CHANGE = 0x24,
    PIV_UNBLOCK = 0x2c,
    PIV_AUTHENTICATE = 0x87,
    PIV_SELECT = 0xa4,
    PIV_GET_DATA = 0xcb,
    PIV_PIN_REFERENCE = 0x80,
    PIV_PUK_REFERENCE = 0x81,
    PIV_OBJECT_MAX = SLOT_CERTIFICATE_MAX + 64,
    PIV_VALUE_MAX = 1024,
};

static const uint8_t piv_aid[] = {0xa0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00};
enum { PIV_AID_SHORT_LEN = 5 }; /* by which it may be selected too */

bool piv_secret_set(struct piv_secret *secret, const char *text, unsigned tries)
{
    size_t len = strlen(text);

    if (len > PIV_PIN_LEN)
        return false;
    memset(secret->value, 0xff, PIV_PIN_LEN);
    memcpy(secret->value, text, len);
    secret->tries = secret->tries_left = tries;
    return true;
}

void piv_reset(struct piv *piv)
{
    piv->verified = piv->verified_last = false;
}

bool piv_is_signature(struct bytes message)
{
    return message.len > 1 && message.data[1] == PIV_AUTHENTICATE;
}

/* Tag, length, value. */
static void piv_put(struct buf *out, struct bytes tag, struct bytes value)
{
    buf_put(out, tag);
    if (value.len > 0xff)
        buf_put_u8(out, 0x82);
    else if (value.len > 0x7f)
        buf_put_u8(out, 0x81);
    if (value.len > 0xff)
        buf_put_u8(out, (uint8_t)(value.len >> 8));
    buf_put_u8(out, (uint8_t)value.len);
    buf_put(out, value);
}

static void piv_put_byte(struct buf *out, uint8_t tag, struct bytes value)
{
    piv_put(out, bytes_of(&tag, 1), value);
}

/* The value of a tag of one byte among those side by side; false: it isn't there. */
static bool piv_find(struct bytes in, uint8_t tag, struct bytes *ret)
{
    for (size_t at = 0; at + 2 <= in.len;) {
        uint8_t found = in.data[at++];
        size_t len = in.data[at++];
        if (len > 0x80 && len <= 0x82) {
            size_t more = len - 0x80;
            for (len = 0; more > 0 && at < in.len; more--)
                len = len << 8 | in.data[at++];
        }
        if (len > in.len - at)
            return false;
        if (found == tag) {
            *ret = bytes_of(in.data + at, len);
            return true;
        }
        at += len;
    }
    return false;
}

static unsigned piv_select(const struct apdu *command, struct buf *out)
{
    static const uint8_t answer[] = {0x61, 0x11, 0x4f, 0x06, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00,
                                     0x79, 0x07, 0x4f, 0x05, 0xa0, 0x00, 0x00, 0x03, 0x08};
    struct bytes name = command->data;

    if (command->p1 != 0x04)
        return APDU_BAD_P1P2;
    if (name.len < PIV_AID_SHORT_LEN || name.len > sizeof(piv_aid) ||
        !bytes_equal(name, bytes_of(piv_aid, name.len)))
        return APDU_NOT_FOUND;
    buf_put(out, bytes_of(answer, sizeof(answer)));
    return APDU_OK;
}

/* The holder's unique identifier, from which the card's serial number is made. */
static void piv_put_chuid(const struct piv *piv, struct buf *out)
{
    static const uint8_t outer = 0x53;
    static const uint8_t agency[25] = {0xd4, 0xe7, 0x39, 0xda, 0x73, 0x9c, 0xed, 0x39, 0xce,
                                       0x73, 0x9d, 0x83, 0x68, 0x58, 0x21, 0x08, 0x42, 0x10,
                                       0x84, 0x21, 0xc8, 0x42, 0x10, 0xc3, 0xeb};
    CLEANUP(buf_done) struct buf value = buf_new(PIV_OBJECT_MAX);

    piv_put_byte(&value, 0x30, bytes_of(agency, sizeof(agency)));
    piv_put_byte(&value, 0x34, bytes_of(piv->guid, PIV_GUID_LEN));
    piv_put_byte(&value, 0x35, bytes_of_str("20991231"));
    piv_put_byte(&value, 0x3e, (struct bytes){0});
    piv_put_byte(&value, 0xfe, (struct bytes){0});
    piv_put(out, bytes_of(&outer, 1), buf_bytes(&value));
}

static void piv_put_certificate(const struct slot *slot, struct buf *out)
{
    static const uint8_t plain = 0;
    CLEANUP(buf_done) struct buf value = buf_new(PIV_OBJECT_MAX);

    piv_put_byte(&value, 0x70, buf_bytes(&slot->certificate));
    piv_put_byte(&value, 0x71, bytes_of(&plain, 1));
    piv_put_byte(&value, 0xfe, (struct bytes){0});
    piv_put_byte(out, 0x53, buf_bytes(&value));
}

static unsigned piv_get_data(const struct piv *piv, const struct apdu *command, struct buf *out)
{
    static const uint8_t discovery_tag[] = {0x7e}, chuid_tag[] = {0x5f, 0xc1, 0x02};
    /* only the PIN of the applet is used */
    static const uint8_t discovery[] = {0x7e, 0x12, 0x4f, 0x0b, 0xa0, 0x00, 0x00, 0x03, 0x08, 0x00,
                                        0x00, 0x10, 0x00, 0x01, 0x00, 0x5f, 0x2f, 0x02, 0x40, 0x00};
    struct bytes tag;

    if (command->p1 != 0x3f || command->p2 != 0xff)
        return APDU_BAD_P1P2;
    if (!piv_find(command->data, 0x5c, &tag))
        return APDU_BAD_DATA;
    const struct slot *slot = slots_by_object(piv->slots, tag);
    if (slot)
        piv_put_certificate(slot, out);
    else if (bytes_equal(tag, bytes_of(discovery_tag, sizeof(discovery_tag))))
        buf_put(out, bytes_of(discovery, sizeof(discovery)));
    else if (bytes_equal(tag, bytes_of(chuid_tag, sizeof(chuid_tag))))
        piv_put_chuid(piv, out);
    else
        return APDU_NOT_FOUND;
    return APDU_OK;
}

static unsigned piv_tries_left(const struct piv_secret *secret)
{
    return secret->tries_left == 0 ? APDU_PIN_BLOCKED : APDU_PIN_WRONG | secret->tries_left;
}

/* Compare a PIN or PUK and count. */
static unsigned piv_compare(struct piv *piv, struct piv_secret *secret, struct bytes given)
{
    if (secret->tries_left == 0)
        return APDU_PIN_BLOCKED;
    if (!bytes_equal(given, bytes_of(secret->value, PIV_PIN_LEN))) {
        secret->tries_left--;
        piv->refused_count++;
        return piv_tries_left(secret);
    }
    secret->tries_left = secret->tries;
    return APDU_OK;
}

static unsigned piv_verify(struct piv *piv, const struct apdu *command)
{
    if (command->p2 != PIV_PIN_REFERENCE)
        return APDU_NO_KEY;
    if (command->p1 == 0xff) { /* log out */
        piv->verified = false;
        return APDU_OK;
    }
    if (command->data.len == 0) /* only asked */
        return piv->verified ? APDU_OK : piv_tries_left(&piv->pin);
    unsigned status = piv_compare(piv, &piv->pin, command->data);
    piv->verified = piv->verified_last = status == APDU_OK;
    if (piv->verified)
        piv->verified_count++;
    return status;
}

/* A new PIN, allowed by the old one or by the PUK; or a new PUK, by the old one. */
static unsigned piv_change(struct piv *piv, const struct apdu *command)
{
    bool by_puk = command->ins == PIV_UNBLOCK || command->p2 == PIV_PUK_REFERENCE;
    bool new_puk = command->ins == PIV_CHANGE && command->p2 == PIV_PUK_REFERENCE;
    struct piv_secret *secret = new_puk ? &piv->puk : &piv->pin;

    if (command->p2 != PIV_PIN_REFERENCE && !new_puk)
        return APDU_NO_KEY;
    if (command->data.len != 2 * (size_t)PIV_PIN_LEN)
        return APDU_LENGTH;
    unsigned status =
        piv_compare(piv, by_puk ? &piv->puk : &piv->pin, bytes_of(command->data.data, PIV_PIN_LEN));
    if (status != APDU_OK)
        return status;
    memcpy(secret->value, command->data.data + PIV_PIN_LEN, PIV_PIN_LEN);
    secret->tries_left = secret->tries;
    return APDU_OK;
}

/* Whether the PIN that a key wants was given; last: by the command before this one. */
static bool piv_permits(const struct piv *piv, const struct slot *slot, bool last)
{
    switch (slot->type->pin) {
    case SLOT_PIN_NEVER:
        return true;
    case SLOT_PIN_ONCE:
        return piv->verified;
    case SLOT_PIN_ALWAYS:
        return piv->verified && last;
    }
    return false;
}

static unsigned piv_authenticate(struct piv *piv, const struct apdu *command, bool last,
                                 struct buf *out)
{
    CLEANUP(buf_done) struct buf value = buf_new(PIV_VALUE_MAX);
    CLEANUP(buf_done) struct buf response = buf_new(PIV_VALUE_MAX);
    struct bytes template, input;

    const struct slot *slot = slots_by_reference(piv->slots, command->p2);
    if (!slot)
        return APDU_NO_KEY;
    if (command->p1 != slot->type->algorithm)
        return APDU_BAD_P1P2;
    if (!piv_find(command->data, 0x7c, &template) || !piv_find(template, 0x81, &input))
        return APDU_BAD_DATA;
    if (!piv_permits(piv, slot, last))
        return APDU_NO_RIGHT;
    if (!slot_use(slot, input, &value))
        return APDU_BAD_DATA;
    piv_put_byte(&response, 0x82, buf_bytes(&value));
    piv_put_byte(out, 0x7c, buf_bytes(&response));
    piv->signature_count++;
    return APDU_OK;
}

unsigned piv_run(void *ctx, const struct apdu *command, struct buf *out)
{
    struct piv *piv = ctx;
    bool last = piv->verified_last;

    piv->verified_last = false;
    switch (command->ins) {
    case PIV_SELECT:
        return piv_select(command, out);
    case PIV_GET_DATA:
        return piv_get_data(piv, command, out);
    case PIV_VERIFY:
        return piv_verify(piv, command);
    case PIV_CHANGE:
    case PIV_UNBLOCK:
        return piv_change(piv, command);
    case PIV_AUTHENTICATE:
        return piv_authenticate(piv, command, last, out);
    default:
        return APDU_BAD_INS;
    }
}
