#include "store/entry.h"

#include "base/cleanup.h"
#include "base/encode.h"

#include <string.h>

enum { ENTRY_FORMAT = 1 };

enum member_type { MEMBER_STRING, MEMBER_OBJECT, MEMBER_STRING_OR_OBJECT, MEMBER_INTEGER };

/* The members of an entry as FORMAT.md lists them. */
static const struct member {
    const char *name;
    enum member_type type;
    bool required;
    bool by_store; /* added here, not by the caller */
} MEMBERS[] = {
    {"action", MEMBER_STRING, true, false},
    {"actor", MEMBER_OBJECT, true, false},
    {"alert", MEMBER_STRING, false, false},
    {"application", MEMBER_STRING_OR_OBJECT, false, false},
    {"clock", MEMBER_STRING, true, true},
    {"format", MEMBER_INTEGER, true, true},
    {"new", MEMBER_STRING_OR_OBJECT, false, false},
    {"object", MEMBER_STRING, true, false},
    {"offset", MEMBER_STRING, true, true},
    {"old", MEMBER_STRING_OR_OBJECT, false, false},
    {"reason", MEMBER_STRING, false, false},
    {"result", MEMBER_STRING, true, false},
    {"rows", MEMBER_OBJECT, true, true},
    {"seq", MEMBER_INTEGER, true, true},
    {"terminal", MEMBER_STRING_OR_OBJECT, false, false},
    {"time", MEMBER_STRING, true, true},
};
enum { MEMBER_COUNT = sizeof MEMBERS / sizeof MEMBERS[0] };

static bool member_fits(const struct member *m, const json_t *value)
{
    switch (m->type) {
    case MEMBER_STRING:
        return json_is_string(value);
    case MEMBER_OBJECT:
        return json_is_object(value);
    case MEMBER_STRING_OR_OBJECT:
        return json_is_string(value) || json_is_object(value);
    case MEMBER_INTEGER:
        return json_is_integer(value);
    }
    return false;
}

static const char *first_unknown(const json_t *entry)
{
    json_t *borrowed = (json_t *)(uintptr_t)entry; /* iterators do not change it */
    for (void *at = json_object_iter(borrowed); at; at = json_object_iter_next(borrowed, at)) {
        const char *name = json_object_iter_key(at);
        bool known = false;
        for (size_t i = 0; i < MEMBER_COUNT && !known; i++)
            known = strcmp(MEMBERS[i].name, name) == 0;
        if (!known)
            return name;
    }
    return NULL;
}

/* The name of the first member that is missing, unknown or of the wrong type, or NULL.
 * sealed: with the store's members, else without. */
static const char *first_misfit(const json_t *entry, bool sealed)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        const struct member *m = &MEMBERS[i];
        const json_t *value = json_object_get(entry, m->name);
        if (!value && (!m->required || (m->by_store && !sealed)))
            continue;
        if (!value || !member_fits(m, value) || (m->by_store && !sealed))
            return m->name;
    }
    return first_unknown(entry);
}

bool store_is_kind(const char *kind)
{
    size_t len = strlen(kind);
    return len > 0 && len <= STORE_KIND_MAX && strspn(kind, "abcdefghijklmnopqrstuvwxyz-") == len;
}

void store_row_key(const char *kind, const char *id, char ret[STORE_KEY_SIZE])
{
    (void)snprintf(ret, STORE_KEY_SIZE, "%s/%s", kind, id); /* both are bounded */
}

void store_prepared_done(struct store_prepared *p)
{
    json_decref(p->entry);
    for (size_t i = 0; i < p->row_count; i++)
        free(p->bodies[i]);
    *p = (struct store_prepared){0};
}

/* The canonical body of a row, and its hash into rows under its key. */
static enum esign_rc prepare_row(const struct store_row *row, json_t *rows, char **ret,
                                 struct fault *f)
{
    if (!store_is_kind(row->kind) || !text_is_id(row->id, STORE_ID_MAX))
        return fault_set(f, ESIGN_E_INTERNAL, "row %.32s/%.64s: not a kind and an id", row->kind,
                         row->id);
    if (!json_is_object(row->body))
        return fault_set(f, ESIGN_E_INTERNAL, "row %s/%s: not an object", row->kind, row->id);
    CLEANUP(buf_done) struct buf body = buf_new(STORE_ROW_MAX);
    enum esign_rc rc = json_canonical(row->body, &body);
    if (rc)
        return fault_set(f, rc, "row %s/%s: no canonical JSON within the limit", row->kind,
                         row->id);
    char key[STORE_KEY_SIZE];
    store_row_key(row->kind, row->id, key);
    uint8_t hash[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    bytes_sha256(buf_bytes(&body), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof hash), hex);
    if (json_object_get(rows, key))
        return fault_set(f, ESIGN_E_INTERNAL, "row %s stands twice in one change", key);
    const char *text = buf_str(&body);
    char *copy = text ? strdup(text) : NULL;
    if (!copy || json_object_set_new(rows, key, json_string(hex)) != 0) {
        free(copy);
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    }
    *ret = copy;
    return ESIGN_OK;
}

enum esign_rc store_prepare_change(const struct store_change *change, struct store_prepared *ret,
                                   struct fault *f)
{
    if (change->row_count > STORE_ROWS_MAX || change->guard_count > STORE_ROWS_MAX)
        return fault_set(f, ESIGN_E_INTERNAL, "a change has too many rows or guards");
    const char *misfit = first_misfit(change->entry, false);
    if (misfit)
        return fault_set(f, ESIGN_E_INTERNAL,
                         "audit entry: member %s is missing, unknown or of a wrong type", misfit);
    if (!json_str(change->entry, "actor.role"))
        return fault_set(f, ESIGN_E_INTERNAL, "audit entry: actor has no role");
    ret->entry = json_copy(change->entry);
    json_t *rows = json_object();
    if (!ret->entry || json_object_set_new(ret->entry, "rows", rows) != 0 ||
        json_object_set_new(ret->entry, "format", json_integer(ENTRY_FORMAT)) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    for (size_t i = 0; i < change->row_count; i++) {
        enum esign_rc rc = prepare_row(&change->rows[i], rows, &ret->bodies[i], f);
        if (rc)
            return rc;
        ret->row_count++;
    }
    return ESIGN_OK;
}

void store_leaf_hash(struct bytes entry, uint8_t ret[SHA256_LEN])
{
    static const uint8_t prefix = 0x00;
    bytes_sha256(bytes_of(&prefix, 1), entry, ret);
}

enum esign_rc store_seal_entry(const struct store_prepared *p, const struct store_stamp *stamp,
                               struct buf *out, uint8_t ret_leaf[SHA256_LEN], struct fault *f)
{
    char time[CLOCK_TEXT];
    clock_format_utc(stamp->time_ms, time);
    if (json_object_set_new(p->entry, "seq", json_integer(stamp->seq)) != 0 ||
        json_object_set_new(p->entry, "time", json_string(time)) != 0 ||
        json_object_set_new(p->entry, "offset", json_string(stamp->offset)) != 0 ||
        json_object_set_new(p->entry, "clock",
                            json_string(stamp->synchronised ? "synchronised" : "unsynchronised")) !=
            0)
        return fault_set(f, ESIGN_E_INTERNAL, "out of memory");
    CLEANUP(buf_done) struct buf bytes = buf_new(STORE_ENTRY_MAX);
    enum esign_rc rc = json_canonical(p->entry, &bytes);
    if (rc)
        return fault_set(f, rc, "audit entry: no canonical JSON of at most %d bytes",
                         STORE_ENTRY_MAX);
    store_leaf_hash(buf_bytes(&bytes), ret_leaf);
    buf_put(out, buf_bytes(&bytes));
    return buf_ok(out) ? ESIGN_OK : fault_set(f, ESIGN_E_INTERNAL, "out of memory");
}

static enum esign_rc tampered(int64_t seq, const char *what, struct fault *f)
{
    return fault_reason(f, ESIGN_E_AUDIT_UNAVAILABLE, "tampered", "audit entry %lld: %s",
                        (long long)seq, what);
}

static bool is_canonical(const json_t *entry, struct bytes bytes)
{
    CLEANUP(buf_done) struct buf again = buf_new(STORE_ENTRY_MAX);
    return json_canonical(entry, &again) == ESIGN_OK && bytes_equal(buf_bytes(&again), bytes);
}

enum esign_rc store_check_entry(struct bytes entry, struct bytes leaf, int64_t seq, json_t **ret,
                                struct fault *f)
{
    uint8_t hash[SHA256_LEN];
    store_leaf_hash(entry, hash);
    if (!bytes_equal(bytes_of(hash, sizeof hash), leaf))
        return tampered(seq, "the bytes are not those of the leaf hash", f);
    CLEANUP(json_decref_p) json_t *value = NULL;
    if (json_parse_object(entry, &value, NULL) || !is_canonical(value, entry))
        return tampered(seq, "not canonical JSON", f);
    if (first_misfit(value, true))
        return tampered(seq, "not the members of an entry", f);
    if (json_int(value, "format", 0) != ENTRY_FORMAT)
        return tampered(seq, "unknown format", f);
    int64_t time_ms = 0;
    if (clock_parse_utc(json_str(value, "time"), &time_ms))
        return tampered(seq, "not a time", f);
    if (json_int(value, "seq", -1) != seq)
        return tampered(seq, "the entry at this place has another sequence", f);
    if (ret)
        *ret = TAKE(value);
    return ESIGN_OK;
}

static enum esign_rc row_tampered(const char *key, const char *what, struct fault *f)
{
    enum esign_rc rc = fault_field(f, ESIGN_E_CRED_STATE, key, "row %s %s", key, what);
    if (f)
        (void)snprintf(f->reason, sizeof f->reason, "tampered"); /* fits */
    return rc;
}

enum esign_rc store_check_row(const json_t *entry, const char *kind, const char *id,
                              struct bytes body, struct fault *f)
{
    char key[STORE_KEY_SIZE];
    store_row_key(kind, id, key);
    const char *expected = json_string_value(json_object_get(json_object_get(entry, "rows"), key));
    uint8_t hash[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    bytes_sha256(body, (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof hash), hex);
    if (expected && strcmp(expected, hex) == 0)
        return ESIGN_OK;
    return row_tampered(key, "is not the one that the audit trail tells of", f);
}

enum esign_rc store_row_is_old(const char *kind, const char *id, struct fault *f)
{
    char key[STORE_KEY_SIZE];
    store_row_key(kind, id, key);
    return row_tampered(key, "is missing or older than the audit trail tells", f);
}
