/* The chain from the signer's certificate to an anchor that the caller trusts. */
#include "document/validate/validate_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

enum {
    AUTH_LEVEL =
        2, /* 112 bits: RSA from 2048, no SHA-1.  Source: X509_VERIFY_PARAM_set_auth_level */
    CHAIN_DEPTH_MAX = 5
};

static enum esign_rc add_anchors(const struct validate_path *path, X509_STORE *store,
                                 struct fault *f)
{
    for (size_t i = 0; i < path->anchor_count; i++) {
        const unsigned char *at = path->anchors[i].data;
        CLEANUP(X509_free_p)
        X509 *anchor = path->anchors[i].len <= DOCUMENT_SIGNATURE_MAX
                           ? d2i_X509(NULL, &at, (long)path->anchors[i].len)
                           : NULL;
        if (!anchor || at != path->anchors[i].data + path->anchors[i].len ||
            X509_STORE_add_cert(store, anchor) != 1) {
            ERR_clear_error();
            return fault_field(f, ESIGN_E_PROTO, "anchors", "anchor %zu is no certificate", i);
        }
    }
    return ESIGN_OK;
}

static const char *word_of_error(int error)
{
    switch (error) {
    case X509_V_OK:
        return "ok";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "no-anchor";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "expired";
    default:
        return "bad";
    }
}

/* Whether cert is, byte for byte, one of the chain. */
static bool is_in_chain(X509 *cert, STACK_OF(X509) * chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (X509_cmp(sk_X509_value(chain, i), cert) == 0)
            return true;
    return false;
}

static void check_others(const struct validate_parts *parts, STACK_OF(X509) * chain,
                         struct validate_findings *findings)
{
    for (int i = 0; i < sk_X509_num(parts->certs); i++)
        if (!is_in_chain(sk_X509_value(parts->certs, i), chain)) {
            findings->identity = false;
            validate_note(findings, "a certificate in the signature is not part of its chain");
        }
}

static bool usage_allows_signing(X509 *cert, struct validate_findings *findings)
{
    uint32_t usage = X509_get_key_usage(cert); /* all bits set if there is no such extension */
    if (usage & KU_NON_REPUDIATION && usage & KU_DIGITAL_SIGNATURE)
        return true;
    validate_note(findings, "the certificate's key usage is not signing (nonRepudiation)");
    return false;
}

/* A context that judges the certificate at that time; NULL if memory is out. */
static X509_STORE_CTX *new_context(X509_STORE *store, const struct validate_path *path)
{
    CLEANUP(X509_STORE_CTX_free_p) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (!ctx || X509_STORE_CTX_init(ctx, store, path->cert, path->others) != 1)
        return NULL;
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)(path->at_ms / 1000));
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH_MAX);
    if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY) != 1 ||
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT) != 1)
        return NULL;
    return TAKE(ctx);
}

enum esign_rc validate_path_check(const struct validate_path *path, STACK_OF(X509) * *ret_chain,
                                  const char **ret_word, const char **ret_why, struct fault *f)
{
    *ret_word = "no-anchor";
    *ret_why = "";
    CLEANUP(X509_STORE_free_p) X509_STORE *store = X509_STORE_new();
    if (!store)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a chain");
    enum esign_rc rc = add_anchors(path, store, f);
    if (rc || !path->cert)
        return rc;
    CLEANUP(X509_STORE_CTX_free_p) X509_STORE_CTX *ctx = new_context(store, path);
    if (!ctx)
        return fault_cause(f, ESIGN_E_INTERNAL, ERR_peek_last_error(), "a chain can't be judged");

    bool good = X509_verify_cert(ctx) == 1;
    int error = X509_STORE_CTX_get_error(ctx);
    *ret_word = good ? "ok" : word_of_error(error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error);
    if (!good)
        *ret_why = X509_verify_cert_error_string(error);
    if (good && ret_chain)
        *ret_chain = X509_STORE_CTX_get1_chain(ctx);
    ERR_clear_error();
    return ESIGN_OK;
}

enum esign_rc validate_chain_check(const struct document_signature *s,
                                   const struct validate_parts *parts, int64_t at_ms,
                                   struct validate_findings *findings, struct fault *f)
{
    const struct validate_path path = {parts->signer, parts->certs, s->anchors, s->anchor_count,
                                       at_ms};
    STACK_OF(X509) *chain = NULL;
    const char *why = "";
    enum esign_rc rc = validate_path_check(&path, &chain, &findings->chain, &why, f);

    if (rc || !parts->signer)
        return rc;
    bool good = strcmp(findings->chain, "ok") == 0;
    if (!good)
        validate_note(findings, "chain: %s", why);
    if (good && !usage_allows_signing(parts->signer, findings))
        findings->chain = "bad";
    if (good)
        check_others(parts, chain, findings);
    sk_X509_pop_free(chain, X509_free);
    return ESIGN_OK;
}
