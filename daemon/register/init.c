/* The first start: keys, issuing certificate, policy version 1, officers, first terminal.
 *
 * Until the last change, which writes the site's own row, the service stays uninitialised and the
 * ceremony can be begun again: officers are drafts without power, and only that change makes them
 * active. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/log.h"
#include "register/register_internal.h"

enum { INIT_OFFICERS_MAX = 8, INIT_KEY_LEN = 32 };

static const struct json_field init_officer_fields[] = {
    {"user_id", JSON_FIELD_STR, true, 64},    {"printed_name", JSON_FIELD_STR, true, 64},
    {"title", JSON_FIELD_STR, true, 64},      {"password", JSON_FIELD_STR, true, SECRET_MAX},
    {"evidence", JSON_FIELD_OBJECT, true, 0},
};

struct init_job {
    struct site *site;
    const struct register_origin *origin;
    const json_t *body;
    json_t *bag; /* keeps rows alive */
    struct register_policy rules;
    json_t *officers;  /* of the reply */
    json_t *evidences; /* one an officer */
    uint8_t evidence_key[INIT_KEY_LEN], log_key[TOKEN_KEY_ID_LEN], ca_key[TOKEN_KEY_ID_LEN];
    struct buf log_spki, ca_spki, ca_certificate;
    json_t *kek; /* what the site's row says of the wrapping key; NULL: none; borrowed from bag */
    char phc[INIT_OFFICERS_MAX][HASH_PHC_MAX];
    char signer_ids[INIT_OFFICERS_MAX][SITE_ID_MAX];
    json_t *signers[INIT_OFFICERS_MAX]; /* rows as written; borrowed from bag */
    int64_t signer_seqs[INIT_OFFICERS_MAX];
};

/* One ceremony at a time; the only state of the process that is not the site's. */
static atomic_flag init_running = ATOMIC_FLAG_INIT;

static void init_leave(const bool *entered)
{
    if (*entered)
        atomic_flag_clear(&init_running);
}

static void init_done(struct init_job *j)
{
    json_decref(j->bag);
    register_policy_done(&j->rules);
    json_decref(j->officers);
    json_decref(j->evidences);
    buf_done(&j->log_spki);
    buf_done(&j->ca_spki);
    buf_done(&j->ca_certificate);
    explicit_bzero(j->evidence_key, sizeof(j->evidence_key));
}

/* Evidence that the next officer vouches for; one document makes one officer. */
static enum esign_rc init_check_evidence(struct init_job *j, size_t index, struct fault *f)
{
    const json_t *officers = json_object_get(j->body, "officers");
    const json_t *officer = json_array_get(officers, index);
    const char *other = j->signer_ids[(index + 1) % json_array_size(officers)];
    json_t *evidence = NULL;
    enum esign_rc rc =
        register_evidence(json_object_get(officer, "evidence"), "evidence",
                          bytes_of(j->evidence_key, sizeof(j->evidence_key)), other, &evidence, f);

    if (rc != ESIGN_OK)
        return rc;
    for (size_t i = 0; i < index; i++)
        if (strcmp(json_str(evidence, "number_hash"),
                   json_str(json_array_get(j->evidences, i), "number_hash")) == 0)
            rc = fault_field(f, ESIGN_E_ID_USED, "evidence.number",
                             "two officers have the same evidence of identity");
    if (json_array_append_new(j->evidences, evidence) != 0 && rc == ESIGN_OK)
        rc = fault_set(f, ESIGN_E_INTERNAL, "no memory for evidence");
    return rc;
}

/* The officer's signer id: a new one, or that of the draft which a ceremony that was broken off has
 * left for the same code. */
static enum esign_rc init_take_id(struct init_job *j, size_t index, struct fault *f)
{
    const json_t *officer = json_array_get(json_object_get(j->body, "officers"), index);
    CLEANUP(json_decref_p) json_t *draft = NULL;
    enum esign_rc rc =
        authn_find_signer(site_store(j->site), json_str(officer, "user_id"), &draft, NULL, f);

    if (rc == ESIGN_E_NOT_FOUND) {
        site_new_id('S', j->signer_ids[index]);
        return ESIGN_OK;
    }
    if (rc != ESIGN_OK)
        return rc;
    if (strcmp(json_str(draft, "state"), "draft") != 0)
        return fault_field(f, ESIGN_E_ID_USED, "user_id",
                           "this identification code was used before and is never given again");
    (void)snprintf(j->signer_ids[index], SITE_ID_MAX, "%s", json_str(draft, "signer_id"));
    return ESIGN_OK;
}

static enum esign_rc init_check_officer(struct init_job *j, size_t index, struct fault *f)
{
    char prefix[32], key[65], other[65];
    const json_t *officers = json_object_get(j->body, "officers");
    const json_t *officer = json_array_get(officers, index);

    (void)snprintf(prefix, sizeof(prefix), "officers.%zu", index);
    enum esign_rc rc = json_check(officer, prefix, init_officer_fields,
                                  sizeof(init_officer_fields) / sizeof(init_officer_fields[0]), f);
    if (rc == ESIGN_OK)
        rc = register_check_names(officer, prefix, f);
    if (rc != ESIGN_OK)
        return rc;
    authn_user_key(json_str(officer, "user_id"), key);
    for (size_t i = 0; i < index; i++) {
        authn_user_key(json_str(json_array_get(officers, i), "user_id"), other);
        if (strcmp(key, other) == 0)
            return fault_field(f, ESIGN_E_ID_USED, prefix, "two officers have the same code");
    }
    return init_take_id(j, index, f);
}

static enum esign_rc init_hash(struct init_job *j, size_t index, struct fault *f)
{
    const json_t *officer = json_array_get(json_object_get(j->body, "officers"), index);
    const char *text = json_str(officer, "password");
    struct secret *password = secret_new(bytes_of_str(text));

    if (!password)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a password");
    const struct authn_password_rules rules = {
        .user_id = json_str(officer, "user_id"),
        .organisation = json_str(j->body, "organisation"),
        .min_chars = json_int(j->rules.policy, "password.min_chars", 15),
        .blocklist = json_object_get(j->rules.blocklist, "words")};
    enum esign_rc rc = authn_password_check(password, &rules, f);
    if (rc == ESIGN_OK)
        rc = hash_make(site_hash(j->site), password, j->origin->deadline_at_ms, j->phc[index], f);
    secret_free(password);
    return rc;
}

static enum esign_rc init_check(struct init_job *j, struct fault *f)
{
    size_t count = json_array_size(json_object_get(j->body, "officers"));

    if (site_ready(j->site))
        return fault_set(f, ESIGN_E_CONFLICT, "this service has been initialised before");
    if (count < 2 || count > INIT_OFFICERS_MAX)
        return fault_field(f, ESIGN_E_POLICY, "officers",
                           "at least two officers are needed (three are better), at most %d",
                           INIT_OFFICERS_MAX);
    enum esign_rc rc =
        register_check_peer(j->site, json_object_get(j->body, "terminal"), false, "terminal", f);
    bytes_random(j->evidence_key, sizeof(j->evidence_key));
    for (size_t i = 0; rc == ESIGN_OK && i < count; i++)
        rc = init_check_officer(j, i, f);
    for (size_t i = 0; rc == ESIGN_OK && i < count; i++)
        rc = init_check_evidence(j, i, f);
    if (rc == ESIGN_OK)
        rc = register_policy_load(config_str(site_config(j->site), "policy.directory"), &j->rules,
                                  f);
    for (size_t i = 0; rc == ESIGN_OK && i < count; i++)
        rc = init_hash(j, i, f);
    return rc;
}

static bool init_needs_kek(const struct init_job *j)
{
    return register_custody_is_used(j->rules.policy, "K2");
}

/* Every token must be able to make the keys that are asked of it, before any is made. */
static enum esign_rc init_check_tokens(struct init_job *j, struct fault *f)
{
    static const struct {
        enum site_role role;
        const char *option;
    } roles[] = {{SITE_LOG, "roles.log"},
                 {SITE_CA, "roles.ca"},
                 {SITE_SIGNER, "roles.signer"},
                 {SITE_KEK, "roles.kek"}};

    if (site_algorithm(j->site, SITE_LOG) != TOKEN_P256)
        return fault_field(f, ESIGN_E_POLICY, "key_algorithm",
                           "the log's token must make p256 keys (checkpoints are ECDSA P-256)");
    if (init_needs_kek(j) && !site_token(j->site, SITE_KEK))
        return fault_field(f, ESIGN_E_POLICY, "roles.kek",
                           "the policy has signers in custody K2, which needs a token for it");
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (roles[i].role == SITE_KEK && !init_needs_kek(j))
            continue;
        enum esign_rc rc =
            token_offers(site_token(j->site, roles[i].role), site_algorithm(j->site, roles[i].role),
                         j->origin->deadline_at_ms, f);
        if (rc == ESIGN_OK)
            continue;
        (void)snprintf(f->field, sizeof(f->field), "%s", roles[i].option);
        return rc;
    }
    return ESIGN_OK;
}

/* The key that wraps those of custody K2, tried with the kind of key that signers will have. */
static enum esign_rc init_make_kek(struct init_job *j, struct fault *f)
{
    struct token *token = site_token(j->site, SITE_KEK);
    uint8_t key_id[TOKEN_KEY_ID_LEN];
    char key[2 * TOKEN_KEY_ID_LEN + 1];
    struct token_kek kek = {0};

    bytes_random(key_id, sizeof(key_id));
    encode_hex(bytes_of(key_id, sizeof(key_id)), key);
    enum esign_rc rc =
        token_make_kek(token, key_id, "esignd kek", site_algorithm(j->site, SITE_KEK),
                       site_token_deadline(j->site, SITE_KEK, j->origin->deadline_at_ms), &kek, f);
    if (rc != ESIGN_OK) {
        (void)snprintf(f->field, sizeof(f->field), "roles.kek");
        return rc;
    }
    j->kek = register_keep(j->bag,
                           json_pack("{s:s, s:s, s:s, s:b}", "key", key, "token", token_name(token),
                                     "wrap", token_wrap_name(kek.wrap), "guarded", kek.guarded));
    if (!kek.guarded)
        log_warn("the token of roles.kek does not keep its holder from reading what it unwraps; "
                 "see esignd(8), CUSTODY");
    return j->kek ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a wrapping key");
}

static enum esign_rc init_keys(struct init_job *j, struct fault *f)
{
    struct site *s = j->site;
    int64_t now_ms = clock_now_ms(site_clock(s)), deadline = j->origin->deadline_at_ms;

    bytes_random(j->log_key, sizeof(j->log_key));
    bytes_random(j->ca_key, sizeof(j->ca_key));
    enum esign_rc rc = init_needs_kek(j) ? init_make_kek(j, f) : ESIGN_OK; /* refused most often */
    if (rc == ESIGN_OK)
        rc = token_generate(site_token(s, SITE_LOG), TOKEN_P256, j->log_key, "esignd log", deadline,
                            &j->log_spki, f);
    if (rc == ESIGN_OK)
        rc = token_generate(site_token(s, SITE_CA), site_algorithm(s, SITE_CA), j->ca_key,
                            "esignd ca", deadline, &j->ca_spki, f);
    if (rc != ESIGN_OK)
        return rc;
    struct ca_key ca = {.token = site_token(s, SITE_CA),
                        .algorithm = site_algorithm(s, SITE_CA),
                        .spki = buf_bytes(&j->ca_spki)};
    memcpy(ca.key_id, j->ca_key, sizeof(ca.key_id));
    const struct ca_certificate wanted = {
        .subject_spki = buf_bytes(&j->ca_spki),
        .common_name = json_str(j->body, "ca_name"),
        .organisation = json_str(j->body, "organisation"),
        .not_before_ms = now_ms,
        .not_after_ms =
            now_ms + json_int(j->rules.policy, "certificate.ca_days", 5475) * 24 * 3600 * 1000,
        .is_ca = true};
    return ca_issue(&ca, (struct bytes){0}, &wanted, deadline, &j->ca_certificate, f);
}

static enum esign_rc init_enter(struct init_job *j, const char *action, const char *object,
                                json_t *new_value, struct store_change *change,
                                struct store_receipt *ret, struct fault *f)
{
    const struct audit_act act = {.action = action,
                                  .object = object,
                                  .new_value = new_value,
                                  .terminal = j->origin->terminal};

    return site_commit(j->site, &act, change, j->origin->deadline_at_ms, ret, f);
}

/* One versioned object. */
static enum esign_rc init_enter_object(struct init_job *j, const char *kind, const char *id,
                                       json_t *body, struct fault *f)
{
    char action[64], object[96];
    struct store_change change = {0};
    struct store_receipt receipt;

    (void)snprintf(action, sizeof(action), "%s.enter", kind);
    (void)snprintf(object, sizeof(object), "%s/%s", kind, id);
    site_put(&change, kind, id, body);
    return init_enter(j, action, object, body, &change, &receipt, f);
}

/* The list itself is the row; the entry tells which file it was. */
static enum esign_rc init_enter_blocklist(struct init_job *j, struct fault *f)
{
    struct store_change change = {0};
    struct store_receipt receipt;
    const json_t *list = j->rules.blocklist;
    CLEANUP(json_decref_p)
    json_t *shown =
        json_pack("{s:I, s:s, s:I}", "version", (json_int_t)json_int(list, "version", 1), "sha256",
                  json_str(list, "sha256"), "words",
                  (json_int_t)json_array_size(json_object_get(list, "words")));

    if (!shown)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an entry");
    site_put(&change, "blocklist", "blocklist", j->rules.blocklist);
    return init_enter(j, "blocklist.enter", "blocklist/blocklist", shown, &change, &receipt, f);
}

static enum esign_rc init_enter_policy(struct init_job *j, struct fault *f)
{
    enum esign_rc rc = init_enter_object(j, "policy", "policy", j->rules.policy, f);

    if (rc == ESIGN_OK)
        rc = init_enter_blocklist(j, f);
    if (rc == ESIGN_OK)
        rc = init_enter_object(j, "statement", "statement", j->rules.statement, f);
    for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(j->rules.meanings); i++) {
        json_t *meaning = json_array_get(j->rules.meanings, i);
        rc = init_enter_object(j, "meaning", json_str(meaning, "code"), meaning, f);
    }
    for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(j->rules.plans); i++) {
        json_t *plan = json_array_get(j->rules.plans, i);
        rc = init_enter_object(j, "plan", json_str(plan, "id"), plan, f);
    }
    return rc;
}

/* An officer as a draft: known, with a password, without power. */
static enum esign_rc init_enter_officer(struct init_job *j, size_t index, struct fault *f)
{
    const json_t *officers = json_object_get(j->body, "officers");
    const json_t *officer = json_array_get(officers, index);
    const char *signer_id = j->signer_ids[index];
    const char *other = j->signer_ids[(index + 1) % json_array_size(officers)];
    char object[80], at[CLOCK_TEXT];
    struct store_change change = {0};
    struct store_receipt receipt;
    CLEANUP(json_decref_p) json_t *roles = json_pack("[s, s]", "regadmin", "secofficer");
    enum esign_rc rc =
        register_add_signer(officer, signer_id, roles, json_array_get(j->evidences, index), "draft",
                            other, j->bag, &change, f);
    if (rc != ESIGN_OK)
        return rc;
    clock_format_utc(clock_now_ms(site_clock(j->site)), at);
    json_t *credential =
        register_keep(j->bag, json_pack("{s:s, s:s, s:s, s:s}", "signer_id", signer_id, "state",
                                        "active", "phc", j->phc[index], "changed", at));
    site_put(&change, "credential", signer_id, credential);
    (void)snprintf(object, sizeof(object), "signer/%s", signer_id);
    rc = init_enter(j, "officer.enroll", object, change.rows[0].body, &change, &receipt, f);
    if (rc != ESIGN_OK)
        return rc;
    j->signers[index] = change.rows[0].body;
    j->signer_seqs[index] = receipt.seq;
    json_t *shown =
        json_pack("{s:s, s:s}", "user_id", json_str(officer, "user_id"), "signer_id", signer_id);
    return json_array_append_new(j->officers, shown) == 0
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

/* What gives power: the officers active, the first terminal. */
static enum esign_rc init_empower(struct init_job *j, struct store_change *change, struct fault *f)
{
    const json_t *terminal = json_object_get(j->body, "terminal");

    for (size_t i = 0; i < json_array_size(j->officers); i++) {
        if (json_object_set_new(j->signers[i], "state", json_string("active")) != 0)
            return fault_set(f, ESIGN_E_INTERNAL, "no memory for an officer");
        site_put(change, "signer", j->signer_ids[i], j->signers[i]);
        site_guard(change, "signer", j->signer_ids[i], j->signer_seqs[i]);
    }
    return register_add_peer(terminal, false, j->bag, change, f);
}

/* The entry shows what everybody may know; the key of the evidence hashes stays in the row. */
static json_t *init_shown(struct init_job *j, const json_t *row)
{
    json_t *shown = json_copy((json_t *)(uintptr_t)row); /* json_copy does not change its source */

    if (shown && json_object_del(shown, "evidence_key") == 0 &&
        json_object_set(shown, "officers", j->officers) == 0 &&
        json_object_set(shown, "terminal", json_object_get(j->body, "terminal")) == 0)
        return shown;
    json_decref(shown);
    return NULL;
}

static enum esign_rc init_enter_site(struct init_job *j, struct fault *f)
{
    char log_key[2 * TOKEN_KEY_ID_LEN + 1], ca_key[2 * TOKEN_KEY_ID_LEN + 1], at[CLOCK_TEXT];
    struct store_change change = {0};
    struct store_receipt receipt;

    encode_hex(bytes_of(j->log_key, sizeof(j->log_key)), log_key);
    encode_hex(bytes_of(j->ca_key, sizeof(j->ca_key)), ca_key);
    clock_format_utc(clock_now_ms(site_clock(j->site)), at);
    CLEANUP(json_decref_p)
    json_t *row = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:O*}", "organisation",
        json_str(j->body, "organisation"), "origin",
        config_str(site_config(j->site), "site.origin"), "initialised", at, "system_class",
        config_str(site_config(j->site), "system_class"), "system", site_system(j->site), "log_key",
        log_key, "ca_key", ca_key, "ca_algorithm",
        token_algorithm_name(site_algorithm(j->site, SITE_CA)), "log_spki",
        site_encode(buf_bytes(&j->log_spki)), "ca_spki", site_encode(buf_bytes(&j->ca_spki)),
        "ca_certificate", site_encode(buf_bytes(&j->ca_certificate)), "evidence_key",
        site_encode(bytes_of(j->evidence_key, sizeof(j->evidence_key))), "kek", j->kek);
    CLEANUP(json_decref_p) json_t *shown = row ? init_shown(j, row) : NULL;
    if (!shown)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the site's row");
    site_put(&change, "site", "site", row);
    site_guard(&change, "site", "site", -1);
    enum esign_rc rc = init_empower(j, &change, f);
    return rc == ESIGN_OK ? init_enter(j, "site.init", "site/site", shown, &change, &receipt, f)
                          : rc;
}

static enum esign_rc init_reply(struct init_job *j, const char *note, json_t **ret, struct fault *f)
{
    *ret = json_pack("{s:o, s:o, s:s, s:O, s:s}", "ca_certificate_der",
                     site_encode(buf_bytes(&j->ca_certificate)), "log_spki",
                     site_encode(buf_bytes(&j->log_spki)), "origin",
                     config_str(site_config(j->site), "site.origin"), "officers", j->officers,
                     "checkpoint", note);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

static enum esign_rc init_enter_all(struct init_job *j, struct fault *f)
{
    enum esign_rc rc = init_enter_policy(j, f);

    for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(json_object_get(j->body, "officers"));
         i++)
        rc = init_enter_officer(j, i, f);
    if (rc == ESIGN_OK)
        rc = init_enter_site(j, f);
    return rc;
}

enum esign_rc register_init(struct site *s, const json_t *body,
                            const struct register_origin *origin, json_t **ret, struct fault *f)
{
    CLEANUP(init_done)
    struct init_job j = {.site = s,
                         .origin = origin,
                         .body = body,
                         .bag = json_array(),
                         .officers = json_array(),
                         .evidences = json_array(),
                         .log_spki = buf_new(TOKEN_SPKI_MAX),
                         .ca_spki = buf_new(TOKEN_SPKI_MAX),
                         .ca_certificate = buf_new(SITE_CERT_MAX)};
    CLEANUP(buf_done) struct buf note = buf_new(4096);
    CLEANUP(init_leave) bool entered = !atomic_flag_test_and_set(&init_running);

    if (!entered)
        return fault_set(f, ESIGN_E_CONFLICT,
                         "this service is being initialised by another caller");
    enum esign_rc rc = init_check(&j, f);
    if (rc == ESIGN_OK)
        rc = init_check_tokens(&j, f);
    if (rc == ESIGN_OK)
        rc = init_keys(&j, f);
    if (rc == ESIGN_OK)
        rc = init_enter_all(&j, f);
    if (rc != ESIGN_OK)
        return rc;
    site_set_ready(s);
    rc = site_checkpoint(s, &note, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *text = buf_str(&note);
    return init_reply(&j, text ? text : "", ret, f);
}
