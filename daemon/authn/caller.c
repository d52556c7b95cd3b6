#include "authn/caller.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The register's row for a uid or gid: which application or terminal it stands for. */
static enum esign_rc caller_lookup(struct store *store, const char *word, unsigned number,
                                   struct authn_caller *ret, struct fault *f)
{
    char id[32];
    CLEANUP(store_view_done) struct store_view row = {0};

    (void)snprintf(id, sizeof(id), "%s-%u", word, number);
    enum esign_rc rc = store_look(store, "peer", id, &row, f);
    if (rc == ESIGN_E_NOT_FOUND)
        return ESIGN_OK;
    if (rc != ESIGN_OK)
        return rc;
    const char *application = json_str(row.body, "application");
    const char *terminal = json_str(row.body, "terminal");
    if (!application && !terminal)
        return fault_set(f, ESIGN_E_INTERNAL, "the register's row peer/%s names nobody", id);
    ret->kind = application ? AUTHN_CALLER_APPLICATION : AUTHN_CALLER_TERMINAL;
    (void)snprintf(ret->id, sizeof(ret->id), "%s", application ? application : terminal);
    return ESIGN_OK;
}

enum esign_rc authn_caller_find(struct store *store, uid_t uid, const gid_t *groups,
                                size_t group_count, struct authn_caller *ret, struct fault *f)
{
    struct authn_caller caller = {.kind = AUTHN_CALLER_UNKNOWN, .uid = uid};
    enum esign_rc rc = caller_lookup(store, "uid", uid, &caller, f);

    for (size_t i = 0; rc == ESIGN_OK && caller.kind == AUTHN_CALLER_UNKNOWN && i < group_count;
         i++)
        rc = caller_lookup(store, "gid", groups[i], &caller, f);
    if (rc != ESIGN_OK)
        return rc;
    if (caller.kind == AUTHN_CALLER_UNKNOWN && (uid == 0 || uid == geteuid())) {
        caller.kind = AUTHN_CALLER_OWNER;
        (void)snprintf(caller.id, sizeof(caller.id), "owner");
    }
    *ret = caller;
    return ESIGN_OK;
}

enum esign_rc authn_caller_right(struct store *store, const char *application, const char *right,
                                 struct fault *f)
{
    CLEANUP(store_view_done) struct store_view row = {0};
    enum esign_rc rc = store_look(store, "application", application, &row, f);

    if (rc != ESIGN_OK)
        return rc == ESIGN_E_NOT_FOUND
                   ? fault_set(f, ESIGN_E_AUTHZ, "the application is not registered")
                   : rc;
    const json_t *rights = json_object_get(row.body, "rights");
    for (size_t i = 0; i < json_array_size(rights); i++)
        if (strcmp(json_string_value(json_array_get(rights, i)), right) == 0)
            return ESIGN_OK;
    return fault_reason(f, ESIGN_E_AUTHZ, right,
                        "the application %s does not have the right \"%s\"", application, right);
}
