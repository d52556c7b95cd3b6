#include "cms/keys.h"

#include "cms/key.h"

#include <pthread.h>

/* One certificate: the newest that fell on this place. */
struct kept_key {
    uint8_t cert[CMS_KEYS_CERT_MAX];
    size_t cert_len;
    EVP_PKEY *key; /* NULL: the place is free; shared, never changed */
};

struct cms_keys {
    pthread_mutex_t mutex;                 /* for keys */
    struct kept_key *keys[CMS_KEYS_COUNT]; /* NULL: not used yet */
};

enum esign_rc cms_keys_open(struct cms_keys **ret, struct fault *f)
{
    struct cms_keys *k = calloc(1, sizeof *k);

    if (!k)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for keys");
    (void)pthread_mutex_init(&k->mutex, NULL); /* with default attributes it can't fail */
    *ret = k;
    return ESIGN_OK;
}

void cms_keys_close(struct cms_keys *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < CMS_KEYS_COUNT; i++) {
        if (k->keys[i])
            EVP_PKEY_free(k->keys[i]->key);
        free(k->keys[i]);
    }
    (void)pthread_mutex_destroy(&k->mutex); /* nobody holds it */
    free(k);
}

/* The place of a certificate: FNV-1a. */
static size_t place_of(struct bytes cert)
{
    uint32_t hash = 2166136261;

    for (size_t i = 0; i < cert.len; i++)
        hash = (hash ^ cert.data[i]) * 16777619;
    return hash % CMS_KEYS_COUNT;
}

/* The kept key of these bytes, one more reference to it; NULL: there is none. */
static EVP_PKEY *find_key(struct cms_keys *k, size_t place, struct bytes cert)
{
    EVP_PKEY *key = NULL;

    (void)pthread_mutex_lock(&k->mutex); /* can't fail: initialised and not recursive */
    const struct kept_key *kept = k->keys[place];
    if (kept && kept->key && bytes_equal(bytes_of(kept->cert, kept->cert_len), cert) &&
        EVP_PKEY_up_ref(kept->key) == 1)
        key = kept->key;
    (void)pthread_mutex_unlock(&k->mutex);
    return key;
}

/* Without memory, or for a certificate that is too long, it is made again the next time. */
static void keep_key(struct cms_keys *k, size_t place, struct bytes cert, EVP_PKEY *key)
{
    if (cert.len > CMS_KEYS_CERT_MAX)
        return;
    (void)pthread_mutex_lock(&k->mutex); /* as above */
    if (!k->keys[place])
        k->keys[place] = calloc(1, sizeof *k->keys[place]);
    struct kept_key *kept = k->keys[place];
    if (kept && EVP_PKEY_up_ref(key) == 1) {
        EVP_PKEY_free(kept->key);
        memcpy(kept->cert, cert.data, cert.len);
        kept->cert_len = cert.len;
        kept->key = key;
    }
    (void)pthread_mutex_unlock(&k->mutex);
}

enum esign_rc cms_keys_check(struct cms_keys *k, struct bytes cert, struct bytes digest,
                             struct bytes value, bool *ret, struct fault *f)
{
    size_t place = place_of(cert);
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = find_key(k, place, cert);

    if (!key) {
        enum esign_rc rc = cms_read_key(cert, &key, f);
        if (rc)
            return rc;
        keep_key(k, place, cert, key);
    }
    return cms_check_with_key(key, digest, value, ret, f);
}
