/* What becomes of a sealed key (custody K2) with its owner's password. */
#include <string.h>

#include "authn/seal.h"
#include "base/cleanup.h"
#include "register/register_internal.h"

bool register_is_sealed(const json_t *signer)
{
    const char *custody = json_str(signer, "custody");

    return custody && strcmp(custody, "K2") == 0;
}

/* The blob of the row opened under the present password and sealed under the next one. */
static enum esign_rc sealed_again(json_t *row, const struct authn_person *owner,
                                  const struct secret *next, int64_t generation, struct fault *f)
{
    CLEANUP(buf_done) struct buf wrapped = buf_new_locked(TOKEN_WRAPPED_MAX);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    const char *key = json_str(owner->signer, "key");
    struct seal_about about;
    json_t *sealed = NULL;
    enum esign_rc rc = seal_about_row(row, owner->signer_id, key, generation, &spki, &about, f);

    if (rc == ESIGN_OK && !owner->sealing)
        rc = fault_set(f, ESIGN_E_INTERNAL, "the password's hash is not one of custody K2");
    if (rc == ESIGN_OK)
        rc = seal_open(owner->sealing, &about, json_object_get(row, "sealed"), &wrapped, f);
    about.generation = generation + 1;
    if (rc == ESIGN_OK)
        rc = seal_close(next, &about, buf_bytes(&wrapped), &sealed, f);
    if (rc == ESIGN_OK && json_object_set_new(row, "sealed", sealed) != 0)
        rc = fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    return rc;
}

enum esign_rc register_seal_again(struct site *s, const struct authn_person *owner,
                                  const struct secret *next, json_t *credential, json_t *bag,
                                  struct store_change *change, struct fault *f)
{
    const char *key = json_str(owner->signer, "key");
    int64_t seq = -1, generation = json_int(credential, "seal", 0);
    json_t *row = NULL;
    enum esign_rc rc = store_get(site_store(s), "key", key, &row, &seq, f);

    if (rc != ESIGN_OK)
        return rc;
    if (!register_keep(bag, row) ||
        json_object_set_new(credential, "seal", json_integer(generation + 1)) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    rc = sealed_again(row, owner, next, generation, f);
    if (rc != ESIGN_OK)
        return rc;
    site_put(change, "key", key, row);
    site_guard(change, "key", key, seq);
    return ESIGN_OK;
}

enum esign_rc register_end_sealed(struct site *s, const json_t *signer, json_t *bag,
                                  struct store_change *change, struct fault *f)
{
    char at[CLOCK_TEXT];
    const char *key = json_str(signer, "key");
    int64_t seq = -1;
    json_t *row = NULL;
    enum esign_rc rc = store_get(site_store(s), "key", key, &row, &seq, f);

    if (rc != ESIGN_OK)
        return rc;
    clock_format_utc(clock_now_ms(site_clock(s)), at);
    if (!register_keep(bag, row) || json_object_set_new(row, "state", json_string("ended")) != 0 ||
        json_object_set_new(row, "ended", json_string(at)) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a key");
    (void)json_object_del(row, "sealed"); /* absent: it ended before */
    site_put(change, "key", key, row);
    site_guard(change, "key", key, seq);
    return ESIGN_OK;
}
