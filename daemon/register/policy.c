/* Policy, block list, meanings, plans and statement as the site has written them: read once, at the
 * first start. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "register/register_internal.h"

enum {
    POLICY_FILE_MAX = 1024 * 1024,
    POLICY_BLOCKLIST_MAX = 512 * 1024, /* bytes: it must fit into a row */
    POLICY_WORD_MAX = 128
};

/* One file, appended to text. */
static enum esign_rc policy_read_text(const char *directory, const char *name, struct buf *text,
                                      struct fault *f)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    CLEANUP(fclose_p) FILE *file = fopen(path, "re");
    if (!file)
        return fault_cause(f, ESIGN_E_POLICY, (unsigned long)errno, "%.150s can't be read", path);
    for (uint8_t chunk[4096];;) {
        size_t got = fread(chunk, 1, sizeof(chunk), file);
        buf_put(text, bytes_of(chunk, got));
        if (got < sizeof(chunk))
            break;
    }
    return ferror(file) || !buf_ok(text)
               ? fault_set(f, ESIGN_E_POLICY, "%.150s can't be read, or is too long", path)
               : ESIGN_OK;
}

static enum esign_rc policy_read(const char *directory, const char *name, json_t **ret,
                                 struct fault *f)
{
    CLEANUP(buf_done) struct buf text = buf_new(POLICY_FILE_MAX);
    enum esign_rc rc = policy_read_text(directory, name, &text, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = json_parse_object(buf_bytes(&text), ret, f);
    return rc == ESIGN_OK ? ESIGN_OK
                          : fault_set(f, ESIGN_E_POLICY,
                                      "%s is not a policy file: it must be one JSON object", name);
}

/* The words of a block list, one a line; '#' begins a comment. */
static enum esign_rc policy_blocklist_words(char *text, json_t *words, struct fault *f)
{
    for (size_t number = 1, len = 0; *text; number++) {
        len = strcspn(text, "\n");
        char *next = text[len] ? text + len + 1 : text + len;
        text[len] = '\0';
        if (*text && *text != '#') {
            if (len < AUTHN_WORD_MIN || !text_is_line(text, POLICY_WORD_MAX))
                return fault_field(f, ESIGN_E_POLICY, "blocklist",
                                   "blocklist.txt, line %zu: a word is a line of %d to %d bytes",
                                   number, AUTHN_WORD_MIN, POLICY_WORD_MAX);
            if (json_array_append_new(words, json_string(text)) != 0)
                return fault_set(f, ESIGN_E_INTERNAL, "no memory for a block list");
        }
        text = next;
    }
    return ESIGN_OK;
}

static enum esign_rc policy_read_blocklist(const char *directory, json_t **ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf text = buf_new(POLICY_BLOCKLIST_MAX);
    CLEANUP(json_decref_p) json_t *words = json_array();
    uint8_t hash[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    enum esign_rc rc = policy_read_text(directory, "blocklist.txt", &text, f);

    if (rc != ESIGN_OK)
        return rc;
    bytes_sha256(buf_bytes(&text), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), hex);
    buf_put_u8(&text, 0);
    if (!buf_ok(&text) || strlen((const char *)text.data) + 1 != text.len)
        return fault_field(f, ESIGN_E_POLICY, "blocklist", "blocklist.txt is too long or no text");
    rc = policy_blocklist_words((char *)text.data, words, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret = json_pack("{s:i, s:s, s:O}", "version", 1, "sha256", hex, "words", words);
    return *ret ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "no memory for a block list");
}

static bool policy_names(const json_t *array, const char *word)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *text = json_string_value(json_array_get(array, i));
        if (text && strcmp(text, word) == 0)
            return true;
    }
    return false;
}

/* At least two components of which one is private at the first signing, the private one at each.
 * Source: 21 CFR 11.200(a)(1), (a)(1)(i). */
static enum esign_rc policy_check_components(const json_t *policy, struct fault *f)
{
    const json_t *components = json_object_get(policy, "components");
    const json_t *first = json_object_get(components, "first");
    const json_t *subsequent = json_object_get(components, "subsequent");
    size_t known = (policy_names(subsequent, "id") ? 1 : 0) + 1;
    const char *verifier = json_str(policy, "session.verifier");

    if (json_array_size(first) != 2 || !policy_names(first, "id") ||
        !policy_names(first, "password"))
        return fault_field(f, ESIGN_E_POLICY, "components.first",
                           "the first signing needs the components \"id\" and \"password\"");
    if (!policy_names(subsequent, "password") || json_array_size(subsequent) != known)
        return fault_field(f, ESIGN_E_POLICY, "components.subsequent",
                           "each further signing needs the private component \"password\", with or "
                           "without \"id\"");
    if (!verifier || (strcmp(verifier, "memory") != 0 && strcmp(verifier, "argon2id") != 0))
        return fault_field(f, ESIGN_E_POLICY, "session.verifier",
                           "session.verifier must be \"memory\" or \"argon2id\"");
    if (!json_is_boolean(
            json_object_get(json_object_get(policy, "session"), "login_counts_as_first")))
        return fault_field(f, ESIGN_E_POLICY, "session.login_counts_as_first",
                           "session.login_counts_as_first must be true or false");
    return ESIGN_OK;
}

static enum esign_rc policy_check_numbers(const json_t *policy, struct fault *f)
{
    static const struct {
        const char *path;
        int64_t min, max;
    } numbers[] = {{"password.min_chars", 8, 128},
                   {"password.history", 1, 24},
                   {"password.max_age_d", 1, 3650},
                   {"ticket.ttl_s", 10, 86400},
                   {"session.idle_s", 1, 3600},
                   {"session.absolute_s", 1, 86400},
                   {"session.absent_s", 1, 300},
                   {"enrol.secret_ttl_h", 1, 168},
                   {"certificate.signer_days", 1, 3650},
                   {"certificate.ca_days", 30, 10950},
                   {"version", 1, 1}};
    enum esign_rc rc = policy_check_components(policy, f);

    if (rc != ESIGN_OK)
        return rc;
    if (json_int(policy, "password.max_age_d", -1) == 0)
        return fault_field(f, ESIGN_E_POLICY, "password.max_age_d",
                           "passwords without an age need periodic reviews instead "
                           "(21 CFR 11.300(b)), which this version does not have");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t value = json_int(policy, numbers[i].path, -1);
        if (value < numbers[i].min || value > numbers[i].max)
            return fault_field(f, ESIGN_E_POLICY, numbers[i].path, "%s must be %lld to %lld",
                               numbers[i].path, (long long)numbers[i].min,
                               (long long)numbers[i].max);
    }
    rc = authn_limits_check(policy, f);
    if (rc == ESIGN_OK)
        rc = register_custody_check(policy, f);
    if (rc == ESIGN_OK)
        rc = register_card_check_policy(policy, f);
    if (rc != ESIGN_OK)
        return rc;
    const json_t *allowed = json_object_get(policy, "signer_algorithms");
    for (size_t i = 0; i < json_array_size(allowed); i++) {
        const char *name = json_string_value(json_array_get(allowed, i));
        enum token_algorithm algorithm = name ? token_algorithm_by_name(name) : 0;
        /* records are known by SHA-256; verifiers want SHA-384 with P-384 */
        if (!algorithm || algorithm == TOKEN_P384)
            return fault_field(f, ESIGN_E_POLICY, "signer_algorithms",
                               "signers' algorithms are p256, rsa2048, rsa3072 and rsa4096");
    }
    return json_array_size(allowed) > 0 &&
                   text_is_id(json_str(policy, "id") ? json_str(policy, "id") : "", 64)
               ? ESIGN_OK
               : fault_field(f, ESIGN_E_POLICY, "id",
                             "the policy needs an id and signer_algorithms");
}

static enum esign_rc policy_check_meaning(const json_t *meaning, struct fault *f)
{
    const char *code = json_str(meaning, "code"), *text = json_str(meaning, "text");
    const char *language = json_str(meaning, "language");

    if (!code || !text_is_id(code, 32) || !text || !text_is_line(text, 500) || !language ||
        json_int(meaning, "version", 0) != 1)
        return fault_field(f, ESIGN_E_POLICY, "meanings",
                           "each meaning has code, version 1, language and a line of text");
    return ESIGN_OK;
}

static enum esign_rc policy_check_plan(const struct register_policy *p, const json_t *plan,
                                       struct fault *f)
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
        for (size_t k = 0; code && k < json_array_size(p->meanings); k++)
            known = known || strcmp(code, json_str(json_array_get(p->meanings, k), "code")) == 0;
        if (!known)
            return fault_field(f, ESIGN_E_POLICY, "plans", "the plan %s names an unknown meaning",
                               id);
    }
    return ESIGN_OK;
}

static enum esign_rc policy_check_texts(const struct register_policy *p, struct fault *f)
{
    enum esign_rc rc = policy_check_numbers(p->policy, f);
    const char *code = json_str(p->statement, "code"), *text = json_str(p->statement, "text");

    for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(p->meanings); i++)
        rc = policy_check_meaning(json_array_get(p->meanings, i), f);
    for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(p->plans); i++)
        rc = policy_check_plan(p, json_array_get(p->plans, i), f);
    if (rc == ESIGN_OK && (!json_array_size(p->meanings) || !json_array_size(p->plans)))
        rc = fault_field(f, ESIGN_E_POLICY, "meanings", "there must be a meaning and a plan");
    if (rc == ESIGN_OK &&
        (!code || !text || !text_is_line(text, 4000) || json_int(p->statement, "version", 0) != 1))
        rc = fault_field(f, ESIGN_E_POLICY, "statement",
                         "the statement has code, version 1 and text");
    return rc;
}

void register_policy_done(struct register_policy *p)
{
    json_decref(p->policy);
    json_decref(p->blocklist);
    json_decref(p->meanings);
    json_decref(p->plans);
    json_decref(p->statement);
    *p = (struct register_policy){0};
}

enum esign_rc register_policy_load(const char *directory, struct register_policy *ret,
                                   struct fault *f)
{
    CLEANUP(register_policy_done) struct register_policy p = {0};
    CLEANUP(json_decref_p) json_t *meanings = NULL;
    CLEANUP(json_decref_p) json_t *plans = NULL;
    enum esign_rc rc = policy_read(directory, "policy.json", &p.policy, f);

    if (rc == ESIGN_OK)
        rc = policy_read_blocklist(directory, &p.blocklist, f);
    if (rc == ESIGN_OK)
        rc = policy_read(directory, "meanings.json", &meanings, f);
    if (rc == ESIGN_OK)
        rc = policy_read(directory, "plans.json", &plans, f);
    if (rc == ESIGN_OK)
        rc = policy_read(directory, "statement.json", &p.statement, f);
    if (rc != ESIGN_OK)
        return rc;
    p.meanings = json_incref(json_object_get(meanings, "meanings"));
    p.plans = json_incref(json_object_get(plans, "plans"));
    rc = policy_check_texts(&p, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret = p;
    p = (struct register_policy){0};
    return ESIGN_OK;
}
