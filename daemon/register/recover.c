/* Keys that were announced and never finished. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "register/register_internal.h"

enum { RECOVER_BATCH = 100 };

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

enum esign_rc register_recover(struct site *s, int64_t before, size_t *ret_count, struct fault *f)
{
    char after[SITE_ID_MAX + 1] = "";
    size_t count = 0;

    for (;;) {
        CLEANUP(json_decref_p) json_t *open = NULL;
        enum esign_rc rc = store_list(site_store(s), "keygen", "state", "announced",
                                      after[0] ? after : NULL, RECOVER_BATCH, &open, f);
        for (size_t i = 0; rc == ESIGN_OK && i < json_array_size(open); i++) {
            const json_t *item = json_array_get(open, i);
            (void)snprintf(after, sizeof(after), "%s",
                           json_str(item, "id")); /* at most SITE_ID_MAX */
            if (json_int(item, "seq", -1) >= before)
                continue;
            struct audit_act act = {
                .action = "key.failed", .result = ESIGN_E_INTERNAL, .result_reason = "restart"};
            rc = register_end_keygen(s, &act, json_object_get(item, "body"),
                                     json_int(item, "seq", -1), f);
            count++;
        }
        if (rc != ESIGN_OK)
            return rc;
        if (json_array_size(open) < RECOVER_BATCH)
            break;
    }
    *ret_count = count;
    return ESIGN_OK;
}
