#include "store/cache.h"

#include <pthread.h>
#include <string.h>

/* One row: the newest that fell on this place. */
struct cached {
    char key[STORE_KEY_SIZE];
    int64_t seq;
    size_t size;  /* as the bounds count it */
    json_t *body; /* never changed; NULL: the place is free */
};

struct store_cache {
    pthread_mutex_t mutex; /* for all that follows */
    struct cached rows[STORE_CACHE_ROWS];
    size_t used; /* of all rows */
    size_t hand; /* what is dropped next for want of room */
};

enum esign_rc store_cache_open(struct store_cache **ret, struct fault *f)
{
    struct store_cache *c = calloc(1, sizeof *c);
    if (!c)
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    (void)pthread_mutex_init(&c->mutex, NULL); /* with default attributes it can't fail */
    *ret = c;
    return ESIGN_OK;
}

void store_cache_close(struct store_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < STORE_CACHE_ROWS; i++)
        json_decref(c->rows[i].body);
    (void)pthread_mutex_destroy(&c->mutex);
    free(c);
}

/* The place of a key: FNV-1a. */
static struct cached *place_of(struct store_cache *c, const char *key)
{
    uint32_t hash = 2166136261;
    for (; *key; key++)
        hash = (hash ^ (uint8_t)*key) * 16777619;
    return &c->rows[hash % STORE_CACHE_ROWS];
}

static void drop(struct store_cache *c, struct cached *row)
{
    if (!row->body)
        return;
    json_decref(row->body);
    c->used -= row->size;
    row->body = NULL;
}

static json_t *copy_of(const json_t *value, size_t *left);

/* Take len bytes of what is left. */
static bool afford(size_t *left, size_t len)
{
    if (len > *left)
        return false;
    *left -= len;
    return true;
}

static json_t *copy_object(const json_t *object, size_t *left)
{
    json_t *copy = json_object();
    json_t *borrowed = (json_t *)(uintptr_t)object; /* iterators do not change it */
    for (void *at = json_object_iter(borrowed); copy && at;
         at = json_object_iter_next(borrowed, at)) {
        const char *name = json_object_iter_key(at);
        json_t *member =
            afford(left, strlen(name)) ? copy_of(json_object_iter_value(at), left) : NULL;
        if (json_object_set_new_nocheck(copy, name, member) != 0) {
            json_decref(copy);
            copy = NULL;
        }
    }
    return copy;
}

static json_t *copy_array(const json_t *array, size_t *left)
{
    json_t *copy = json_array();
    for (size_t i = 0; copy && i < json_array_size(array); i++) {
        if (json_array_append_new(copy, copy_of(json_array_get(array, i), left)) != 0) {
            json_decref(copy);
            copy = NULL;
        }
    }
    return copy;
}

/* Every part is new.  (json_deep_copy() looks for circles and checks texts again: three times as
 * long.)  NULL: no memory, or longer than what is left. */
static json_t *copy_of(const json_t *value, size_t *left)
{
    if (!afford(left, sizeof(json_t)))
        return NULL;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return copy_object(value, left);
    case JSON_ARRAY:
        return copy_array(value, left);
    case JSON_STRING:
        return afford(left, json_string_length(value))
                   ? json_stringn_nocheck(json_string_value(value), json_string_length(value))
                   : NULL;
    case JSON_INTEGER:
        return json_integer(json_integer_value(value));
    case JSON_REAL:
        return json_real(json_real_value(value));
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        return json_incref((json_t *)(uintptr_t)value); /* there is one of each */
    }
    return NULL;
}

json_t *store_cache_look(struct store_cache *c, const char *kind, const char *id, int64_t seq)
{
    char key[STORE_KEY_SIZE];
    json_t *body = NULL;
    store_row_key(kind, id, key);
    (void)pthread_mutex_lock(&c->mutex); /* can't fail: initialised and not recursive */
    const struct cached *row = place_of(c, key);
    if (row->body && row->seq == seq && strcmp(row->key, key) == 0)
        body = json_incref(row->body);
    (void)pthread_mutex_unlock(&c->mutex);
    return body;
}

void store_cache_give(struct store_cache *c, json_t *body)
{
    (void)pthread_mutex_lock(&c->mutex); /* as above; jansson counts without ordering */
    json_decref(body);
    (void)pthread_mutex_unlock(&c->mutex);
}

json_t *store_cache_get(struct store_cache *c, const char *kind, const char *id, int64_t seq)
{
    size_t left = STORE_CACHE_ROW_MAX;
    json_t *body = store_cache_look(c, kind, id, seq);
    json_t *copy = body ? copy_of(body, &left) : NULL;

    store_cache_give(c, body);
    return copy;
}

void store_cache_put(struct store_cache *c, const char *kind, const char *id, int64_t seq,
                     const json_t *body)
{
    char key[STORE_KEY_SIZE];
    size_t left = STORE_CACHE_ROW_MAX;
    json_t *copy = copy_of(body, &left);
    if (!copy)
        return;
    store_row_key(kind, id, key);
    (void)pthread_mutex_lock(&c->mutex); /* as above */
    struct cached *row = place_of(c, key);
    drop(c, row);
    while (c->used + STORE_CACHE_ROW_MAX - left > STORE_CACHE_MAX)
        drop(c, &c->rows[c->hand++ % STORE_CACHE_ROWS]);
    memcpy(row->key, key, sizeof key);
    row->seq = seq;
    row->size = STORE_CACHE_ROW_MAX - left;
    row->body = copy;
    c->used += row->size;
    (void)pthread_mutex_unlock(&c->mutex);
}

void store_cache_renew(struct store_cache *c, const char *kind, const char *id, int64_t seq,
                       const json_t *body)
{
    char key[STORE_KEY_SIZE];
    store_row_key(kind, id, key);
    (void)pthread_mutex_lock(&c->mutex); /* as above */
    const struct cached *row = place_of(c, key);
    bool here = row->body && row->seq < seq && strcmp(row->key, key) == 0;
    (void)pthread_mutex_unlock(&c->mutex);
    if (here)
        store_cache_put(c, kind, id, seq, body);
}
