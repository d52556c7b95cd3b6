#include "pkcs11/uri.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <p11-kit/uri.h>

struct pkcs11_uri {
    P11KitUri *uri;
};

/* p11-kit fills fields that the URI doesn't have with NUL bytes. */
static bool uri_has(const unsigned char *field)
{
    return field[0] != '\0';
}

/* The length of an attribute's name at `at`, its '=' included. */
static size_t uri_name_len(const char *at)
{
    size_t len = strcspn(at, "=;?");

    return at[len] == '=' ? len + 1 : len;
}

/* The attribute after this one, or NULL. */
static const char *uri_next(const char *at)
{
    const char *end = at + strcspn(at, ";?");

    return *end == ';' ? end + 1 : NULL;
}

/* Whether a path attribute occurs twice, which RFC 7512 section 2.3 forbids and p11-kit takes. */
static bool uri_repeats(const char *text)
{
    const char *path = strchr(text, ':');

    for (const char *a = path ? path + 1 : NULL; a; a = uri_next(a))
        for (const char *b = uri_next(a); b; b = uri_next(b))
            if (uri_name_len(a) == uri_name_len(b) && strncmp(a, b, uri_name_len(a)) == 0)
                return true;
    return false;
}

/* Whether the URI says which slot or library; both change with the machine, a token doesn't. */
static bool uri_names_place(P11KitUri *uri)
{
    const CK_SLOT_INFO *slot = p11_kit_uri_get_slot_info(uri);
    const CK_INFO *library = p11_kit_uri_get_module_info(uri);

    return p11_kit_uri_get_slot_id(uri) != (CK_SLOT_ID)-1 || uri_has(slot->slotDescription) ||
           uri_has(slot->manufacturerID) || uri_has(library->libraryDescription) ||
           uri_has(library->manufacturerID) || library->libraryVersion.major != (CK_BYTE)-1;
}

static enum esign_rc uri_check(P11KitUri *uri, struct fault *f)
{
    const CK_TOKEN_INFO *token = p11_kit_uri_get_token_info(uri);
    CK_ULONG object_attributes = 0;

    (void)p11_kit_uri_get_attributes(uri, &object_attributes);
    if (p11_kit_uri_any_unrecognized(uri))
        return fault_field(f, ESIGN_E_POLICY, "uri", "the token's URI has an unknown attribute");
    if (p11_kit_uri_get_pin_value(uri) || p11_kit_uri_get_pin_source(uri))
        return fault_field(f, ESIGN_E_POLICY, "uri",
                           "a PIN does not belong into the URI; use pin_file or a credential");
    if (p11_kit_uri_get_module_name(uri) || p11_kit_uri_get_module_path(uri) ||
        object_attributes > 0)
        return fault_field(f, ESIGN_E_POLICY, "uri", "the URI must name a token, nothing else");
    if (uri_names_place(uri))
        return fault_field(f, ESIGN_E_POLICY, "uri",
                           "slots and libraries have other numbers and names tomorrow: name the "
                           "token by token= and serial=, without slot-id= and the like");
    if (!uri_has(token->label) && !uri_has(token->serialNumber))
        return fault_field(f, ESIGN_E_POLICY, "uri",
                           "the URI must have token= (the label) or serial=");
    return ESIGN_OK;
}

enum esign_rc pkcs11_uri_parse(const char *text, struct pkcs11_uri **ret, struct fault *f)
{
    struct pkcs11_uri *u = calloc(1, sizeof(*u));

    if (!u || !(u->uri = p11_kit_uri_new())) {
        free(u);
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a URI");
    }
    int parsed = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, u->uri);
    enum esign_rc rc = parsed == P11_KIT_URI_OK
                           ? uri_check(u->uri, f)
                           : fault_field(f, ESIGN_E_POLICY, "uri", "'%.80s': %s", text,
                                         p11_kit_uri_message(parsed));
    if (rc == ESIGN_OK && uri_repeats(text))
        rc = fault_field(f, ESIGN_E_POLICY, "uri", "the URI has an attribute twice");
    if (rc != ESIGN_OK) {
        pkcs11_uri_free(u);
        return rc;
    }
    *ret = u;
    return ESIGN_OK;
}

void pkcs11_uri_free(struct pkcs11_uri *uri)
{
    if (!uri)
        return;
    p11_kit_uri_free(uri->uri);
    free(uri);
}

/* A text of a token without what modules put around it: blanks or NUL bytes. */
static struct bytes uri_bare(const unsigned char *field, size_t len)
{
    while (len > 0 && (field[len - 1] == ' ' || field[len - 1] == '\0'))
        len--;
    while (len > 0 && *field == ' ') {
        field++;
        len--;
    }
    return bytes_of(field, len);
}

/* A serial number without leading zeros: some modules print them, some don't. */
static struct bytes uri_bare_serial(const unsigned char *field, size_t len)
{
    struct bytes bare = uri_bare(field, len);

    while (bare.len > 1 && bare.data[0] == '0')
        bare = bytes_of(bare.data + 1, bare.len - 1);
    return bare;
}

/* A field that the URI doesn't have matches any. */
static bool uri_field_matches(const unsigned char *wanted, const unsigned char *field, size_t len)
{
    return !uri_has(wanted) || bytes_equal(uri_bare(wanted, len), uri_bare(field, len));
}

bool pkcs11_uri_matches_but_serial(const struct pkcs11_uri *uri, const CK_TOKEN_INFO *info)
{
    const CK_TOKEN_INFO *wanted = p11_kit_uri_get_token_info(uri->uri);

    return uri_field_matches(wanted->label, info->label, sizeof(info->label)) &&
           uri_field_matches(wanted->manufacturerID, info->manufacturerID,
                             sizeof(info->manufacturerID)) &&
           uri_field_matches(wanted->model, info->model, sizeof(info->model));
}

bool pkcs11_uri_matches(const struct pkcs11_uri *uri, const CK_TOKEN_INFO *info)
{
    const CK_TOKEN_INFO *wanted = p11_kit_uri_get_token_info(uri->uri);

    return pkcs11_uri_matches_but_serial(uri, info) &&
           (!uri_has(wanted->serialNumber) ||
            bytes_equal(uri_bare_serial(wanted->serialNumber, sizeof(wanted->serialNumber)),
                        uri_bare_serial(info->serialNumber, sizeof(info->serialNumber))));
}

bool pkcs11_uri_has_serial(const struct pkcs11_uri *uri)
{
    return uri_has(p11_kit_uri_get_token_info(uri->uri)->serialNumber);
}

bool pkcs11_uri_label(const struct pkcs11_uri *uri, CK_UTF8CHAR ret[PKCS11_LABEL_LEN])
{
    const CK_TOKEN_INFO *token = p11_kit_uri_get_token_info(uri->uri);

    if (!uri_has(token->label) || uri_has(token->serialNumber))
        return false;
    for (size_t i = 0; i < PKCS11_LABEL_LEN; i++)
        ret[i] = token->label[i] ? token->label[i] : ' ';
    return true;
}

void pkcs11_unpad(const unsigned char *padded, size_t padded_len, char *ret)
{
    size_t len = padded_len;

    while (len > 0 && (padded[len - 1] == ' ' || padded[len - 1] == '\0'))
        len--;
    for (size_t i = 0; i < len; i++)
        ret[i] = padded[i] < 0x20 || padded[i] == 0x7f ? '?' : (char)padded[i];
    ret[len] = '\0';
}
