/* A store that was put back: accepted by two officers, with what is lost. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "register/register_internal.h"
#include "site/restored.h"

bool register_is_restore(const char *action)
{
    return strcmp(action, register_restore_action.action) == 0;
}

enum esign_rc register_check_restored(struct site *s, const char *action, struct fault *f)
{
    if (register_is_restore(action) == site_waits(s))
        return ESIGN_OK;
    if (site_waits(s))
        return fault_reason(f, ESIGN_E_STOPPED, "restored",
                            "the store was put back; two officers must accept it first");
    return fault_reason(f, ESIGN_E_CONFLICT, "ready",
                        "the store was not put back, or is accepted already");
}

/* Both officers act on the same loss: it is told in the request. */
static enum esign_rc restore_request(struct site *s, const struct authn_person *officer,
                                     const json_t *params, struct store_change *change,
                                     json_t *approval, struct fault *f)
{
    char object[SITE_ID_MAX + 16], id[SITE_ID_MAX];
    enum esign_rc rc = json_check(params, "params", NULL, 0, f);

    (void)officer;
    (void)change;
    if (rc != ESIGN_OK)
        return rc;
    site_new_id('R', id);
    (void)snprintf(object, sizeof(object), "restoration/%s", id);
    json_t *lost = site_restored_json(site_restored(s));
    if (!lost || json_object_set_new(lost, "id", json_string(id)) != 0 ||
        json_object_set_new(approval, "object", json_string(object)) != 0 ||
        json_object_set(approval, "params", lost) != 0) {
        json_decref(lost);
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an approval");
    }
    json_decref(lost);
    return ESIGN_OK;
}

/* The row: what was asked for, where the trail stood, and who accepted it. */
static json_t *restore_row(struct site *s, const json_t *approval,
                           const struct authn_person *officer, const struct audit_head *head)
{
    CLEANUP(json_decref_p) json_t *row = json_deep_copy(json_object_get(approval, "params"));
    char root[2 * SHA256_LEN + 1], at[CLOCK_TEXT];

    encode_hex(bytes_of(head->root, SHA256_LEN), root);
    clock_format_utc(clock_now_ms(site_clock(s)), at);
    if (!row ||
        json_object_set_new(
            row, "head", json_pack("{s:I, s:s}", "size", (json_int_t)head->size, "root", root)) !=
            0 ||
        json_object_set_new(row, "accepted", json_string(at)) != 0 ||
        json_object_set_new(
            row, "by",
            json_pack("[s, s]", json_str(approval, "requested_by_user"), officer->user_id)) != 0)
        return NULL;
    return TAKE(row);
}

static enum esign_rc restore_approve(struct site *s, const struct authn_person *officer,
                                     json_t *approval, struct store_change *change, json_t *reply,
                                     struct fault *f)
{
    const char *id = json_str(approval, "params.id");
    struct audit_head head;
    enum esign_rc rc = audit_head(site_audit(s), &head, f);

    (void)reply;
    if (rc != ESIGN_OK)
        return rc;
    json_t *row =
        register_keep(json_object_get(approval, "bag"), restore_row(s, approval, officer, &head));
    if (!row)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a restoration");
    site_put(change, "restoration", id, row);
    site_guard(change, "restoration", id, -1);
    return ESIGN_OK;
}

const struct register_action register_restore_action = {"restore.accept", restore_request,
                                                        restore_approve, NULL, false};
