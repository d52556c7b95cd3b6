/* Applications and terminals: which kernel identity stands for which. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "register/register_internal.h"

static const struct json_field peer_application_fields[] = {
    {"id", JSON_FIELD_STR, true, 64},
    {"name", JSON_FIELD_STR, true, 64},
    {"uid", JSON_FIELD_INT, true, UINT32_MAX},
    {"rights", JSON_FIELD_ARRAY, true, 8},
};

static const struct json_field peer_terminal_fields[] = {
    {"id", JSON_FIELD_STR, true, 64},
    {"location", JSON_FIELD_STR, true, 64},
    {"uid", JSON_FIELD_INT, false, UINT32_MAX},
    {"gid", JSON_FIELD_INT, false, UINT32_MAX},
};

static enum esign_rc peer_check_rights(const json_t *rights, struct fault *f)
{
    static const char *const known[] = {"ticket", "entry_app", "digest_only", "verify", "read"};

    for (size_t i = 0; i < json_array_size(rights); i++) {
        const char *right = json_string_value(json_array_get(rights, i));
        bool fits = false;
        for (size_t k = 0; right && k < sizeof(known) / sizeof(known[0]); k++)
            fits = fits || strcmp(right, known[k]) == 0;
        if (!fits)
            return fault_field(f, ESIGN_E_PROTO, "params.rights",
                               "rights are ticket, entry_app, digest_only, verify and read");
    }
    return ESIGN_OK;
}

/* Root and the users of the services. */
static enum esign_rc peer_check_user(const struct config *c, uid_t uid, struct fault *f)
{
    if (uid == 0 || uid == geteuid() || config_is_service(c, uid))
        return fault_field(f, ESIGN_E_POLICY, "uid",
                           "root and the users of the services can't be an application");
    return ESIGN_OK;
}

enum esign_rc register_check_peer(struct site *s, const json_t *params, bool application,
                                  const char *prefix, struct fault *f)
{
    const char *line = application ? "name" : "location";
    enum esign_rc rc =
        application
            ? json_check(params, prefix, peer_application_fields,
                         sizeof(peer_application_fields) / sizeof(peer_application_fields[0]), f)
            : json_check(params, prefix, peer_terminal_fields,
                         sizeof(peer_terminal_fields) / sizeof(peer_terminal_fields[0]), f);

    if (rc != ESIGN_OK)
        return rc;
    if (!text_is_id(json_str(params, "id"), 64))
        return fault_field(f, ESIGN_E_PROTO, "id",
                           "the id is 1 to 64 letters, digits, '.', '_' or '-'");
    if (!text_is_line(json_str(params, line), 64))
        return fault_field(f, ESIGN_E_PROTO, line, "%s is a line of at most 64 bytes", line);
    if (application) {
        rc = peer_check_user(site_config(s), (uid_t)json_int(params, "uid", 0), f);
        return rc == ESIGN_OK ? peer_check_rights(json_object_get(params, "rights"), f) : rc;
    }
    if (!json_object_get(params, "uid") == !json_object_get(params, "gid"))
        return fault_field(f, ESIGN_E_PROTO, "uid", "a terminal has either a uid or a gid");
    return ESIGN_OK;
}

enum esign_rc register_add_peer(const json_t *params, bool application, json_t *bag,
                                struct store_change *change, struct fault *f)
{
    char peer_id[32];
    bool by_uid = json_object_get(params, "uid") != NULL;

    (void)snprintf(peer_id, sizeof(peer_id), "%s-%lld", by_uid ? "uid" : "gid",
                   (long long)json_int(params, by_uid ? "uid" : "gid", 0));
    const char *kind = application ? "application" : "terminal";
    json_t *row = register_keep(bag, json_deep_copy(params));
    json_t *peer =
        register_keep(bag, json_pack("{s:s, s:s}", kind, json_str(params, "id"), "peer", peer_id));
    if (!row || !peer)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a row");
    site_put(change, kind, json_str(row, "id"), row);
    site_put(change, "peer", json_str(peer, "peer"), peer);
    return ESIGN_OK;
}

/* Ids and users of these rows must never have been registered. */
static void peer_guard_new(const struct store_change *rows, size_t first,
                           struct store_change *change)
{
    for (size_t i = first; i < rows->row_count; i++)
        site_guard(change, rows->rows[i].kind, rows->rows[i].id, -1);
}

static enum esign_rc peer_request(struct site *s, const json_t *params, bool application,
                                  struct store_change *change, json_t *approval, struct fault *f)
{
    struct store_change later = {0}; /* what the approval will write */
    char object[96];
    enum esign_rc rc = register_check_peer(s, params, application, "params", f);

    if (rc == ESIGN_OK)
        rc = register_add_peer(params, application, json_object_get(approval, "bag"), &later, f);
    if (rc != ESIGN_OK)
        return rc;
    peer_guard_new(&later, 0, change);
    (void)snprintf(object, sizeof(object), "%s/%s", application ? "application" : "terminal",
                   json_str(params, "id"));
    json_t *copy = json_deep_copy(params);
    if (!copy || json_object_set_new(approval, "params", copy) != 0 ||
        json_object_set_new(approval, "object", json_string(object)) != 0)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for an approval");
    return ESIGN_OK;
}

static enum esign_rc peer_approve(struct site *s, json_t *approval, bool application,
                                  struct store_change *change, struct fault *f)
{
    size_t first = change->row_count;
    const json_t *params = json_object_get(approval, "params");
    enum esign_rc rc = register_check_peer(s, params, application, "params", f);

    if (rc == ESIGN_OK)
        rc = register_add_peer(params, application, json_object_get(approval, "bag"), change, f);
    if (rc == ESIGN_OK)
        peer_guard_new(change, first, change);
    return rc;
}

static enum esign_rc peer_request_application(struct site *s, const struct authn_person *officer,
                                              const json_t *params, struct store_change *change,
                                              json_t *approval, struct fault *f)
{
    (void)officer;
    return peer_request(s, params, true, change, approval, f);
}

static enum esign_rc peer_request_terminal(struct site *s, const struct authn_person *officer,
                                           const json_t *params, struct store_change *change,
                                           json_t *approval, struct fault *f)
{
    (void)officer;
    return peer_request(s, params, false, change, approval, f);
}

static enum esign_rc peer_approve_application(struct site *s, const struct authn_person *officer,
                                              json_t *approval, struct store_change *change,
                                              json_t *reply, struct fault *f)
{
    (void)officer;
    (void)reply;
    return peer_approve(s, approval, true, change, f);
}

static enum esign_rc peer_approve_terminal(struct site *s, const struct authn_person *officer,
                                           json_t *approval, struct store_change *change,
                                           json_t *reply, struct fault *f)
{
    (void)officer;
    (void)reply;
    return peer_approve(s, approval, false, change, f);
}

const struct register_action register_application_action = {
    "application.add", peer_request_application, peer_approve_application, NULL, false};
const struct register_action register_terminal_action = {"terminal.add", peer_request_terminal,
                                                         peer_approve_terminal, NULL, false};
