#include "site/loaded.h"

#include "base/cleanup.h"
#include "base/encode.h"

enum esign_rc loaded_hash(const struct config *c, char ret[LOADED_HASH_LEN], struct fault *f)
{
    CLEANUP(json_decref_p) json_t *all = config_describe(c);
    uint8_t hash[SHA256_LEN];

    if (!all || json_hash(all, hash) != ESIGN_OK)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for the hash of the configuration");
    encode_hex(bytes_of(hash, sizeof(hash)), ret);
    return ESIGN_OK;
}

void loaded_set(struct site *s, const struct loaded *value)
{
    struct loaded_slot *slot = site_loaded(s);

    (void)pthread_mutex_lock(&slot->mutex); /* can't fail: initialised and not recursive */
    slot->value = *value;
    (void)pthread_mutex_unlock(&slot->mutex); /* as above */
}

struct loaded loaded_get(struct site *s)
{
    struct loaded_slot *slot = site_loaded(s);

    (void)pthread_mutex_lock(&slot->mutex); /* as above */
    struct loaded value = slot->value;
    (void)pthread_mutex_unlock(&slot->mutex); /* as above */
    return value;
}
