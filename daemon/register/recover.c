/* Keys that were announced and never finished. */
#include <stdio.h>

#include "base/cleanup.h"
#include "register/register_internal.h"

enum esign_rc register_end_keygen(struct site *s, struct audit_act *act, json_t *keygen,
                                  int64_t keygen_seq, struct fault *f)
{
    char object[80];
    const char *key = json_str(keygen, "key"), *signer_id = json_str(keygen, "signer_id");
    CLEANUP(json_decref_p) json_t *secret = NULL;
    struct store_change change = {0};
    struct store_receipt receipt;
    int64_t secret_seq = -1;
    enum esign_rc rc = store_get(site_store(s), "secret", signer_id, &secret, &secret_seq, f);

    if (rc != ESIGN_OK)
        return rc;
    if (json_object_set_new(keygen, "state", json_string("failed")) != 0 ||
        json_object_set_new(secret, "state", json_string("issued")) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a row");
    (void)snprintf(object, sizeof(object), "key/%s", key);
    act->object = object;
    site_put(&change, "keygen", key, keygen);
    site_guard(&change, "keygen", key, keygen_seq);
    if (secret_seq == keygen_seq) { /* taken for this key and not moved since */
        site_put(&change, "secret", signer_id, secret);
        site_guard(&change, "secret", signer_id, secret_seq);
    }
    return site_commit(s, act, &change, register_later(s), &receipt, f);
}

/* The walk over the keys that were announced. */
struct recover_walk {
    struct site *site;
    size_t count;
};

static enum esign_rc recover_keygen(void *ctx, const struct store_walked *row, struct fault *f)
{
    struct recover_walk *w = ctx;
    struct audit_act act = {
        .action = "key.failed", .result = ESIGN_E_INTERNAL, .result_reason = "restart"};

    w->count++;
    return register_end_keygen(w->site, &act, row->body, row->seq, f);
}

enum esign_rc register_recover(struct site *s, int64_t before, size_t *ret_count, struct fault *f)
{
    struct recover_walk w = {.site = s};
    const struct store_walk walk = {"keygen", "state", "announced", before, recover_keygen, &w};
    enum esign_rc rc = store_walk(site_store(s), &walk, f);

    *ret_count = w.count;
    return rc;
}
