/* The first start: keys, issuing certificate, policy version 1, officers, first terminal.
 *
 * The site's own row is written last; until then the service stays uninitialised and the ceremony
 * can be begun again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/log.h"
#include "register/register_internal.h"

enum { INIT_FILE_MAX = 1024 * 1024, INIT_OFFICERS_MAX = 8, INIT_KEY_LEN = 32 };

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
    json_t *policy, *meanings, *plans, *statement;
    json_t *officers;  /* of the reply */
    json_t *evidences; /* one an officer */
    uint8_t evidence_key[INIT_KEY_LEN], log_key[TOKEN_KEY_ID_LEN], ca_key[TOKEN_KEY_ID_LEN];
    struct buf log_spki, ca_spki, ca_certificate;
    char phc[INIT_OFFICERS_MAX][HASH_PHC_MAX];
    char signer_ids[INIT_OFFICERS_MAX][SITE_ID_MAX];
};

static void init_done(struct init_job *j)
{
    json_decref(j->bag);
    json_decref(j->policy);
    json_decref(j->meanings);
    json_decref(j->plans);
    json_decref(j->statement);
    json_decref(j->officers);
    json_decref(j->evidences);
    buf_done(&j->log_spki);
    buf_done(&j->ca_spki);
    buf_done(&j->ca_certificate);
    explicit_bzero(j->evidence_key, sizeof(j->evidence_key));
}

static enum esign_rc init_read(struct init_job *j, const char *name, json_t **ret, struct fault *f)
{
    char path[512];
    CLEANUP(buf_done) struct buf text = buf_new(INIT_FILE_MAX);

    (void)snprintf(path, sizeof(path), "%s/%s",
                   config_str(site_config(j->site), "policy.directory"), name);
    CLEANUP(fclose_p) FILE *file = fopen(path, "re");
    if (!file)
        return fault_cause(f, ESIGN_E_POLICY, (unsigned long)errno, "%.150s can't be read", path);
    for (uint8_t chunk[4096];;) {
        size_t got = fread(chunk, 1, sizeof(chunk), file);
        buf_put(&text, bytes_of(chunk, got));
        if (got < sizeof(chunk))
            break;
    }
    if (ferror(file) || !buf_ok(&text))
        return fault_set(f, ESIGN_E_POLICY, "%.150s can't be read", path);
    enum esign_rc rc = json_parse_object(buf_bytes(&text), ret, f);
    return rc == ESIGN_OK ? ESIGN_OK
                          : fault_set(f, ESIGN_E_POLICY,
                                      "%s is not a policy file: it must be one JSON object", name);
}

static bool init_names(const json_t *array, const char *word)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *text = json_string_value(json_array_get(array, i));
        if (text && strcmp(text, word) == 0)
            return true;
    }
    return false;
}

/* At least two components of which one is private.  Source: 21 CFR 11.200(a)(1). */
static enum esign_rc init_check_policy(const json_t *policy, struct fault *f)
{
    static const struct {
        const char *path;
        int64_t min, max;
    } numbers[] = {{"auth.lock_after", 1, 100},
                   {"password.min_chars", 8, 128},
                   {"ticket.ttl_s", 10, 86400},
                   {"enrol.secret_ttl_h", 1, 168},
                   {"certificate.signer_days", 1, 3650},
                   {"certificate.ca_days", 30, 10950},
                   {"version", 1, 1}};
    const json_t *first = json_object_get(json_object_get(policy, "components"), "first");

    if (json_array_size(first) != 2 || !init_names(first, "id") || !init_names(first, "password"))
        return fault_field(f, ESIGN_E_POLICY, "components.first",
                           "the first signing needs the components \"id\" and \"password\"");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t value = json_int(policy, numbers[i].path, -1);
        if (value < numbers[i].min || value > numbers[i].max)
            return fault_field(f, ESIGN_E_POLICY, numbers[i].path, "%s must be %lld to %lld",
                               numbers[i].path, (long long)numbers[i].min,
                               (long long)numbers[i].max);
    }
    const json_t *allowed = json_object_get(policy, "signer_algorithms");
    for (size_t i = 0; i < json_array_size(allowed); i++) {
        const char *name = json_string_value(json_array_get(allowed, i));
        enum token_algorithm algorithm = name ? token_algorithm_by_name(name) : 0;
        /* records are known by SHA-256; verifiers want SHA-384 with P-384 */
        if (!algorithm || algorithm == TOKEN_P384)
            return fault_field(f, ESIGN_E_POLICY, "signer_algorithms",
                               "signers' algorithms are p256, rsa3072 and rsa4096");
    }
    return json_array_size(allowed) > 0 &&
                   text_is_id(json_str(policy, "id") ? json_str(policy, "id") : "", 64)
               ? ESIGN_OK
               : fault_field(f, ESIGN_E_POLICY, "id",
                             "the policy needs an id and signer_algorithms");
}

static enum esign_rc init_check_meaning(const json_t *meaning, struct fault *f)
{
    const char *code = json_str(meaning, "code"), *text = json_str(meaning, "text");
    const char *language = json_str(meaning, "language");

    if (!code || !text_is_id(code, 32) || !text || !text_is_line(text, 500) || !language ||
        json_int(meaning, "version", 0) != 1)
        return fault_field(f, ESIGN_E_POLICY, "meanings",
                           "each meaning has code, version 1, language and a line of text");
    return ESIGN_OK;
}

static enum esign_rc init_check_plan(const struct init_job *j, const json_t *plan, struct fault *f)
{
    const json_t *steps = json_object_get(plan, "steps");
    const char *id = json_str(plan, "id");

    if (!id || !text_is_id(id, 32) || json_int(plan, "version", 0) != 1 ||
        json_array_size(steps) != 1)
        return fault_field(f, ESIGN_E_POLICY, "plans", "each plan has id, version 1 and one step");
    const json_t *step = json_array_get(steps, 0);
    const json_t *meanings = json_object_get(step, "meanings");
    if (!json_str(step, "id") || !text_is_id(json_str(step, "id"), 32) ||
        json_array_size(meanings) == 0)
        return fault_field(f, ESIGN_E_POLICY, "plans", "each step has an id and its meanings");
    for (size_t i = 0; i < json_array_size(meanings); i++) {
        const char *code = json_string_value(json_array_get(meanings, i));
        bool known = false;
        for (size_t k = 0; code && k < json_array_size(j->meanings); k++)
            known = known || strcmp(code, json_str(json_array_get(j->meanings, k), "code")) == 0;
        if (!known)
            return fault_field(f, ESIGN_E_POLICY, "plans", "the plan %s names an unknown meaning",
                               id);
    }
    return ESIGN_OK;
}

static enum esign_rc init_check_texts(const struct init_job *j, struct fault *f)
{
    enum esign_rc rc = init_check_policy(j->policy, f);
    const char *code = json_str(j->statement, "code"), *text = json_str(j->statement, "text");

    for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(j->meanings); i++)
        rc = init_check_meaning(json_array_get(j->meanings, i), f);
    for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(j->plans); i++)
        rc = init_check_plan(j, json_array_get(j->plans, i), f);
    if (rc == ESIGN_OK && (!json_array_size(j->meanings) || !json_array_size(j->plans)))
        rc = fault_field(f, ESIGN_E_POLICY, "meanings", "there must be a meaning and a plan");
    if (rc == ESIGN_OK &&
        (!code || !text || !text_is_line(text, 4000) || json_int(j->statement, "version", 0) != 1))
        rc = fault_field(f, ESIGN_E_POLICY, "statement",
                         "the statement has code, version 1 and text");
    return rc;
}

static enum esign_rc init_load(struct init_job *j, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *meanings = NULL;
    CLEANUP(json_decref_p) json_t *plans = NULL;
    enum esign_rc rc = init_read(j, "policy.json", &j->policy, f);

    if (rc == ESIGN_OK)
        rc = init_read(j, "meanings.json", &meanings, f);
    if (rc == ESIGN_OK)
        rc = init_read(j, "plans.json", &plans, f);
    if (rc == ESIGN_OK)
        rc = init_read(j, "statement.json", &j->statement, f);
    if (rc != ESIGN_OK)
        return rc;
    j->meanings = json_incref(json_object_get(meanings, "meanings"));
    j->plans = json_incref(json_object_get(plans, "plans"));
    return init_check_texts(j, f);
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
    return init_check_evidence(j, index, f);
}

static enum esign_rc init_hash(struct init_job *j, size_t index, struct fault *f)
{
    const json_t *officer = json_array_get(json_object_get(j->body, "officers"), index);
    const char *text = json_str(officer, "password");
    struct secret *password = secret_new(bytes_of_str(text));

    if (!password)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a password");
    enum esign_rc rc = authn_password_check(password, json_str(officer, "user_id"),
                                            json_int(j->policy, "password.min_chars", 15), f);
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
        register_check_peer(json_object_get(j->body, "terminal"), false, "terminal", f);
    bytes_random(j->evidence_key, sizeof(j->evidence_key));
    for (size_t i = 0; i < count; i++)
        site_new_id('S', j->signer_ids[i]);
    for (size_t i = 0; rc == ESIGN_OK && i < count; i++)
        rc = init_check_officer(j, i, f);
    if (rc == ESIGN_OK)
        rc = init_load(j, f);
    for (size_t i = 0; rc == ESIGN_OK && i < count; i++)
        rc = init_hash(j, i, f);
    return rc;
}

static enum esign_rc init_keys(struct init_job *j, struct fault *f)
{
    struct site *s = j->site;
    int64_t now_ms = clock_now_ms(site_clock(s)), deadline = j->origin->deadline_at_ms;

    if (site_algorithm(s, SITE_LOG) != TOKEN_P256)
        return fault_field(f, ESIGN_E_POLICY, "key_algorithm",
                           "the log's token must make p256 keys (checkpoints are ECDSA P-256)");
    bytes_random(j->log_key, sizeof(j->log_key));
    bytes_random(j->ca_key, sizeof(j->ca_key));
    enum esign_rc rc = token_generate(site_token(s, SITE_LOG), TOKEN_P256, j->log_key, "esignd log",
                                      deadline, &j->log_spki, f);
    if (rc == ESIGN_OK)
        rc = token_generate(site_token(s, SITE_CA), site_algorithm(s, SITE_CA), j->ca_key,
                            "esignd ca", deadline, &j->ca_spki, f);
    if (rc != ESIGN_OK)
        return rc;
    const struct ca_key key = {.token = site_token(s, SITE_CA),
                               .key_id = {0},
                               .algorithm = site_algorithm(s, SITE_CA),
                               .spki = buf_bytes(&j->ca_spki)};
    struct ca_key ca = key;
    memcpy(ca.key_id, j->ca_key, sizeof(ca.key_id));
    const struct ca_certificate wanted = {
        .subject_spki = buf_bytes(&j->ca_spki),
        .common_name = json_str(j->body, "ca_name"),
        .organisation = json_str(j->body, "organisation"),
        .not_before_ms = now_ms,
        .not_after_ms =
            now_ms + json_int(j->policy, "certificate.ca_days", 5475) * 24 * 3600 * 1000,
        .is_ca = true};
    return ca_issue(&ca, (struct bytes){0}, &wanted, deadline, &j->ca_certificate, f);
}

static enum esign_rc init_enter(struct init_job *j, const char *action, const char *object,
                                json_t *new_value, struct store_change *change, struct fault *f)
{
    struct store_receipt receipt;
    const struct audit_act act = {.action = action,
                                  .object = object,
                                  .new_value = new_value,
                                  .terminal = j->origin->terminal};

    return site_commit(j->site, &act, change, j->origin->deadline_at_ms, &receipt, f);
}

/* One versioned object. */
static enum esign_rc init_enter_object(struct init_job *j, const char *kind, const char *id,
                                       json_t *body, struct fault *f)
{
    char action[64], object[96];
    struct store_change change = {0};

    (void)snprintf(action, sizeof(action), "%s.enter", kind);
    (void)snprintf(object, sizeof(object), "%s/%s", kind, id);
    site_put(&change, kind, id, body);
    return init_enter(j, action, object, body, &change, f);
}

static enum esign_rc init_enter_policy(struct init_job *j, struct fault *f)
{
    enum esign_rc rc = init_enter_object(j, "policy", "policy", j->policy, f);

    if (rc == ESIGN_OK)
        rc = init_enter_object(j, "statement", "statement", j->statement, f);
    for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(j->meanings); i++) {
        json_t *meaning = json_array_get(j->meanings, i);
        rc = init_enter_object(j, "meaning", json_str(meaning, "code"), meaning, f);
    }
    for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(j->plans); i++) {
        json_t *plan = json_array_get(j->plans, i);
        rc = init_enter_object(j, "plan", json_str(plan, "id"), plan, f);
    }
    return rc;
}

static enum esign_rc init_enter_officer(struct init_job *j, size_t index, struct fault *f)
{
    const json_t *officers = json_object_get(j->body, "officers");
    const json_t *officer = json_array_get(officers, index);
    const char *signer_id = j->signer_ids[index];
    const char *other = j->signer_ids[(index + 1) % json_array_size(officers)];
    char object[80], at[CLOCK_TEXT];
    struct store_change change = {0};
    CLEANUP(json_decref_p) json_t *roles = json_pack("[s, s]", "regadmin", "secofficer");
    enum esign_rc rc =
        register_add_signer(officer, signer_id, roles, json_array_get(j->evidences, index),
                            "active", other, j->bag, &change, f);
    if (rc != ESIGN_OK)
        return rc;
    clock_format_utc(clock_now_ms(site_clock(j->site)), at);
    json_t *credential =
        register_keep(j->bag, json_pack("{s:s, s:s, s:s, s:s}", "signer_id", signer_id, "state",
                                        "active", "phc", j->phc[index], "changed", at));
    site_put(&change, "credential", signer_id, credential);
    (void)snprintf(object, sizeof(object), "signer/%s", signer_id);
    rc = init_enter(j, "officer.enroll", object, change.rows[0].body, &change, f);
    if (rc != ESIGN_OK)
        return rc;
    json_t *shown =
        json_pack("{s:s, s:s}", "user_id", json_str(officer, "user_id"), "signer_id", signer_id);
    return json_array_append_new(j->officers, shown) == 0
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a reply");
}

static enum esign_rc init_enter_terminal(struct init_job *j, struct fault *f)
{
    struct store_change change = {0};
    char object[96];
    const json_t *terminal = json_object_get(j->body, "terminal");
    enum esign_rc rc = register_add_peer(terminal, false, j->bag, &change, f);

    if (rc != ESIGN_OK)
        return rc;
    (void)snprintf(object, sizeof(object), "terminal/%s", json_str(terminal, "id"));
    return init_enter(j, "terminal.add", object, change.rows[0].body, &change, f);
}

static enum esign_rc init_enter_site(struct init_job *j, struct fault *f)
{
    char log_key[2 * TOKEN_KEY_ID_LEN + 1], ca_key[2 * TOKEN_KEY_ID_LEN + 1], at[CLOCK_TEXT];
    struct store_change change = {0};

    encode_hex(bytes_of(j->log_key, sizeof(j->log_key)), log_key);
    encode_hex(bytes_of(j->ca_key, sizeof(j->ca_key)), ca_key);
    clock_format_utc(clock_now_ms(site_clock(j->site)), at);
    CLEANUP(json_decref_p)
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}",
                            "organisation", json_str(j->body, "organisation"), "origin",
                            config_str(site_config(j->site), "site.origin"), "initialised", at,
                            "system_class", config_str(site_config(j->site), "system_class"),
                            "system", site_system(j->site), "log_key", log_key, "ca_key", ca_key,
                            "ca_algorithm", token_algorithm_name(site_algorithm(j->site, SITE_CA)),
                            "log_spki", site_encode(buf_bytes(&j->log_spki)), "ca_spki",
                            site_encode(buf_bytes(&j->ca_spki)), "ca_certificate",
                            site_encode(buf_bytes(&j->ca_certificate)), "evidence_key",
                            site_encode(bytes_of(j->evidence_key, sizeof(j->evidence_key))));
    /* the entry shows what everybody may know; the key of the evidence hashes stays in the row */
    CLEANUP(json_decref_p) json_t *shown = row ? json_copy(row) : NULL;
    if (!shown || json_object_del(shown, "evidence_key") != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the site's row");
    site_put(&change, "site", "site", row);
    return init_enter(j, "site.init", "site/site", shown, &change, f);
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
        rc = init_enter_terminal(j, f);
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
    enum esign_rc rc = init_check(&j, f);

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
