/* A signer's key: announced, made, certified, and entered with its owner; in custody K2 wrapped and
 * sealed. */
#include <stdio.h>
#include <string.h>

#include "authn/seal.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/log.h"
#include "register/register_internal.h"

void register_making_done(struct register_making *m)
{
    json_decref(m->keygen);
    json_decref(m->row);
    secret_free(m->sealing);
    buf_done(&m->spki);
    buf_done(&m->certificate);
}

static bool key_is_sealed(const struct register_making *m)
{
    return strcmp(m->custody, "K2") == 0;
}

/* The role of the token that makes the key. */
static enum site_role key_role(const struct register_making *m)
{
    return key_is_sealed(m) ? SITE_KEK : SITE_SIGNER;
}

static struct audit_act key_act(const struct register_making *m, const char *action,
                                const char *object)
{
    return (struct audit_act){
        .action = action,
        .object = object,
        .actor = {json_str(m->signer, "signer_id"), json_str(m->signer, "user_id"), "signer", 0},
        .application = m->origin->application,
        .terminal = m->origin->terminal};
}

enum esign_rc register_making_check(struct register_making *m, const char *algorithm,
                                    struct fault *f)
{
    const json_t *allowed = json_object_get(m->policy, "signer_algorithms");

    if (!site_token(m->site, key_role(m)))
        return fault_field(f, ESIGN_E_POLICY, "roles.kek",
                           "custody K2 needs a token for it (option roles.kek)");
    const char *name =
        algorithm ? algorithm : token_algorithm_name(site_algorithm(m->site, key_role(m)));
    m->algorithm = token_algorithm_by_name(name);
    for (size_t i = 0; m->algorithm && i < json_array_size(allowed); i++)
        if (strcmp(json_string_value(json_array_get(allowed, i)), name) == 0)
            return ESIGN_OK;
    return fault_field(f, ESIGN_E_POLICY, "algorithm",
                       "the policy does not allow keys of this kind");
}

enum esign_rc register_hash_password(struct site *s, const char *custody,
                                     const struct secret *password, int64_t deadline_at_ms,
                                     char ret[HASH_PHC_MAX], struct secret **ret_sealing,
                                     struct fault *f)
{
    return strcmp(custody, "K2") == 0
               ? hash_make_key(site_hash(s), password, deadline_at_ms, ret, ret_sealing, f)
               : hash_make(site_hash(s), password, deadline_at_ms, ret, f);
}

enum esign_rc register_making_announce(struct register_making *m, struct fault *f)
{
    char object[80];
    struct store_change change = {0};
    struct store_receipt receipt;
    const char *signer_id = json_str(m->signer, "signer_id");
    const char *token = token_name(site_token(m->site, key_role(m)));
    CLEANUP(json_decref_p)
    json_t *new_value =
        json_pack("{s:s, s:s, s:s}", "algorithm", token_algorithm_name(m->algorithm), "custody",
                  m->custody, "token", token);

    bytes_random(m->key_id, sizeof(m->key_id));
    encode_hex(bytes_of(m->key_id, sizeof(m->key_id)), m->key_hex);
    (void)snprintf(object, sizeof(object), "key/%s", m->key_hex);
    m->keygen =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "key", m->key_hex, "signer_id", signer_id, "token",
                  token, "algorithm", token_algorithm_name(m->algorithm), "state", "announced");
    if (json_object_set_new(m->secret, "state", json_string("using")) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a secret");
    site_put(&change, "keygen", m->key_hex, m->keygen);
    site_put(&change, "secret", signer_id, m->secret);
    site_guard(&change, "keygen", m->key_hex, -1);
    site_guard(&change, "secret", signer_id, m->secret_seq);
    site_guard(&change, "signer", signer_id, m->signer_seq);
    struct audit_act act = key_act(m, "key.generate", object);
    act.new_value = new_value;
    enum esign_rc rc = site_commit(m->site, &act, &change, m->origin->deadline_at_ms, &receipt, f);
    if (rc == ESIGN_OK)
        m->announced_seq = receipt.seq;
    return rc;
}

enum esign_rc register_making_failed(struct register_making *m, struct fault *f)
{
    struct fault failed = *f;
    struct audit_act act = key_act(m, "key.failed", NULL);

    act.result = failed.rc;
    act.result_reason = failed.reason;
    if (register_end_keygen(m->site, &act, m->keygen, m->announced_seq, f) != ESIGN_OK)
        log_error("an announced key could not be ended key=%s code=%s detail=\"%s\"", m->key_hex,
                  fault_name(f->rc), f->detail); /* the next start does it */
    *f = failed;
    return failed.rc;
}

static enum esign_rc key_certificate(struct register_making *m, struct fault *f)
{
    CLEANUP(buf_done) struct buf ca_spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf ca_cert = buf_new(SITE_CERT_MAX);
    CLEANUP(json_decref_p) json_t *site_row = NULL;
    struct ca_key ca = {0};
    int64_t now_ms = clock_now_ms(site_clock(m->site));
    enum esign_rc rc = site_ca(m->site, &ca, &ca_spki, &ca_cert, f);

    if (rc == ESIGN_OK)
        rc = store_get(site_store(m->site), "site", "site", &site_row, NULL, f);
    if (rc != ESIGN_OK)
        return rc;
    int64_t days = json_int(m->policy, "certificate.signer_days", 1095);
    const struct ca_certificate wanted = {
        .subject_spki = buf_bytes(&m->spki),
        .common_name = json_str(m->signer, "printed_name"),
        .user_id = json_str(m->signer, "user_id"),
        .signer_id = json_str(m->signer, "signer_id"),
        .organisation = json_str(site_row, "organisation"),
        .not_before_ms = now_ms,
        .not_after_ms = now_ms + days * 24 * 3600 * 1000,
    };
    return ca_issue(&ca, buf_bytes(&ca_cert), &wanted,
                    site_token_deadline(m->site, SITE_CA, m->origin->deadline_at_ms),
                    &m->certificate, f);
}

/* The row of the new key. */
static enum esign_rc key_row(struct register_making *m, struct fault *f)
{
    char at[CLOCK_TEXT];

    clock_format_utc(clock_now_ms(site_clock(m->site)), at);
    m->row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "key", m->key_hex, "signer_id",
                       json_str(m->signer, "signer_id"), "token",
                       token_name(site_token(m->site, key_role(m))), "algorithm",
                       token_algorithm_name(m->algorithm), "custody", m->custody, "created", at,
                       "spki", site_encode(buf_bytes(&m->spki)), "certificate",
                       site_encode(buf_bytes(&m->certificate)));
    return m->row ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
}

/* The wrapping key of the site. */
static enum esign_rc key_wrapper(struct site *s, struct token_wrapper *ret, json_t **ret_kek,
                                 struct fault *f)
{
    CLEANUP(json_decref_p) json_t *site_row = NULL;
    enum esign_rc rc = store_get(site_store(s), "site", "site", &site_row, NULL, f);

    if (rc != ESIGN_OK)
        return rc;
    const char *key = json_str(site_row, "kek.key"), *wrap = json_str(site_row, "kek.wrap");
    if (!key || !wrap || decode_hex(key, ret->kek_id, sizeof(ret->kek_id)) != ESIGN_OK)
        return fault_field(f, ESIGN_E_POLICY, "custody",
                           "this site was initialised without a wrapping key for custody K2");
    ret->wrap = token_wrap_by_name(wrap);
    *ret_kek = json_incref(json_object_get(site_row, "kek"));
    return ESIGN_OK;
}

/* Custody K2: a pair that the token gives wrapped, and the blob of it in the row. */
static enum esign_rc key_make_sealed(struct register_making *m, struct fault *f)
{
    CLEANUP(buf_done) struct buf wrapped = buf_new_locked(TOKEN_WRAPPED_MAX);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(json_decref_p) json_t *kek = NULL;
    struct token_wrapper wrapper;
    struct seal_about about;
    json_t *sealed = NULL;
    int64_t deadline = site_token_deadline(m->site, SITE_KEK, m->origin->deadline_at_ms);
    enum esign_rc rc = key_wrapper(m->site, &wrapper, &kek, f);

    if (rc == ESIGN_OK)
        rc = token_generate_wrapped(site_token(m->site, SITE_KEK), &wrapper, m->algorithm, deadline,
                                    &m->spki, &wrapped, f);
    if (rc == ESIGN_OK)
        rc = key_certificate(m, f);
    if (rc == ESIGN_OK)
        rc = key_row(m, f);
    if (rc != ESIGN_OK)
        return rc;
    if (json_object_set(m->row, "kek", json_object_get(kek, "key")) != 0 ||
        json_object_set(m->row, "wrap", json_object_get(kek, "wrap")) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    rc = seal_about_row(m->row, json_str(m->signer, "signer_id"), m->key_hex, 1, &spki, &about, f);
    if (rc == ESIGN_OK)
        rc = seal_close(m->sealing, &about, buf_bytes(&wrapped), &sealed, f);
    if (rc == ESIGN_OK && json_object_set_new(m->row, "sealed", sealed) != 0)
        rc = fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    return rc;
}

enum esign_rc register_making_make(struct register_making *m, struct fault *f)
{
    if (key_is_sealed(m))
        return key_make_sealed(m, f);
    enum esign_rc rc = token_generate(
        site_token(m->site, SITE_SIGNER), m->algorithm, m->key_id, json_str(m->signer, "user_id"),
        site_token_deadline(m->site, SITE_SIGNER, m->origin->deadline_at_ms), &m->spki, f);

    if (rc == ESIGN_OK)
        rc = key_certificate(m, f);
    return rc == ESIGN_OK ? key_row(m, f) : rc;
}

enum esign_rc register_making_into(struct register_making *m, json_t *signer, json_t *credential,
                                   struct store_change *change, struct fault *f)
{
    if (json_object_set_new(m->keygen, "state", json_string("done")) ||
        json_object_set_new(signer, "key", json_string(m->key_hex)) ||
        (key_is_sealed(m) && json_object_set_new(credential, "seal", json_integer(1))))
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    site_put(change, "key", m->key_hex, m->row);
    site_put(change, "keygen", m->key_hex, m->keygen);
    site_guard(change, "keygen", m->key_hex, m->announced_seq);
    return ESIGN_OK;
}
