/* One-time secrets: made for two officers, proved by the signer. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "register/register_internal.h"

void register_code_wipe(char (*code)[REGISTER_CODE_MAX])
{
    explicit_bzero(*code, sizeof(*code));
}

void register_code_hash(struct bytes code, char ret_hash[2 * SHA256_LEN + 1])
{
    uint8_t hash[SHA256_LEN];

    /* 100 random bits need no slow hash */
    bytes_sha256(bytes_of_str("esignd one-time code\n"), code, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), ret_hash);
}

void register_code_new(char ret_code[REGISTER_CODE_MAX], char ret_hash[2 * SHA256_LEN + 1])
{
    static const char alphabet[] =
        "abcdefghjkmnpqrstuvwxyz023456789"; /* nothing that looks alike */
    uint8_t random[20];
    size_t at = 0;

    bytes_random(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++) {
        if (i > 0 && i % 4 == 0)
            ret_code[at++] = '-';
        ret_code[at++] = alphabet[random[i] & 31];
    }
    ret_code[at] = '\0';
    explicit_bzero(random, sizeof(random));
    register_code_hash(bytes_of_str(ret_code), ret_hash);
}

bool register_code_is(const json_t *row, const char *member, const struct secret *code)
{
    char hash[2 * SHA256_LEN + 1];

    register_code_hash(secret_bytes(code), hash);
    return strcmp(hash, json_str(row, member)) == 0; /* hashes: timing tells nothing of the code */
}

bool register_secret_is(const json_t *secret, const struct secret *receipt,
                        const struct secret *half)
{
    return register_code_is(secret, "receipt_hash", receipt) &&
           register_code_is(secret, "half_hash", half);
}

enum esign_rc register_secret_wrong(struct fault *f)
{
    return fault_set(f, ESIGN_E_AUTH_FAILED,
                     "the code or the one-time secret is wrong; the order of the halves matters: "
                     "first the one of the officer who asked, then that of the one who approved");
}

enum esign_rc register_secret_refused(struct site *s, const struct register_origin *origin,
                                      const char *action, const json_t *signer, bool proved,
                                      struct fault *f)
{
    char object[80];
    struct store_change change = {0};
    struct store_receipt receipt;
    struct fault refused = *f;
    struct audit_act act = {.action = action,
                            .object = object,
                            .result = refused.rc,
                            .result_reason = refused.reason,
                            .application = origin->application,
                            .terminal = origin->terminal};

    (void)snprintf(object, sizeof(object), "signer/%s",
                   signer ? json_str(signer, "signer_id") : "unknown");
    if (proved)
        act.actor = (struct audit_actor){json_str(signer, "signer_id"), json_str(signer, "user_id"),
                                         "signer", 0};
    enum esign_rc rc = site_commit(s, &act, &change, register_later(s), &receipt, f);
    if (rc != ESIGN_OK)
        return rc;
    *f = refused;
    return refused.rc;
}

enum esign_rc register_check_secret(const json_t *secret, int64_t now_ms, struct fault *f)
{
    const char *state = json_str(secret, "state");

    if (strcmp(state, "using") == 0)
        return fault_reason(f, ESIGN_E_CONFLICT, state, "another call uses this secret now");
    if (strcmp(state, "issued") != 0)
        return fault_reason(f, ESIGN_E_CRED_STATE, state, "the one-time secret is %s", state);
    if (now_ms >= json_int(secret, "expires_ms", 0))
        return fault_reason(f, ESIGN_E_CRED_STATE, "expired", "the one-time secret has expired");
    return ESIGN_OK;
}

enum esign_rc register_issue_secret(struct site *s, json_t *approval, struct store_change *change,
                                    json_t *reply, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *policy = NULL;
    CLEANUP(register_code_wipe) char code[REGISTER_CODE_MAX] = "";
    char hash[2 * SHA256_LEN + 1];
    enum esign_rc rc = site_policy(s, &policy, NULL, f);

    if (rc != ESIGN_OK)
        return rc;
    int64_t expires_ms =
        clock_now_ms(site_clock(s)) + json_int(policy, "enrol.secret_ttl_h", 24) * 3600 * 1000;
    register_code_new(code, hash);
    json_t *secret = register_keep(
        json_object_get(approval, "bag"),
        json_pack("{s:s, s:s, s:s, s:s, s:I}", "signer_id", json_str(approval, "signer_id"),
                  "state", "issued", "receipt_hash", json_str(approval, "receipt_hash"),
                  "half_hash", hash, "expires_ms", (json_int_t)expires_ms));
    int failed = json_object_set_new(reply, "secret", json_string(code));
    if (!secret || failed)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a secret");
    site_put(change, "secret", json_str(secret, "signer_id"), secret);
    return ESIGN_OK;
}
