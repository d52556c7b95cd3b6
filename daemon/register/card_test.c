/* Does the card do what it should: before its first use, and again as often as the policy says.  A
 * challenge of this site is signed by the card; also the end of a card by one officer.
 * Source: 21 CFR 11.300(c), (e). */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "cms/keys.h"
#include "register/register_internal.h"

enum { CARD_CHALLENGE_LEN = 16, CARD_VALUE_S = 120 };

/* The rows of a signer with a card. */
struct card_rows {
    json_t *key, *test, *policy; /* test: NULL if there was none */
    int64_t key_seq, test_seq;
};

static void card_rows_done(struct card_rows *r)
{
    json_decref(r->key);
    json_decref(r->test);
    json_decref(r->policy);
}

static enum esign_rc card_rows_get(struct site *s, const struct authn_person *person,
                                   struct card_rows *ret, struct fault *f)
{
    const char *id = json_str(person->signer, "key");
    enum esign_rc rc =
        id ? store_get(site_store(s), "key", id, &ret->key, &ret->key_seq, f) : ESIGN_E_NOT_FOUND;

    if (rc == ESIGN_E_NOT_FOUND || (rc == ESIGN_OK && strcmp(json_str(ret->key, "custody"), "K3")))
        return fault_reason(f, ESIGN_E_CRED_STATE, "no_card",
                            "no card is registered for this signer");
    if (rc == ESIGN_OK)
        rc = site_policy(s, &ret->policy, NULL, f);
    if (rc != ESIGN_OK)
        return rc;
    ret->test_seq = -1;
    rc = store_get(site_store(s), "cardtest", person->signer_id, &ret->test, &ret->test_seq, f);
    return rc == ESIGN_E_NOT_FOUND ? ESIGN_OK : rc;
}

/* What the card signs: nothing that could be the signed attributes of a signature, which begin with
 * the tag of a SET. */
static void card_digest(const json_t *test, uint8_t ret[SHA256_LEN])
{
    CLEANUP(buf_done) struct buf text = buf_new(512);

    buf_put_fmt(&text, "esignd card test\n%s\n%s\n%s\n", json_str(test, "signer_id"),
                json_str(test, "key"), json_str(test, "challenge"));
    bytes_sha256(buf_bytes(&text), (struct bytes){0}, ret);
}

/* What the terminal must know to have the card answer. */
static json_t *card_wanted(const struct card_rows *r, const json_t *test)
{
    uint8_t digest[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1], expires[CLOCK_TEXT];

    card_digest(test, digest);
    encode_hex(bytes_of(digest, sizeof(digest)), hex);
    clock_format_utc(json_int(test, "expires_ms", 0), expires);
    return json_pack("{s:s, s:s, s:s, s:O, s:O, s:O, s:s}", "state", "value-wanted", "challenge",
                     json_str(test, "challenge"), "digest", hex, "algorithm",
                     json_object_get(r->key, "algorithm"), "spki", json_object_get(r->key, "spki"),
                     "certificate", json_object_get(r->key, "certificate"), "expires_at", expires);
}

static struct audit_act card_act(const struct register_origin *origin,
                                 const struct authn_person *person, const char *action,
                                 const char *object)
{
    struct audit_act act = register_act(origin, person, action, object, NULL);

    act.actor.role = "signer";
    return act;
}

enum esign_rc register_card_challenge(struct site *s, const struct register_origin *origin,
                                      const struct authn_person *person, json_t **ret,
                                      struct fault *f)
{
    CLEANUP(card_rows_done) struct card_rows rows = {0};
    struct store_change change = {0};
    struct store_receipt receipt;
    uint8_t random[CARD_CHALLENGE_LEN];
    char challenge[2 * CARD_CHALLENGE_LEN + 1], object[80];
    enum esign_rc rc = card_rows_get(s, person, &rows, f);

    if (rc != ESIGN_OK)
        return rc;
    bytes_random(random, sizeof(random));
    encode_hex(bytes_of(random, sizeof(random)), challenge);
    int64_t expires_ms =
        clock_now_ms(site_clock(s)) + json_int(rows.policy, "card.value_s", CARD_VALUE_S) * 1000;
    CLEANUP(json_decref_p)
    json_t *test = json_pack("{s:s, s:s, s:s, s:I, s:s}", "signer_id", person->signer_id, "key",
                             json_str(rows.key, "key"), "challenge", challenge, "expires_ms",
                             (json_int_t)expires_ms, "state", "open");
    (void)snprintf(object, sizeof(object), "signer/%s", person->signer_id);
    site_put(&change, "cardtest", person->signer_id, test);
    site_guard(&change, "cardtest", person->signer_id, rows.test_seq);
    authn_settle_into(person, &change);
    CLEANUP(json_decref_p)
    json_t *new_value =
        json_pack("{s:O, s:s}", "key", json_object_get(rows.key, "key"), "challenge", challenge);
    struct audit_act act = card_act(origin, person, "card.challenge", object);
    act.new_value = new_value;
    rc = site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret = card_wanted(&rows, test);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

/* Whether value is the card's answer to the challenge that is open. */
static enum esign_rc card_check(struct site *s, const struct card_rows *r, const char *challenge,
                                struct bytes value, struct fault *f)
{
    CLEANUP(buf_done) struct buf certificate = buf_new(SITE_CERT_MAX);
    uint8_t digest[SHA256_LEN];
    bool right = false;

    if (!r->test || strcmp(json_str(r->test, "state"), "open") != 0 ||
        strcmp(json_str(r->test, "challenge"), challenge) != 0 ||
        strcmp(json_str(r->test, "key"), json_str(r->key, "key")) != 0)
        return fault_field(f, ESIGN_E_REPLAY, "challenge",
                           "this challenge is not open; ask for another");
    if (clock_now_ms(site_clock(s)) >= json_int(r->test, "expires_ms", 0))
        return fault_set(f, ESIGN_E_DEADLINE, "the card has answered too late; begin again");
    enum esign_rc rc = site_decode(r->key, "certificate", &certificate, f);
    if (rc != ESIGN_OK)
        return rc;
    card_digest(r->test, digest);
    rc = cms_keys_check(site_public_keys(s), buf_bytes(&certificate),
                        bytes_of(digest, sizeof(digest)), value, &right, f);
    if (rc == ESIGN_OK && !right)
        rc = fault_reason(f, ESIGN_E_HSM, "value",
                          "the card's answer is not a signature of the challenge by its key");
    return rc;
}

enum esign_rc register_card_tested(struct site *s, const struct register_origin *origin,
                                   const struct authn_person *person, const char *challenge,
                                   struct bytes value, json_t **ret, struct fault *f)
{
    CLEANUP(card_rows_done) struct card_rows rows = {0};
    struct store_change change = {0};
    struct store_receipt receipt;
    int64_t now_ms = clock_now_ms(site_clock(s));
    char at[CLOCK_TEXT], object[80];
    enum esign_rc rc = card_rows_get(s, person, &rows, f);

    if (rc == ESIGN_OK)
        rc = card_check(s, &rows, challenge, value, f);
    if (rc != ESIGN_OK)
        return rc;
    clock_format_utc(now_ms, at);
    if (json_object_set_new(rows.key, "tested", json_string(at)) != 0 ||
        json_object_set_new(rows.key, "tested_ms", json_integer(now_ms)) != 0 ||
        json_object_set_new(rows.test, "state", json_string("done")) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a test");
    (void)snprintf(object, sizeof(object), "signer/%s", person->signer_id);
    site_put(&change, "key", json_str(rows.key, "key"), rows.key);
    site_put(&change, "cardtest", person->signer_id, rows.test);
    site_guard(&change, "key", json_str(rows.key, "key"), rows.key_seq);
    site_guard(&change, "cardtest", person->signer_id, rows.test_seq); /* an answer counts once */
    authn_settle_into(person, &change);
    struct audit_act act = card_act(origin, person, "card.test", object);
    CLEANUP(json_decref_p)
    json_t *new_value = json_pack("{s:O, s:s, s:s}", "key", json_object_get(rows.key, "key"),
                                  "challenge", challenge, "tested", at);
    act.new_value = new_value;
    rc = site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret = json_pack("{s:s, s:O, s:s}", "state", "tested", "key", json_object_get(rows.key, "key"),
                     "tested", at);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

enum esign_rc register_revoke_card(struct site *s, const struct register_origin *origin,
                                   const struct authn_person *officer, const char *user_id,
                                   const char *reason, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *signer = NULL;
    CLEANUP(json_decref_p) json_t *key = NULL;
    struct store_change change = {0};
    struct store_receipt receipt;
    int64_t seq = -1, key_seq = -1;
    char object[80];
    enum esign_rc rc = authn_find_signer(site_store(s), user_id, &signer, &seq, f);

    const char *id = rc == ESIGN_OK ? json_str(signer, "key") : NULL;
    if (rc == ESIGN_OK)
        rc = id ? store_get(site_store(s), "key", id, &key, &key_seq, f) : ESIGN_E_NOT_FOUND;
    if ((rc == ESIGN_E_NOT_FOUND && signer) ||
        (rc == ESIGN_OK && strcmp(json_str(key, "custody"), "K3") != 0))
        return fault_reason(f, ESIGN_E_CONFLICT, "no_card", "no card of this signer is registered");
    if (rc != ESIGN_OK)
        return rc;
    (void)snprintf(object, sizeof(object), "signer/%s", json_str(signer, "signer_id"));
    if (json_object_set_new(key, "state", json_string("revoked")) != 0 ||
        json_object_del(signer, "key") != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    site_put(&change, "key", json_str(key, "key"), key);
    site_put(&change, "signer", json_str(signer, "signer_id"), signer);
    site_guard(&change, "key", json_str(key, "key"), key_seq);
    site_guard(&change, "signer", json_str(signer, "signer_id"), seq);
    authn_settle_into(officer, &change);
    CLEANUP(json_decref_p)
    json_t *old_value = json_pack("{s:O}", "key", json_object_get(key, "key"));
    struct audit_act act = register_act(origin, officer, "card.revoke", object, reason);
    act.old_value = old_value;
    rc = site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f);
    if (rc == ESIGN_OK)
        site_checkpoint_now(s);
    return rc;
}
