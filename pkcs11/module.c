#include "pkcs11/module.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "pkcs11/ckr.h"
#include "pkcs11/initialise.h"
#include "pkcs11/library.h"

#include <dlfcn.h>
#include <libp11.h>
#include <openssl/err.h>

enum {
    MODULE_TEXT_MAX = 8 * 1024,
    MODULE_SLOTS_MAX = 256
}; /* of tokens seen; a message has 199 bytes of it */

struct pkcs11_module {
    struct pkcs11_library file;
    void *library;
    CK_FUNCTION_LIST *calls; /* NULL: not initialised */
    const struct pkcs11_quirk *quirk;
    PKCS11_CTX *slots_context; /* libp11's; NULL: not loaded */
};

/* The slots of one enumeration. */
struct module_slots {
    PKCS11_CTX *context;
    PKCS11_SLOT *slots;
    unsigned count;
};

static enum esign_rc module_set_environment(const struct config *config, size_t index,
                                            struct fault *f)
{
    const char *line;

    for (size_t i = 0; (line = config_token_environment(config, index, i)); i++) {
        const char *value = strchr(line, '='); /* the configuration has checked that there is one */
        CLEANUP(free_p) char *name = strndup(line, (size_t)(value - line));
        if (!name || setenv(name, value + 1, 1) != 0)
            return fault_set(f, ESIGN_E_INTERNAL, "no memory for the token's environment");
    }
    return ESIGN_OK;
}

static enum esign_rc module_unavailable(struct fault *f, const char *what, const char *why)
{
    return fault_reason(f, ESIGN_E_HSM, "unavailable", "%.60s: %.120s", what,
                        why ? why : "no reason given");
}

static enum esign_rc module_initialise(struct pkcs11_module *module, const char *init_args,
                                       struct fault *f)
{
    const char *path = module->file.path;
    CK_RV (*get_functions)(CK_FUNCTION_LIST **);
    CK_FUNCTION_LIST *calls = NULL;

    module->library = dlopen(pkcs11_library_name(&module->file), RTLD_NOW | RTLD_LOCAL);
    if (!module->library)
        return module_unavailable(f, path, dlerror());
    if (!pkcs11_library_is_unchanged(&module->file))
        return fault_reason(f, ESIGN_E_HSM, "module", "the module's file is being written to");
    void *symbol = dlsym(module->library, "C_GetFunctionList");
    if (!symbol)
        return module_unavailable(f, path, "it is not a PKCS#11 module");
    memcpy(&get_functions, &symbol, sizeof(get_functions)); /* ISO C has no cast for this */
    CK_RV rv = get_functions(&calls);
    if (rv != CKR_OK || !calls)
        return pkcs11_fail(f, rv, "C_GetFunctionList");
    enum esign_rc rc = pkcs11_initialise(calls, init_args, &module->quirk, f);
    if (rc == ESIGN_OK)
        module->calls = calls;
    return rc;
}

/* libp11 finds the module initialised and leaves it as it is: no locking, no second thread. */
static enum esign_rc module_join(struct pkcs11_module *module, struct fault *f)
{
    PKCS11_CTX *context = PKCS11_CTX_new();

    if (!context || PKCS11_CTX_load(context, pkcs11_library_name(&module->file)) != 0) {
        if (context)
            PKCS11_CTX_free(context);
        return module_unavailable(f, module->file.path, "libp11 can't use it");
    }
    module->slots_context = context;
    return ESIGN_OK;
}

/* Load and initialise the file that is wanted ("": any will do). */
static enum esign_rc module_open(const char *path, const char *wanted, const char *init_args,
                                 struct pkcs11_module **ret, struct fault *f)
{
    struct pkcs11_module *module = calloc(1, sizeof(*module));

    if (!module)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a module");
    enum esign_rc rc = pkcs11_library_open(path, wanted, &module->file, f);
    if (rc == ESIGN_OK)
        rc = module_initialise(module, init_args, f);
    if (rc != ESIGN_OK) {
        pkcs11_module_free(module);
        return rc;
    }
    *ret = module;
    return ESIGN_OK;
}

enum esign_rc pkcs11_module_open(const char *path, struct pkcs11_module **ret, struct fault *f)
{
    return module_open(path, "", "", ret, f);
}

enum esign_rc pkcs11_module_load(const struct config *config, size_t index,
                                 struct pkcs11_module **ret, struct fault *f)
{
    struct pkcs11_module *module = NULL;

    enum esign_rc rc = module_set_environment(config, index, f);
    if (rc == ESIGN_OK)
        rc = module_open(config_token_str(config, index, "module"),
                         config_token_str(config, index, "module_sha256"),
                         config_token_str(config, index, "init_args"), &module, f);
    if (rc == ESIGN_OK)
        rc = module_join(module, f);
    if (rc != ESIGN_OK) {
        pkcs11_module_free(module);
        return rc;
    }
    *ret = module;
    return ESIGN_OK;
}

void pkcs11_module_free(struct pkcs11_module *module)
{
    if (!module)
        return;
    if (module->slots_context) {
        PKCS11_CTX_unload(module->slots_context); /* calls C_Finalize */
        PKCS11_CTX_free(module->slots_context);
    } else if (module->calls) {
        (void)module->calls->C_Finalize(NULL); /* the process ends in any case */
    }
    pkcs11_library_close(&module->file);
    free(module);
}

CK_FUNCTION_LIST *pkcs11_module_calls(const struct pkcs11_module *module)
{
    return module->calls;
}

const struct pkcs11_quirk *pkcs11_module_quirk(const struct pkcs11_module *module)
{
    return module->quirk;
}

static void module_slots_done(struct module_slots *s)
{
    if (s->slots)
        PKCS11_release_all_slots(s->context, s->slots, s->count);
}

static enum esign_rc module_list_slots(const struct pkcs11_module *module, struct module_slots *ret,
                                       struct fault *f)
{
    ret->context = module->slots_context;
    if (PKCS11_enumerate_slots(ret->context, &ret->slots, &ret->count) != 0) {
        *ret = (struct module_slots){0};
        CK_RV rv = (CK_RV)ERR_GET_REASON(ERR_peek_last_error()); /* where libp11 leaves it */
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "the module's slots can't be listed: %s",
                            pkcs11_ckr_name(rv));
    }
    return ESIGN_OK;
}

/* The slots with a token.  Not by libp11, which lists none where one of them fails. */
static enum esign_rc module_list_present(const struct pkcs11_module *module,
                                         CK_SLOT_ID ret[MODULE_SLOTS_MAX], CK_ULONG *ret_count,
                                         struct fault *f)
{
    CK_ULONG count = 0;
    CK_RV rv = module->calls->C_GetSlotList(CK_TRUE, NULL, &count); /* modules look around here */

    if (rv == CKR_OK) {
        count = MODULE_SLOTS_MAX;
        rv = module->calls->C_GetSlotList(CK_TRUE, ret, &count);
    }
    if (rv == CKR_OK && count > MODULE_SLOTS_MAX)
        rv = CKR_BUFFER_TOO_SMALL;
    if (rv != CKR_OK)
        return fault_reason(f, ESIGN_E_HSM, "unavailable", "C_GetSlotList: %s (0x%lx)",
                            pkcs11_ckr_name(rv), rv);
    *ret_count = count;
    return ESIGN_OK;
}

/* What a search for a token has seen. */
struct module_search {
    unsigned found;
    struct buf matching, others; /* texts: serial numbers of what matches; tokens that don't */
};

static void module_search_done(struct module_search *s)
{
    buf_done(&s->matching);
    buf_done(&s->others);
}

/* Note one initialised token; whether it matches. */
static bool module_note(struct module_search *s, const struct pkcs11_uri *uri,
                        const CK_TOKEN_INFO *info)
{
    char label[sizeof(info->label) + 1], serial[sizeof(info->serialNumber) + 1];

    pkcs11_unpad(info->label, sizeof(info->label), label);
    pkcs11_unpad(info->serialNumber, sizeof(info->serialNumber), serial);
    if (!pkcs11_uri_matches(uri, info)) {
        buf_put_fmt(&s->others, "%s'%s' serial %s%s", s->others.len > 0 ? ", " : "", label, serial,
                    pkcs11_uri_matches_but_serial(uri, info) ? " (another one of this label)" : "");
        return false;
    }
    buf_put_fmt(&s->matching, "%s%s", s->matching.len > 0 ? ", " : "", serial);
    s->found++;
    return true;
}

/* Note a slot whose token can't be asked: it is not the one. */
static void module_note_failure(struct module_search *s, CK_SLOT_ID slot, CK_RV rv)
{
    buf_put_fmt(&s->others, "%sslot %lu: %s", s->others.len > 0 ? ", " : "", slot,
                pkcs11_ckr_name(rv));
}

static enum esign_rc module_judge(const struct module_search *s, struct fault *f)
{
    if (s->found > 1)
        return fault_reason(f, ESIGN_E_HSM, "unavailable",
                            "%u tokens match the uri; add serial= to it, one of: %.*s", s->found,
                            (int)s->matching.len, (const char *)s->matching.data);
    if (s->found == 0 && s->others.len > 0)
        return fault_reason(f, ESIGN_E_HSM, "unavailable",
                            "no token matches the uri; there are: %.*s", (int)s->others.len,
                            (const char *)s->others.data);
    if (s->found == 0)
        return fault_reason(f, ESIGN_E_HSM, "unavailable",
                            "no token matches the uri; there is none at all");
    return ESIGN_OK;
}

enum esign_rc pkcs11_module_find(const struct pkcs11_module *module, const struct pkcs11_uri *uri,
                                 CK_SLOT_ID *ret_slot, CK_TOKEN_INFO *ret_info, struct fault *f)
{
    CLEANUP(module_search_done)
    struct module_search search = {.matching = buf_new(MODULE_TEXT_MAX),
                                   .others = buf_new(MODULE_TEXT_MAX)};
    CK_SLOT_ID slots[MODULE_SLOTS_MAX];
    CK_ULONG count = 0;

    enum esign_rc rc = module_list_present(module, slots, &count, f);
    for (CK_ULONG i = 0; rc == ESIGN_OK && i < count; i++) {
        CK_TOKEN_INFO info;
        CK_RV rv = module->calls->C_GetTokenInfo(slots[i], &info);
        if (rv != CKR_OK) {
            module_note_failure(&search, slots[i], rv);
            continue;
        }
        if ((info.flags & CKF_TOKEN_INITIALIZED) == 0 || !module_note(&search, uri, &info))
            continue;
        *ret_slot = slots[i];
        *ret_info = info;
    }
    return rc == ESIGN_OK ? module_judge(&search, f) : rc;
}

enum esign_rc pkcs11_module_find_blank(const struct pkcs11_module *module, CK_SLOT_ID *ret_slot,
                                       struct fault *f)
{
    CLEANUP(module_slots_done) struct module_slots list = {0};

    enum esign_rc rc = module_list_slots(module, &list, f);
    if (rc != ESIGN_OK)
        return rc;
    for (unsigned i = 0; i < list.count; i++) {
        if (!list.slots[i].token || list.slots[i].token->initialized)
            continue;
        *ret_slot = PKCS11_get_slotid_from_slot(&list.slots[i]);
        return ESIGN_OK;
    }
    return fault_reason(f, ESIGN_E_HSM, "unavailable", "there is no uninitialised token");
}

enum esign_rc pkcs11_module_has_label(const struct pkcs11_module *module,
                                      const CK_UTF8CHAR label[PKCS11_LABEL_LEN], bool *ret,
                                      struct fault *f)
{
    CLEANUP(module_slots_done) struct module_slots list = {0};

    enum esign_rc rc = module_list_slots(module, &list, f);
    if (rc != ESIGN_OK)
        return rc;
    *ret = false;
    for (unsigned i = 0; i < list.count; i++) {
        CK_TOKEN_INFO info;
        if (list.slots[i].token && list.slots[i].token->initialized &&
            module->calls->C_GetTokenInfo(PKCS11_get_slotid_from_slot(&list.slots[i]), &info) ==
                CKR_OK &&
            bytes_equal(bytes_of(info.label, PKCS11_LABEL_LEN), bytes_of(label, PKCS11_LABEL_LEN)))
            *ret = true;
    }
    return ESIGN_OK;
}
