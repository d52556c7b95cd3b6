/* Who can use a signer's key: the policy says it for the signer's group.
 *
 * Source: requirements 1.6, key custody modes. */
#include <string.h>

#include "base/encode.h"
#include "register/register_internal.h"

enum { CUSTODY_GROUPS_MAX = 64, CUSTODY_GROUP_LEN = 32 };

/* What this version makes keys for. */
static const char *const custody_words[] = {"K1", "K2", "K3"};

static bool custody_known(const char *word)
{
    for (size_t i = 0; word && i < sizeof(custody_words) / sizeof(custody_words[0]); i++)
        if (strcmp(custody_words[i], word) == 0)
            return true;
    return false;
}

/* The policies of early sites have none. */
static const json_t *custody_groups(const json_t *policy)
{
    return json_object_get(json_object_get(policy, "custody"), "groups");
}

static const json_t *custody_of_group(const json_t *policy, const char *group)
{
    const json_t *groups = custody_groups(policy);

    for (size_t i = 0; group && i < json_array_size(groups); i++) {
        const json_t *row = json_array_get(groups, i);
        if (strcmp(json_str(row, "group"), group) == 0)
            return row;
    }
    return NULL;
}

static enum esign_rc custody_check_groups(const json_t *policy, struct fault *f)
{
    static const struct json_field fields[] = {{"group", JSON_FIELD_STR, true, CUSTODY_GROUP_LEN},
                                               {"custody", JSON_FIELD_STR, true, 8}};
    const json_t *groups = custody_groups(policy);

    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *row = json_array_get(groups, i);
        struct fault member;
        if (json_check(row, "custody.groups", fields, 2, &member) != ESIGN_OK ||
            !text_is_id(json_str(row, "group"), CUSTODY_GROUP_LEN) ||
            !custody_known(json_str(row, "custody")))
            return fault_field(
                f, ESIGN_E_POLICY, "custody.groups",
                "custody.groups.%zu must have an id as group and K1, K2 or K3 as custody", i);
        if (custody_of_group(policy, json_str(row, "group")) != row)
            return fault_field(f, ESIGN_E_POLICY, "custody.groups", "the group %s is named twice",
                               json_str(row, "group"));
    }
    return ESIGN_OK;
}

enum esign_rc register_custody_check(const json_t *policy, struct fault *f)
{
    const json_t *custody = json_object_get(policy, "custody");
    const json_t *groups = custody_groups(policy);

    if (!custody)
        return ESIGN_OK;
    if (!custody_known(json_str(custody, "default")))
        return fault_field(f, ESIGN_E_POLICY, "custody.default",
                           "custody.default must be K1, K2 or K3");
    if (!json_is_array(groups) || json_array_size(groups) > CUSTODY_GROUPS_MAX ||
        json_object_size(custody) != 2)
        return fault_field(f, ESIGN_E_POLICY, "custody.groups",
                           "custody has default and groups, a list of at most %d",
                           CUSTODY_GROUPS_MAX);
    return custody_check_groups(policy, f);
}

enum esign_rc register_custody_check_group(const json_t *policy, const char *group, struct fault *f)
{
    return !group || custody_of_group(policy, group)
               ? ESIGN_OK
               : fault_field(f, ESIGN_E_POLICY, "params.group",
                             "the policy's custody.groups names no group %.32s", group);
}

const char *register_custody(const json_t *policy, const json_t *signer)
{
    const char *word = json_str(custody_of_group(policy, json_str(signer, "group")), "custody");

    if (!word)
        word = json_str(policy, "custody.default");
    return word ? word : "K1";
}

bool register_custody_is_used(const json_t *policy, const char *custody)
{
    const json_t *groups = custody_groups(policy);
    const char *word = json_str(policy, "custody.default");
    bool used = word && strcmp(word, custody) == 0;

    for (size_t i = 0; i < json_array_size(groups); i++)
        used = used || strcmp(json_str(json_array_get(groups, i), "custody"), custody) == 0;
    return used;
}
