#include "store/known.h"

#include <string.h>

void store_known_init(struct store_known *k)
{
    for (size_t i = 0; i < STORE_KNOWN_COUNT; i++)
        k->rows[i].seq = -1;
}

/* The place of a key: FNV-1a. */
static size_t place_of(const char *key)
{
    uint32_t hash = 2166136261;

    for (; *key; key++)
        hash = (hash ^ (uint8_t)*key) * 16777619;
    return hash % STORE_KNOWN_COUNT;
}

bool store_known_is(const struct store_known *k, const char *kind, const char *id, int64_t seq,
                    struct bytes leaf, struct bytes body)
{
    char key[STORE_KEY_SIZE];
    uint8_t hash[SHA256_LEN];

    store_row_key(kind, id, key);
    const struct store_known_row *row = &k->rows[place_of(key)];
    if (seq < 0 || row->seq != seq || strcmp(row->key, key) != 0 ||
        !bytes_equal(bytes_of(row->leaf, sizeof row->leaf), leaf))
        return false;
    bytes_sha256(body, (struct bytes){0}, hash);
    return bytes_equal(bytes_of(row->hash, sizeof row->hash), bytes_of(hash, sizeof hash));
}

void store_known_put(struct store_known *k, const char *kind, const char *id, int64_t seq,
                     struct bytes leaf, struct bytes body)
{
    char key[STORE_KEY_SIZE];

    store_row_key(kind, id, key);
    struct store_known_row *row = &k->rows[place_of(key)];
    memcpy(row->key, key, sizeof key);
    row->seq = seq;
    memcpy(row->leaf, leaf.data, sizeof row->leaf); /* a checked leaf has this length */
    bytes_sha256(body, (struct bytes){0}, row->hash);
}
