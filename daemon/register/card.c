/* A signer's own card: its key is registered by two persons and certified by this site's CA.
 *
 * The card's certificate says which key is on it and who vouched for the card; signatures carry a
 * certificate of this site over the same key, so that names, times and revocation are those of the
 * register and one anchor verifies all modes of custody.
 * Source: 21 CFR 11.100(a), 11.300(b), (c); requirements 1.6 and 3.3. */
#include <stdio.h>
#include <string.h>

#include "authz/authz.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "cms/certificate.h"
#include "register/register_internal.h"

static const struct json_field card_fields[] = {
    {"user_id", JSON_FIELD_STR, true, 64},
    {"certificate", JSON_FIELD_STR, true, DOCUMENT_ANCHOR_MAX / 3 * 4 + 4},
};

/* What was found out about a card. */
struct card {
    json_t *policy, *facts; /* owned */
    struct buf certificate, spki;
    char key[2 * TOKEN_KEY_ID_LEN + 1]; /* name of the key's row */
    char print[2 * SHA256_LEN + 1];     /* SHA-256 of the certificate */
};

static struct card card_new(void)
{
    return (struct card){.certificate = buf_new(DOCUMENT_ANCHOR_MAX),
                         .spki = buf_new(TOKEN_SPKI_MAX)};
}

static void card_done(struct card *c)
{
    json_decref(c->policy);
    json_decref(c->facts);
    buf_done(&c->certificate);
    buf_done(&c->spki);
}

/* Who must have issued the card's certificate; nobody in particular if the policy names none. */
static enum esign_rc card_issuers(const json_t *policy, struct buf ders[DOCUMENT_ANCHORS_MAX],
                                  struct bytes anchors[DOCUMENT_ANCHORS_MAX], size_t *ret_count,
                                  struct fault *f)
{
    const json_t *list = json_object_get(json_object_get(policy, "card"), "issuers");

    for (size_t i = 0; i < json_array_size(list) && i < DOCUMENT_ANCHORS_MAX; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        ders[i] = buf_new(DOCUMENT_ANCHOR_MAX);
        *ret_count = i + 1;
        if (!text || decode_base64(text, strlen(text), &ders[i]) != ESIGN_OK)
            return fault_field(f, ESIGN_E_POLICY, "card.issuers",
                               "card.issuers.%zu is no certificate in base64", i);
        anchors[i] = buf_bytes(&ders[i]);
    }
    return ESIGN_OK;
}

enum esign_rc register_card_check_policy(const json_t *policy, struct fault *f)
{
    struct buf ders[DOCUMENT_ANCHORS_MAX];
    struct bytes anchors[DOCUMENT_ANCHORS_MAX];
    const json_t *card = json_object_get(policy, "card");
    const json_t *issuers = json_object_get(card, "issuers");
    int64_t value_s = json_int(card, "value_s", -1), test_days = json_int(card, "test_days", -1);
    size_t count = 0;

    if (!card)
        return ESIGN_OK; /* the policies of early sites have none */
    if (value_s < 10 || value_s > 600)
        return fault_field(f, ESIGN_E_POLICY, "card.value_s", "card.value_s must be 10 to 600");
    if (test_days < 0 || test_days > 3650)
        return fault_field(f, ESIGN_E_POLICY, "card.test_days", "card.test_days must be 0 to 3650");
    if (!json_is_array(issuers) || json_array_size(issuers) > DOCUMENT_ANCHORS_MAX)
        return fault_field(f, ESIGN_E_POLICY, "card.issuers",
                           "card.issuers is a list of at most %d certificates",
                           DOCUMENT_ANCHORS_MAX);
    enum esign_rc rc = card_issuers(policy, ders, anchors, &count, f);
    for (size_t i = 0; i < count; i++)
        buf_done(&ders[i]);
    return rc;
}

/* Have esign-document read the certificate. */
static enum esign_rc card_read(struct site *s, struct card *c, struct fault *f)
{
    struct buf ders[DOCUMENT_ANCHORS_MAX];
    struct bytes anchors[DOCUMENT_ANCHORS_MAX];
    size_t count = 0;
    enum esign_rc rc = card_issuers(c->policy, ders, anchors, &count, f);

    const struct document_certificate wanted = {.der = buf_bytes(&c->certificate),
                                                .anchors = anchors,
                                                .anchor_count = count,
                                                .at_ms = clock_now_ms(site_clock(s))};
    if (rc == ESIGN_OK)
        rc = document_certificate_facts(site_document(s), &wanted, register_later(s), &c->facts, f);
    for (size_t i = 0; i < count; i++)
        buf_done(&ders[i]);
    return rc;
}

static bool card_algorithm_allowed(const struct card *c)
{
    const json_t *allowed = json_object_get(c->policy, "signer_algorithms");
    const char *algorithm = json_str(c->facts, "algorithm");

    for (size_t i = 0; algorithm && i < json_array_size(allowed); i++)
        if (strcmp(json_string_value(json_array_get(allowed, i)), algorithm) == 0)
            return true;
    return false;
}

/* Whether what was read is a card that may sign here. */
static enum esign_rc card_judge(const struct card *c, struct fault *f)
{
    static const char field[] = "params.certificate";
    bool issuers = json_array_size(json_object_get(json_object_get(c->policy, "card"), "issuers"));
    const char *structure = json_str(c->facts, "structure"), *chain = json_str(c->facts, "chain");

    if (!structure || strcmp(structure, "ok") != 0)
        return fault_field(f, ESIGN_E_FORMAT, field, "this is not one certificate in DER");
    if (!card_algorithm_allowed(c))
        return fault_field(f, ESIGN_E_POLICY, field,
                           "the policy does not allow this card's kind of key (%s)",
                           json_str(c->facts, "algorithm") ? json_str(c->facts, "algorithm") : "");
    if (!json_flag(c->facts, "signing"))
        return fault_field(f, ESIGN_E_POLICY, field,
                           "the card's certificate is not for signing (its key usage)");
    if (!json_flag(c->facts, "valid"))
        return fault_reason(f, ESIGN_E_CRED_STATE, "expired",
                            "the card's certificate has expired or is not valid yet");
    if (issuers && (!chain || strcmp(chain, "ok") != 0))
        return fault_field(f, ESIGN_E_POLICY, field,
                           "the card's certificate is of no issuer that the policy names: %.80s",
                           json_str(c->facts, "detail") ? json_str(c->facts, "detail") : "");
    return ESIGN_OK;
}

/* The key's bytes.  The helper has read them; that they stand in the certificate is seen here, so
 * that it can't put another key in their place. */
static enum esign_rc card_take_key(struct card *c, struct fault *f)
{
    uint8_t hash[SHA256_LEN];
    enum esign_rc rc = site_decode(c->facts, "spki", &c->spki, f);

    if (rc != ESIGN_OK)
        return rc;
    if (c->spki.len < 32 ||
        !memmem(c->certificate.data, c->certificate.len, c->spki.data, c->spki.len))
        return fault_set(f, ESIGN_E_INTERNAL, "facts contradict the card's certificate");
    bytes_sha256(buf_bytes(&c->spki), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, TOKEN_KEY_ID_LEN), c->key);
    bytes_sha256(buf_bytes(&c->certificate), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), c->print);
    return ESIGN_OK;
}

/* One key, one signer, for ever.  Source: 21 CFR 11.100(a). */
static enum esign_rc card_check_unused(struct site *s, const struct card *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    CLEANUP(json_decref_p) json_t *same = NULL;
    enum esign_rc rc = store_get(site_store(s), "key", c->key, &row, NULL, f);

    if (rc == ESIGN_E_NOT_FOUND)
        rc =
            store_list(site_store(s), "key", "spki", json_str(c->facts, "spki"), NULL, 1, &same, f);
    if (rc != ESIGN_OK)
        return rc;
    return row || json_array_size(same) > 0
               ? fault_field(f, ESIGN_E_ID_USED, "params.certificate",
                             "this key is or was a signer's; a key is used once, by one person")
               : ESIGN_OK;
}

/* All about the card whose certificate is text (base64). */
static enum esign_rc card_find(struct site *s, const char *text, struct card *c, struct fault *f)
{
    enum esign_rc rc = site_policy(s, &c->policy, NULL, f);

    if (rc == ESIGN_OK && decode_base64(text, strlen(text), &c->certificate) != ESIGN_OK)
        rc = fault_field(f, ESIGN_E_PROTO, "params.certificate",
                         "the certificate must be base64 of at most %d bytes of DER",
                         DOCUMENT_ANCHOR_MAX);
    if (rc == ESIGN_OK)
        rc = card_read(s, c, f);
    if (rc == ESIGN_OK)
        rc = card_judge(c, f);
    if (rc == ESIGN_OK)
        rc = card_take_key(c, f);
    return rc == ESIGN_OK ? card_check_unused(s, c, f) : rc;
}

/* Whether the policy gives this signer a card. */
static enum esign_rc card_check_signer(const json_t *policy, const json_t *signer, struct fault *f)
{
    const char *state = json_str(signer, "state");

    if (strcmp(state, "active") != 0)
        return fault_reason(f, ESIGN_E_SIGNER_STATE, state, "the signer is %s", state);
    if (strcmp(register_custody(policy, signer), "K3") != 0 ||
        strcmp(json_str(signer, "custody"), "K3") != 0)
        return fault_field(
            f, ESIGN_E_POLICY, "params.user_id",
            "the policy does not have this person sign with a card (custody.groups)");
    return ESIGN_OK;
}

/* What both officers look at before they vouch for it. */
static json_t *card_told(const struct card *c)
{
    return json_pack(
        "{s:O, s:O, s:O, s:O, s:O, s:O, s:s, s:s, s:o}", "algorithm",
        json_object_get(c->facts, "algorithm"), "subject", json_object_get(c->facts, "subject"),
        "issuer", json_object_get(c->facts, "issuer"), "serial",
        json_object_get(c->facts, "serial"), "not_after", json_object_get(c->facts, "not_after"),
        "chain", json_object_get(c->facts, "chain"), "sha256", c->print, "key", c->key,
        "certificate", site_encode(buf_bytes(&c->certificate)));
}

static enum esign_rc card_request(struct site *s, const struct authn_person *officer,
                                  const json_t *params, struct store_change *change,
                                  json_t *approval, struct fault *f)
{
    const char *role = authz_dual_find("card.register")->approve_role;
    CLEANUP(card_done) struct card card = card_new();
    CLEANUP(json_decref_p) json_t *signer = NULL;
    char object[SITE_ID_MAX + 8];
    int64_t seq = -1;
    enum esign_rc rc = json_check(params, "params", card_fields, 2, f);

    if (rc == ESIGN_OK)
        rc = authn_find_signer(site_store(s), json_str(params, "user_id"), &signer, &seq, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *signer_id = json_str(signer, "signer_id");
    if (strcmp(signer_id, officer->signer_id) == 0)
        return fault_set(f, ESIGN_E_DUAL_SELF, "two other officers register an officer's card");
    rc = register_check_second(s, role, officer->signer_id, signer_id, f);
    if (rc == ESIGN_OK)
        rc = card_find(s, json_str(params, "certificate"), &card, f);
    if (rc == ESIGN_OK)
        rc = card_check_signer(card.policy, signer, f);
    if (rc != ESIGN_OK)
        return rc;
    (void)snprintf(object, sizeof(object), "signer/%s", signer_id);
    if (json_object_set_new(approval, "object", json_string(object)) != 0 ||
        json_object_set_new(approval, "signer_id", json_string(signer_id)) != 0 ||
        json_object_set(approval, "user_id", json_object_get(signer, "user_id")) != 0 ||
        json_object_set_new(approval, "card", card_told(&card)) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an approval");
    site_guard(change, "signer", json_str(approval, "signer_id"), seq); /* it outlives this */
    return ESIGN_OK;
}

/* This site's certificate over the card's key; it does not outlive the card's own. */
static enum esign_rc card_issue(struct site *s, const struct card *c, const json_t *signer,
                                struct buf *ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf ca_spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf ca_cert = buf_new(SITE_CERT_MAX);
    CLEANUP(json_decref_p) json_t *site_row = NULL;
    struct ca_key ca = {0};
    int64_t now_ms = clock_now_ms(site_clock(s)), end_ms = 0;
    int64_t days = json_int(c->policy, "certificate.signer_days", 1095);
    enum esign_rc rc = site_ca(s, &ca, &ca_spki, &ca_cert, f);

    if (rc == ESIGN_OK)
        rc = store_get(site_store(s), "site", "site", &site_row, NULL, f);
    if (rc == ESIGN_OK && clock_parse_utc(json_str(c->facts, "not_after"), &end_ms) != ESIGN_OK)
        rc = fault_set(f, ESIGN_E_INTERNAL, "facts of a certificate have no end");
    if (rc != ESIGN_OK)
        return rc;
    if (end_ms > now_ms + days * 24 * 3600 * 1000)
        end_ms = now_ms + days * 24 * 3600 * 1000;
    const struct ca_certificate wanted = {.subject_spki = buf_bytes(&c->spki),
                                          .common_name = json_str(signer, "printed_name"),
                                          .user_id = json_str(signer, "user_id"),
                                          .signer_id = json_str(signer, "signer_id"),
                                          .organisation = json_str(site_row, "organisation"),
                                          .not_before_ms = now_ms,
                                          .not_after_ms = end_ms};
    return ca_issue(&ca, buf_bytes(&ca_cert), &wanted,
                    site_token_deadline(s, SITE_CA, register_later(s)), ret, f);
}

/* The card before this one signs no more; its row stays, so that its key is never used again. */
static enum esign_rc card_replace(struct site *s, json_t *bag, const json_t *signer,
                                  struct store_change *change, struct fault *f)
{
    const char *id = json_str(signer, "key");
    json_t *row = NULL;
    enum esign_rc rc = id ? store_get(site_store(s), "key", id, &row, NULL, f) : ESIGN_OK;

    if (rc != ESIGN_OK || !row)
        return rc;
    if (!register_keep(bag, row) || json_object_set_new(row, "state", json_string("replaced")) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    site_put(change, "key", json_str(row, "key"), row); /* guarded with the signer, who names it */
    return ESIGN_OK;
}

/* The signer's row with the new key, and the key's row. */
static enum esign_rc card_put(struct site *s, const struct card *c, struct bytes certificate,
                              json_t *bag, json_t *signer, struct store_change *change,
                              struct fault *f)
{
    char at[CLOCK_TEXT];

    clock_format_utc(clock_now_ms(site_clock(s)), at);
    json_t *key = register_keep(
        bag,
        json_pack("{s:s, s:s, s:s, s:O, s:s, s:s, s:O, s:o, s:o, s:s, s:O, s:O}", "key", c->key,
                  "signer_id", json_str(signer, "signer_id"), "token", "card", "algorithm",
                  json_object_get(c->facts, "algorithm"), "custody", "K3", "created", at, "spki",
                  json_object_get(c->facts, "spki"), "certificate", site_encode(certificate),
                  "card_certificate", site_encode(buf_bytes(&c->certificate)), "card_sha256",
                  c->print, "card_issuer", json_object_get(c->facts, "issuer"), "card_serial",
                  json_object_get(c->facts, "serial")));
    if (!key || json_object_set_new(signer, "key", json_string(c->key)) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    site_put(change, "key", json_str(key, "key"), key);
    site_guard(change, "key", json_str(key, "key"), -1);
    site_put(change, "signer", json_str(signer, "signer_id"), signer);
    return ESIGN_OK;
}

static enum esign_rc card_approve(struct site *s, const struct authn_person *officer,
                                  json_t *approval, struct store_change *change, json_t *reply,
                                  struct fault *f)
{
    CLEANUP(card_done) struct card card = card_new();
    CLEANUP(buf_done) struct buf certificate = buf_new(SITE_CERT_MAX);
    json_t *bag = json_object_get(approval, "bag"), *signer = NULL;
    const char *signer_id = json_str(approval, "signer_id");
    int64_t seq = -1;
    enum esign_rc rc = store_get(site_store(s), "signer", signer_id, &signer, &seq, f);

    (void)officer;
    (void)reply;
    if (rc != ESIGN_OK)
        return rc;
    if (!register_keep(bag, signer))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a signer");
    rc = card_find(s, json_str(approval, "card.certificate"), &card, f);
    if (rc == ESIGN_OK)
        rc = card_check_signer(card.policy, signer, f);
    if (rc == ESIGN_OK)
        rc = card_issue(s, &card, signer, &certificate, f);
    if (rc == ESIGN_OK)
        rc = card_replace(s, bag, signer, change, f);
    if (rc != ESIGN_OK)
        return rc;
    site_guard(change, "signer", signer_id, seq);
    return card_put(s, &card, buf_bytes(&certificate), bag, signer, change, f);
}

const struct register_action register_card_action = {"card.register", card_request, card_approve,
                                                     NULL, false};
